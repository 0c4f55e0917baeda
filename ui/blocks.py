"""Somebody's app, as it is: runs the file as `python demo.py` would, and finds the Blocks in it.

`launch()` starts nothing. It hands over what it was called on and, as Gradio's own does while it serves, does not come
back: what the file opened before stays open. So the file runs in a thread of its own, beside the server.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, get_args

import gradio as gr
import uvicorn
from fastapi import FastAPI
from gradio.utils import get_type_hints

from auth import AuthError, NotStarted
from ui.arguments import SIGNATURE, Main

HOST = Path(__file__).parents[1]
NAMES = ("app", "auth", "ui")
"""What this host calls its own modules. A file that has its own of such a name beside it gets its own."""
ASTRAY = "The parameters have been moved from the Blocks constructor|SSR mode is not supported"
"""Warnings of Gradio's about what is done here all the same, and about what nobody asked for."""

log = logging.getLogger("auth")


class BlocksError(NotStarted):
    """There is no app to serve. The message is a sentence for whoever started it."""


def load_blocks(path: Path) -> Main:
    """The app in a file. Run there, the file finds modules and data beside it.

    Args:
        path: relative to the working directory or, where there is none, to this project.

    Raises:
        BlocksError: there is none, or the file fails.
    """
    file = _found(path)
    main = _Script(file).run()
    if unused := "; ".join(f"{name}: {instead}" for name, instead in main.unused()):
        log.warning("%s: not used here of the arguments of launch(): %s.", file.name, unused)
    return main


class _Script:
    """One run of a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._folder = file.resolve().parent
        self._module = ModuleType("__main__")
        self._module.__file__ = str(file)
        self._handed: Future[Main | None] = Future()
        self._unserved = FastAPI(openapi_url=None)

    def run(self) -> Main:
        """Raises BlocksError."""
        try:
            code = compile(self._file.read_bytes(), self._file, "exec", dont_inherit=True)
            self._prepare()
            run = copy_context().run
            threading.Thread(target=run, args=(self._execute, code), name=self._file.name, daemon=True).start()
            main = self._handed.result()
            blocks = self._chosen(main)
            _refuse_what_cannot_work(blocks, self._file.name)
            _cache_examples(blocks)
        except BlocksError:
            raise
        except Exception as error:
            raise self._fault(error) from error
        return Main(blocks=blocks, launched=main.launched if main else {})

    def _prepare(self) -> None:
        sys.argv[0] = str(self._file)
        sys.modules["__main__"] = self._module
        if self._folder == HOST / "ui":
            sys.path.append(str(self._folder))  # after the libraries: `mcp` is one of them
        else:
            sys.path.insert(0, str(self._folder))
            os.chdir(self._folder)
            self._give_way()
        warnings.filterwarnings("ignore", ASTRAY, UserWarning)
        gr.Blocks.launch = self._launch()  # type: ignore[method-assign]
        gr.Blocks.block_thread = self._block  # type: ignore
        gr.Blocks.close = lambda *args, **kwargs: None  # type: ignore[method-assign]
        uvicorn.run = self._refuse_server
        signal.signal = _signal  # type: ignore[assignment]

    def _give_way(self) -> None:
        """All of this host is imported by now: nothing in it looks for a module that is put away here."""
        for name in NAMES:
            spec = PathFinder.find_spec(name, [str(self._folder)])
            if spec is None or spec.origin == str(self._file.resolve()):
                continue
            for module in [one for one in sys.modules if one.partition(".")[0] == name]:
                del sys.modules[module]
            if spec.loader is None:  # a folder without __init__.py, to which Python would prefer this host's package
                sys.modules[name] = module_from_spec(spec)
        taken = {path.stem for path in self._folder.glob("*.py")} & sys.modules.keys() - sys.stdlib_module_names
        for name in sorted(taken.difference(NAMES)):
            if not self._is_own(getattr(sys.modules[name], "__file__", None) or ""):
                log.warning("%s.py beside %s: this host uses a library of that name. Rename it.", name, self._file.name)

    def _execute(self, code: CodeType) -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())  # as the main thread has one
        try:
            exec(code, vars(self._module))  # noqa: S102
            self._say_unserved()
            self._hand(None)
        except BaseException as error:
            fault = error if isinstance(error, BlocksError) else self._fault(error)
            if self._handed.done():
                self._say_unserved()
                log.error("%s went on after launch(), and failed: %s", self._file.name, fault)
            else:
                self._handed.set_exception(fault)

    def _launch(self) -> Callable[..., Any]:
        def launch(blocks: gr.Blocks, *args: Any, **kwargs: Any) -> Any:
            launched = SIGNATURE.bind(blocks, *args, **kwargs).arguments
            del launched["self"]
            if "_app" in launched:
                raise BlocksError(
                    f"{self._file.name} launches a gr.Server, which is a server of its own. Make its functions part of "
                    "Blocks: with gr.Blocks() as demo: gr.api(function)."
                )
            if not blocks.exited:
                blocks.__exit__()
            blocks.app = blocks.server_app = self._unserved  # type: ignore[assignment]
            self._hand(Main(blocks=blocks, launched=launched))
            if not launched.get("prevent_thread_lock"):
                _wait()
            return self._unserved, None, None

        return launch

    def _block(self, *args: Any, **kwargs: Any) -> None:
        self._say_unserved()
        _wait()

    def _say_unserved(self) -> None:
        if self._unserved.routes:
            log.warning(
                "%s adds routes to what launch() made, which is not served. "
                "deploy/EXISTING_APP.md says how an app with routes of its own is put together.",
                self._file.name,
            )

    def _hand(self, main: Main | None) -> None:
        if not self._handed.done():
            self._handed.set_result(main)
        elif main and (first := self._handed.result()) and first.blocks is not main.blocks:
            log.warning(
                "%s launches several apps. The first is served; gr.TabbedInterface makes one of them.", self._file.name
            )

    def _refuse_server(self, *args: Any, **kwargs: Any) -> None:
        raise BlocksError(
            f"{self._file.name} starts a server of its own with uvicorn.run(), where nobody would have to sign in. "
            "Let it launch() its Blocks instead; an app with routes of its own: deploy/EXISTING_APP.md."
        )

    def _chosen(self, main: Main | None) -> gr.Blocks:
        names = vars(self._module)
        if callable(main_blocks := names.get("main_blocks")):
            blocks = main_blocks()
            if not isinstance(blocks, gr.Blocks):
                raise BlocksError(
                    f"main_blocks() in {self._file.name} returned {type(blocks).__name__}. It has to return gr.Blocks."
                )
            return blocks
        if main:
            return main.blocks
        if isinstance(demo := names.get("demo"), gr.Blocks):
            return demo
        found = {id(one): (name, one) for name, one in names.items() if isinstance(one, gr.Blocks)}
        if len(found) != 1:
            several = f"several Blocks ({', '.join(name for name, _ in found.values())})"
            raise BlocksError(
                f"{self._file.name} makes {several if found else 'no Blocks'}. "
                "Call launch() on the app, name it demo, or return it from a function main_blocks()."
            )
        ((_, only),) = found.values()
        return only

    def _fault(self, error: BaseException) -> BlocksError:
        """One sentence, with the last of the author's own lines that was running."""
        where = self._file.name
        what = " ".join(str(error).split())[:500]
        if isinstance(error, SyntaxError):
            where, what = f"{Path(error.filename or where).name}, line {error.lineno}", error.msg
        elif own := [frame for frame in traceback.extract_tb(error.__traceback__) if self._is_own(frame.filename)]:
            where = f"{Path(own[-1].filename).name}, line {own[-1].lineno}"
        if isinstance(error, SystemExit):
            return BlocksError(f"{where}: sys.exit({error.code!r}) ended the file before launch().")
        if isinstance(error, AuthError):
            return BlocksError(
                f"{where}: identity_of was asked who is calling while the file was loaded, when nobody is. Where that "
                "is for cached examples, set cache_examples=False: everybody would be shown the same."
            )
        fault = f"{where}: {type(error).__name__}: {what}."
        if isinstance(error, ModuleNotFoundError):
            needs = self._folder / "requirements.txt"
            fault += f" Install it: {sys.executable} -m pip install "
            fault += f"-r {HOST / 'requirements.txt'} -r {needs}" if needs.is_file() else error.name or ""
        return BlocksError(fault)

    def _is_own(self, filename: str) -> bool:
        path = Path(filename)
        is_hosts = path == Path(__file__) or (path.is_relative_to(HOST) and not self._folder.is_relative_to(HOST))
        beside = path.is_relative_to(self._folder) and "site-packages" not in path.parts
        return path == self._file or (beside and not is_hosts)


