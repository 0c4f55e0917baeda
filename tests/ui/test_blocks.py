"""A file is run as `python demo.py` would run it, and the app in it is found; or one sentence says why not."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import pytest

from app import create_app
from tests.support.own_file import process_as_before
from tests.support.settings import sound_settings
from ui.arguments import Main
from ui.blocks import BlocksError, load_blocks
from ui.isolation import prove

ROOT = Path(__file__).parents[2]
Load = Callable[..., Main]

BLOCKS = """
import gradio as gr

with gr.Blocks() as app:
    gr.Markdown("here")
"""
APP = "app.launch()"


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Writes `demo.py`, and other files beside it by their names, and loads it."""

    def load(source: str = BLOCKS + APP, **beside: str) -> Main:
        for name, text in {"demo": source, **beside}.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text), "utf-8")
        return load_blocks(tmp_path / "demo.py")

    with process_as_before():
        yield load


def shown(main: Main) -> list[str]:
    return [block.value for block in main.blocks.blocks.values() if isinstance(block, gr.Markdown)]


# -- as python demo.py would -----------------------------------------------------------------------------------------


def test_the_file_is_the_program_and_finds_what_is_beside_it(load: Load, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("good morning", "utf-8")
    main = load(
        """
        import sys
        from pathlib import Path
        import gradio as gr
        import helper

        with gr.Blocks() as app:
            for one in (__name__, Path(__file__).name, sys.argv[0], sys.path[0], Path("words.txt").read_text()):
                gr.Markdown(one)
            gr.Markdown(helper.WORD)
            gr.Markdown(str(sys.modules["__main__"].app is app))
        if __name__ == "__main__":
            app.launch()
        """,
        helper="WORD = 'help'",
    )
    file = str(tmp_path / "demo.py")
    assert shown(main) == ["__main__", "demo.py", file, str(tmp_path), "good morning", "help", "True"]


def test_the_file_may_ask_for_the_app_that_its_blocks_have_before_they_are_served(load: Load) -> None:
    prove()
    main = load(BLOCKS + "    gr.Markdown(str(app.queue().app is app.app))\napp.app.add_middleware(object)\n" + APP)
    assert shown(main) == ["here", "True"]


def test_the_file_is_over_at_launch_and_what_it_opened_stays_open(load: Load, tmp_path: Path) -> None:
    load(
        BLOCKS
        + """
try:
    with open("log.txt", "w") as log:
        app.launch()
    app.load("never")
finally:
    open("over", "w")
"""
    )
    time.sleep(0.2)
    assert not (tmp_path / "over").exists()


@pytest.mark.parametrize("wait", ["app.block_thread()", "import time\nwhile True: time.sleep(1)", ""])
def test_after_a_launch_that_does_not_block_the_file_goes_on(load: Load, tmp_path: Path, wait: str) -> None:
    main = load(f"{BLOCKS}\napp.launch(prevent_thread_lock=True)\nopen('on', 'w').close()\napp.close()\n{wait}")
    assert shown(main) == ["here"]
    until = time.monotonic() + 5
    while not (tmp_path / "on").exists():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("end", ["", "app.block_thread()", "1 / 0"])
@pytest.mark.parametrize("server", ["server", "app.app", "app.server_app"])
def test_routes_that_are_added_to_what_launch_makes_are_said_to_be_lost(
    load: Load, caplog: pytest.LogCaptureFixture, server: str, end: str
) -> None:
    load(f"{BLOCKS}\nserver, *_ = app.launch(prevent_thread_lock=True)\n{server}.get('/more')(lambda: 1)\n{end}")
    until = time.monotonic() + 5
    while "adds routes to what launch() made" not in caplog.text:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_a_file_needs_is_installed_together_with_what_the_host_needs(load: Load, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("")
    with pytest.raises(BlocksError, match=f"-r {ROOT}/requirements.txt -r {tmp_path}/requirements.txt$"):
        load("import nonesuch")


def test_a_launch_inside_of_the_blocks_ends_them(load: Load) -> None:
    main = load("import gradio as gr\nwith gr.Blocks() as app:\n    gr.Markdown('here')\n    app.launch()")
    assert shown(main) == ["here"]
    assert main.blocks.config["components"]


def test_nothing_listens_and_nothing_is_published(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SHARE", "True")
    monkeypatch.setattr("socket.socket.bind", lambda *args: pytest.fail("something listens"))
    monkeypatch.setattr("socket.socket.connect", lambda *args: pytest.fail("something is sent"))
    main = load(f"{BLOCKS}\napp.launch(share=True, server_port=7860)")
    assert main.launched == {"share": True, "server_port": 7860}


def test_loops_and_signals_are_there_as_in_the_main_thread(load: Load) -> None:
    before = """
import asyncio, signal
signal.signal(signal.SIGTERM, lambda *args: None)
asyncio.get_event_loop().run_until_complete(asyncio.sleep(0))
"""
    load(before + BLOCKS + APP)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


# -- which app -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "def main_blocks():\n    with gr.Blocks() as it:\n        gr.Markdown('it')\n    return it\nwrong.launch()",
        "it.launch()",
        "it.queue(max_size=3).launch()",
        "demo = it",
        "del wrong, demo",
        "gr.TabbedInterface([gr.Interface(str, 'text', 'text', description='it')]).launch()",
        "gr.ChatInterface(lambda message, history: message, description='it').launch()",
    ],
    ids=["main_blocks", "launch", "queue", "demo", "the only one", "TabbedInterface", "ChatInterface"],
)
def test_the_app_is_found(load: Load, source: str) -> None:
    made = "import gradio as gr\nwith gr.Blocks() as wrong: gr.Markdown('wrong')\ndemo = wrong\n"
    made += "with gr.Blocks() as it: gr.Markdown('it')\n"
    assert shown(load(made + source)) == ["it"]


# -- one sentence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("x = 1", r"demo\.py makes no Blocks\. Call launch\(\) on the app"),
        ("import gradio as gr\na, b = gr.Blocks(), gr.Blocks()", r"demo\.py makes several Blocks \(a, b\)\."),
        ("a = 1\ndef f(:", r"demo\.py, line 2: SyntaxError"),
        ("\n1 / 0", r"demo\.py, line 2: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit('enough')", r"demo\.py, line 2: sys\.exit\('enough'\) ended the file"),
        ("import nonesuch", r"demo\.py, line 1: ModuleNotFoundError: .* -m pip install nonesuch$"),
        ("import helper", r"helper\.py, line 2: ValueError: two lines"),
        ("import broken", r"broken\.py, line 1: SyntaxError"),
        ("def main_blocks(): return 3", r"main_blocks\(\) in demo\.py returned int"),
        ("def main_blocks(one): return 3", r"TypeError: main_blocks\(\) missing 1 required"),
        ("from gradio import Server\nServer().launch()", r"launches a gr\.Server.*gr\.api\(function\)"),
        ("import gradio as gr\ngr.Blocks().launch(shrae=True)", r"demo\.py, line 2: TypeError: .*'shrae'"),
        ("import uvicorn\nuvicorn.run('x')", r"demo\.py starts a server of its own with uvicorn\.run"),
        (
            "import gradio as gr\ndef f(a, b: gr.OAuthToken): pass\ngr.Interface(f, 'text', 'text').launch()",
            r"f\(\) in demo\.py asks for a gr\.OAuthToken.*from a secret",
        ),
        (
            "import gradio as gr\nfrom auth import identity_of\n"
            "def f(a, r: gr.Request): return identity_of(r).name\n"
            "gr.Interface(f, 'text', 'text', examples=['x'], cache_examples=True, cache_mode='eager').launch()",
            r"demo\.py, line 3: identity_of was asked who is calling .* cache_examples=False",
        ),
    ],
    ids=lambda value: None if "\\" in value else value.rpartition("\n")[2][:40],
)
def test_a_sentence_says_what_is_wrong(load: Load, source: str, sentence: str) -> None:
    with pytest.raises(BlocksError) as caught:
        load(source, helper="\nraise ValueError('two\\nlines')", broken="def")
    assert re.search(sentence, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "app.ipynb").write_text("{}", "utf-8")
    for name, sentence in {"": "is a folder", "nothing.py": "There is no file", "app.ipynb": "no Python file"}.items():
        with pytest.raises(BlocksError, match=sentence):
            load_blocks(tmp_path / name)


