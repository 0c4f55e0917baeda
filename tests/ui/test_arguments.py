"""What becomes of each argument of `launch()` and of `Blocks()` is written down, and said in deploy/README.md."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.support.settings import sound_settings
from ui.arguments import BLOCKS, LAUNCH, MOUNTED, NOTHING, SIGNATURE, USED, Main
from ui.look import main_look

PAGE = (Path(__file__).parents[2] / "deploy" / "README.md").read_text("utf-8")


def parameters(function: Any) -> set[str]:
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = inspect.signature(function).parameters.values()
    return {one.name for one in found if one.kind not in kinds} - {"self"}


def test_each_argument_that_gradio_has_is_judged() -> None:
    """Where this fails, Gradio has a new one: say in `ui/arguments.py` and on the page what becomes of it."""
    assert set(SIGNATURE.parameters) - {"self"} == set(LAUNCH)
    moved = set(BLOCKS) - parameters(gr.Blocks.__init__)
    assert parameters(gr.Blocks.__init__) | moved == set(BLOCKS)
    with pytest.warns(UserWarning, match="moved from the Blocks constructor") as warned:
        gr.Blocks(**dict.fromkeys(moved))
    assert set(re.findall(r"\w+", str(warned[0].message).partition(": ")[2].partition(".")[0])) == moved


@pytest.mark.parametrize("kind", [gr.Interface, gr.ChatInterface, gr.TabbedInterface])
def test_what_is_made_of_blocks_takes_no_argument_of_launch_that_is_not_used(kind: Any) -> None:
    assert all(LAUNCH[name] == USED for name in parameters(kind.__init__) & set(LAUNCH))


def test_the_mount_takes_what_is_used() -> None:
    assert set(MOUNTED) <= parameters(gr.mount_gradio_app)
    assert all(LAUNCH[name] == USED for name in MOUNTED)


@pytest.mark.parametrize(("heading", "table"), [("launch()", LAUNCH), ("Blocks()", BLOCKS)])
def test_the_page_has_them_all(heading: str, table: dict[str, str]) -> None:
    rows = PAGE.partition(f"| argument of `{heading}` | here |")[2].partition("\n\n")[0].splitlines()
    said = {
        name: cells[2].strip()
        for row in rows[2:]
        for cells in [row.split("|")]
        for name in re.findall("`(\\w+)`", cells[1])
    }
    assert said == {name: what for name, what in table.items() if not name.startswith("_")}


def test_what_is_used_is_handed_to_the_mount() -> None:
    with gr.Blocks() as blocks:
        pass
    given = {name: object() for name, what in LAUNCH.items() if what == USED} | {
        "head": "<meta>",
        "favicon_path": __file__,
        "app_kwargs": {"description": "d", "root_path": "/x"},
        "max_threads": 7,
        "state_session_capacity": 9,
        "mcp_server": True,
    }
    main = Main(blocks=blocks, launched=given)
    look = main_look(title="T", prefix="", programs=False, pwa=False)
    options = main.options(**look)
    assert {name: options[name] for name in MOUNTED if name not in ("head", "app_kwargs", "pwa")} == {
        name: given[name] for name in MOUNTED if name not in ("head", "app_kwargs", "pwa")
    }
    assert options["head"] == look["head"] + "<meta>"
    assert options["app_kwargs"] == {"description": "d"}
    assert (blocks.max_threads, blocks._queue.max_thread_count, blocks.state_session_capacity) == (7, 7, 9)
    assert list(main.unused()) == [("app_kwargs['root_path']", NOTHING)]


def test_without_an_argument_the_host_s_look_stands() -> None:
    look = main_look(title="T", prefix="", programs=False, pwa=False)
    options = Main(blocks=gr.Blocks(), launched={}).options(**look)
    assert (options["theme"], options["head"], options["footer_links"]) == (
        look["theme"],
        look["head"],
        ["api", "settings"],
    )


@pytest.mark.parametrize(
    ("own", "named", "shown"),
    [("Shouter", {}, "Shouter"), ("Shouter", {"app_title": "Named"}, "Named"), (None, {}, "My Gradio app")],
)
def test_the_app_is_called_as_it_calls_itself(own: str | None, named: dict[str, str], shown: str) -> None:
    main = Main(blocks=gr.Blocks(**{"title": own} if own else {}), launched={})
    assert main.configured(sound_settings(**named)).app_title == shown


def test_paths_may_come_from_gradio_s_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ALLOWED_PATHS", "/a, /b")
    assert Main(blocks=gr.Blocks(), launched={}).of("allowed_paths") == ["/a", "/b"]
    assert Main(blocks=gr.Blocks(), launched={"allowed_paths": ["/c"]}).of("allowed_paths") == ["/c"]