def _found(path: Path) -> Path:
    path = path.expanduser()
    file = (path if path.exists() else HOST / path).absolute()
    if file.is_dir():
        raise BlocksError(f"{path} is a folder. Name the file in it that holds the app, such as {path / 'app.py'}.")
    if not file.exists():
        raise BlocksError(f"There is no file {path}, looked for in {Path.cwd()}.")
    if file.suffix != ".py":
        raise BlocksError(f"{path} is no Python file: its name has to end in .py.")
    return file


def _refuse_what_cannot_work(blocks: gr.Blocks, file: str) -> None:
    if isinstance(blocks, gr.Workflow):
        raise BlocksError(
            f"{file} is a gr.Workflow, which whoever has its write token edits for everybody, and which opens this "
            "machine's folder for temporary files. Make Blocks of it."
        )
    for function in blocks.fns.values():
        if asks_for(function.fn, gr.OAuthToken):
            raise BlocksError(
                f"{function.name}() in {file} asks for a gr.OAuthToken. People sign in here without Hugging Face, so "
                "there is none. Use a token of the app's own, from a secret in the environment."
            )


def _cache_examples(blocks: gr.Blocks) -> None:
    """At once, and not when the server starts, where a function that fails could not be said in a sentence."""
    run = copy_context().run
    with ThreadPoolExecutor(1) as aside:  # there may be a loop in this thread
        aside.submit(run, asyncio.run, blocks.run_extra_startup_events()).result()  # type: ignore[no-untyped-call]
    blocks.extra_startup_events.clear()


def asks_for(function: Callable[..., object] | None, kind: type) -> bool:
    """True where Gradio would hand the function a `kind`, for its annotation."""
    hints = get_type_hints(function).values()  # type: ignore[no-untyped-call]
    return any(kind in (hint, *get_args(hint)) for hint in hints)


_set_handler = signal.signal


def _signal(number: Any, handler: Any) -> Any:
    """Only the main thread may set a handler, which is the server's."""
    if threading.current_thread() is threading.main_thread():
        return _set_handler(number, handler)
    log.warning("a handler for signal %s is not used: this host stops the app itself.", number)
    return signal.getsignal(number)


def _wait() -> None:
    """As long as the app is served."""
    threading.Event().wait()