def test_arguments_that_are_not_used_are_named_in_one_line(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    load(f"{BLOCKS}\napp.launch(share=True, server_port=7861, auth=('ada', 'hush'), show_error=True, quiet=False)")
    (line,) = caplog.messages
    assert re.match(r"demo\.py: not used here .*share: set PUBLIC_URL.*auth: people.*server_port: set PORT", line)
    assert not re.search("hush|show_error|quiet", line)


def test_gradio_s_advice_on_moved_arguments_is_not_given(load: Load, recwarn: pytest.WarningsRecorder) -> None:
    main = load("import gradio as gr\nwith gr.Blocks(css='p {}', theme='soft') as app: pass\napp.launch()")
    assert (main.of("css"), main.of("theme")) == ("p {}", "soft")
    assert not [one for one in recwarn if "moved" in str(one.message)]


# -- names -----------------------------------------------------------------------------------------------------------


def test_a_module_with_the_name_of_a_library_is_said_to_need_another(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    load(BLOCKS + APP, redis="", helper="")
    assert caplog.messages == ["redis.py beside demo.py: this host uses a library of that name. Rename it."]


def test_a_file_has_its_own_modules_of_this_host_s_names_and_the_host_works_on(tmp_path: Path) -> None:
    """In a process of its own: what is put away stays away."""
    (tmp_path / "auth.py").write_text("def check(): return 'own auth'", "utf-8")
    (tmp_path / "ui").mkdir()
    (tmp_path / "ui" / "parts.py").write_text("NAME = 'own ui'", "utf-8")
    (tmp_path / "app.py").write_text(
        "import gradio as gr\nfrom auth import check\nfrom ui.parts import NAME\n"
        "def say():\n    import auth\n    return f'{auth.check()} {NAME}'\n"
        "with gr.Blocks() as demo:\n    gr.Button().click(say, None, gr.Textbox(), api_name='say')\ndemo.launch()",
        "utf-8",
    )
    program = """
        import httpx2, sys
        from gradio_client import Client
        from app import create_app
        from tests.support.app_server import AppServer

        with AppServer({}, blocks=sys.argv[1], metrics=True) as server:
            url = f"{server.url}/local/oauth2/token"
            grant = httpx2.post(url, data={"grant_type": "client_credentials"}, auth=("local-program", "local-secret"))
            headers = {"Authorization": f"Bearer {grant.json()['access_token']}"}
            print(Client(f"{server.url}/gradio/", headers=headers, verbose=False).predict(api_name="/say"))
            assert httpx2.get(f"{server.url}/user/me", headers=headers).json()["kind"] == "program"
            assert httpx2.get(f"{server.url}/openapi.json", headers=headers).status_code == 200
            assert "app_fetches" in httpx2.get(f"{server.url}/metrics").text
        """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "app.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "own auth own ui\n", done.stderr


@pytest.mark.parametrize(
    "argument",
    [
        "css_paths='none.css'",
        "head_paths=['none']",
        "favicon_path='none.png'",
        "max_file_size='much'",
        "allowed_paths='x'",
    ],
)
def test_an_argument_that_gradio_does_not_take_is_said(load: Load, tmp_path: Path, argument: str) -> None:
    (tmp_path / "demo.py").write_text(f"{BLOCKS}\napp.launch({argument})", "utf-8")
    with pytest.raises(BlocksError, match=r"An argument of launch\(\) cannot be used\. \w+Error: "):
        create_app(sound_settings(blocks=tmp_path / "demo.py"))


def test_the_command_ends_with_2_and_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "demo.py").write_text("import gradio\nraise OSError('no disk')", "utf-8")
    command = [sys.executable, "app.py", str(tmp_path / "demo.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PORT": "1234"})
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    said = json.loads(line)
    assert said["message"] == "The app was not started. demo.py, line 2: OSError: no disk."
    assert said["level"] == "ERROR"
