"""What Gradio's components do with values that a caller chose: for them none reads a file, asks a host, runs a script.

Each attempt is judged by what its caller got.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import gradio as gr
import pytest
from gradio.components.plot import PlotData

from auth import identity_of
from tests.isolation.support import API, Caller, file_object, host_elsewhere, person
from tests.support.app_server import AppServer
from tests.support.provider import Provider

pytestmark = pytest.mark.filterwarnings("ignore:Watermarking for SVG")  # of gr.Image, where nobody asked for one
MARK = "kept-by-the-machine"
SHOWING = {
    "annotated": gr.AnnotatedImage,
    "audio": gr.Audio,
    "bar": gr.BarPlot,
    "chatbot": gr.Chatbot,
    "code": gr.Code,
    "dataframe": gr.Dataframe,
    "dataset": lambda: gr.Dataset(components=[gr.Image(render=False)], samples=[[None]]),
    "dialogue": lambda: gr.Dialogue(speakers=["a"]),
    "download": gr.DownloadButton,
    "editor": gr.ImageEditor,
    "explorer": lambda: gr.FileExplorer(root_dir=str(Path(__file__).parent)),
    "file": gr.File,
    "gallery": gr.Gallery,
    "highlighted": gr.HighlightedText,
    "html": gr.HTML,
    "image": gr.Image,
    "json": gr.JSON,
    "label": gr.Label,
    "markdown": gr.Markdown,
    "model3d": gr.Model3D,
    "multimodal": gr.MultimodalTextbox,
    "params": gr.ParamViewer,
    "plot": gr.Plot,
    "slider": gr.ImageSlider,
    "upload": gr.UploadButton,
    "video": gr.Video,
}


ASKED: Mapping[str, Any] = {
    "html": lambda: gr.HTML(js_on_load=OWN_SCRIPT),
    "explorer": lambda: gr.FileExplorer(root_dir=str(Path(__file__).parent), glob="*.py"),
    "image": gr.Image,
    "chatbot": gr.Chatbot,
    "dropdown": lambda: gr.Dropdown(["a"]),
}
"""What functions ask for whole, as Gradio hands it to those that name its class."""


def handing_back(kind: type[gr.components.Component]) -> Any:
    def hand_back(component: Any) -> Any:
        return component

    hand_back.__annotations__ = {"component": kind}
    return hand_back


class Figure:
    """As Bokeh's are, to Gradio."""

    __module__ = "bokeh.plotting"


def drawn_for(text: str, request: gr.Request) -> tuple[str, str]:
    file = Path(tempfile.mkdtemp()) / "drawn.txt"
    file.write_text(f"{text} for {identity_of(request).subject}", "utf-8")
    return str(file), f"{text} for {identity_of(request).subject}"


AT_THE_TOP = "element.title = 'at the top';"
OWN_SCRIPT = "element.title = 'the app itself';"


def with_script(text: str) -> list[Any]:
    return with_component(gr.HTML(text, js_on_load=OWN_SCRIPT))


def with_component(component: Any) -> list[Any]:
    return [{"role": "assistant", "content": component}]


def showing() -> gr.Blocks:
    """Each component shows what its caller wrote: a text, a document, or what the component itself took."""
    with gr.Blocks() as blocks:
        text, document = gr.Textbox(), gr.JSON()
        file, files = gr.File(), gr.File(file_count="multiple")
        on = gr.Button().click
        for name, made in SHOWING.items():
            block = made()
            on(lambda value: value, text, block, api_name=f"{name}_of_text")
            on(lambda value: value, document, block, api_name=f"{name}_of_document")
            on(json.loads, text, block, api_name=f"{name}_of_json")
            on(lambda value: value, block, block, api_name=f"{name}_of_itself")
        for name in ("dataframe", "label", "image"):
            on(lambda path: path, file, SHOWING[name](), api_name=f"{name}_of_file")
        on(lambda paths: paths, files, gr.Gallery(), api_name="gallery_of_file")
        on(with_script, text, gr.Chatbot(), api_name="chatbot_with_script")
        for name, made in ASKED.items():
            block = made()
            on(handing_back(type(block)), block, block, api_name=f"{name}_handed_back")
            on(lambda: gr.update(label="as changed"), None, block, api_name=f"{name}_changed")
        html, template = gr.HTML(), gr.HTML(html_template="{{value}}{{name}}", name="n")
        on(lambda text: (None, json.loads(text)), text, [html, gr.HTML()], api_name="second_of_json")
        on(lambda text: {html: json.loads(text)}, text, [html, gr.HTML()], api_name="named_of_json")
        on(lambda text: gr.HTML(text, name={text: [text]}), text, template, api_name="template_of_text")
        gr.Plot(PlotData(type="bokeh", plot="drawn at the start"))
        state = gr.State([str(Path(__file__))])
        on(lambda text, kept: [*kept, text], [text, state], state, api_name="keep")
        on(lambda text, kept: kept.append(text), [text, state], None, api_name="append")
        on(lambda kept: kept[-1], state, gr.File(), api_name="take_last")
        choice, offered = gr.Dropdown(["a"]), {"glob": "*.py", "ignore_glob": "*support*"}
        on(lambda chosen: chosen, choice, gr.File(), api_name="chosen_unchecked", preprocess=False)
        for count in ("single", "multiple"):
            explorer = gr.FileExplorer(root_dir=str(Path(__file__).parents[1]), file_count=count, **offered)
            on(lambda chosen: str(chosen), explorer, gr.Textbox(), api_name=f"explored_{count}")
        gr.HTML(js_on_load=AT_THE_TOP)
        on(lambda text: gr.update(label=text), text, gr.HTML(), api_name="labelled")
        on(lambda: (gr.skip(), gr.HTML(label="as a component")), None, [gr.HTML(), gr.HTML()], api_name="skipped")
        on(lambda: Figure(), None, gr.Plot(), api_name="own_chart")
        on(lambda: with_component(gr.Plot(Figure())), None, gr.Chatbot(), api_name="own_chart_in_a_chat")
        changing = {"fn": lambda text: gr.update(label=f"as {text}"), "cache_examples": True, "api_name": "changing"}
        gr.Examples(["one"], text, gr.Textbox(), **changing)
        gr.Examples(
            ["one"],
            text,
            [gr.File(), gr.Textbox()],
            drawn_for,
            cache_examples=True,
            cache_mode="lazy",
            api_name="example",
        )
        gr.DeepLinkButton()
    return blocks


asked: list[str] = []


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    with host_elsewhere(MARK.encode(), asked) as address:
        yield address


@pytest.fixture(scope="module")
def house(providers: Mapping[str, Provider], tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_EXAMPLES_CACHE", str(tmp_path_factory.mktemp("examples")))
        with AppServer(providers, main_blocks=showing) as server:
            yield server


CONTENTS = {
    "csv": f"{MARK},b\n1,2\n",
    "json": json.dumps({"label": MARK}),
    "svg": f"<svg xmlns='http://www.w3.org/2000/svg'><text>{MARK}</text></svg>",
    "vtt": f"WEBVTT\n\n00:00.000 --> 00:01.000\n{MARK}\n",
}


@pytest.fixture(scope="module", params=["the machine's", "another's"])
def kept(request: pytest.FixtureRequest, bob: Caller) -> Iterator[list[str]]:
    """A file of each kind that is not Alice's: below the working directory, or in another's room."""
    if request.param == "another's":
        yield [bob.upload(f"kept.{kind}", content.encode()) for kind, content in CONTENTS.items()]
        return
    files = [Path(f"kept-{uuid4().hex}.{kind}").absolute() for kind in CONTENTS]
    for file, content in zip(files, CONTENTS.values(), strict=True):
        file.write_text(content, "utf-8")
    yield [str(file) for file in files]
    for file in files:
        file.unlink()


def got(alice: Caller, function: str, value: object) -> str:
    """All that a call gives her: its answer, and the content of each file that this names."""
    answer = alice.ask("POST", f"{API}/run/{function}", json={"data": [value]}).text
    contents = [
        alice.get(f"file={part}").text for part in set(answer.replace("\\", "").split('"')) if part.startswith("/")
    ]
    return " ".join([answer, *contents])


SHAPES: Mapping[str, Any] = {
    "a list": lambda name: [name],
    "with a caption": lambda name: [[name, "a"]],
    "a row": lambda name: [[name]],
    "a value": lambda name: {"value": name},
    "a drawing": lambda name: {"background": name, "layers": [name], "composite": name},
    "a message": lambda name: {"text": "", "files": [name]},
    "a said message": lambda name: [{"role": "user", "content": [{"type": "text", "text": name}]}],
    "an update": lambda name: {"__type__": "update", "value": name},
    "a component": lambda name: said("button", name, icon=name),
}


def said(component: str, value: object, /, **arguments: object) -> list[object]:
    """A chat in which a component was said, as its reader sends it back."""
    part = {"type": "component", "component": component, "value": value}
    part |= {"constructor_args": arguments, "props": arguments}
    return [{"role": "assistant", "content": [part]}]


@pytest.mark.parametrize("name", SHOWING)
def test_no_component_reads_a_file_that_its_caller_names(alice: Caller, kept: list[str], name: str) -> None:
    for file in kept:
        assert MARK not in got(alice, f"{name}_of_itself", file)
        for value in (file, os.path.relpath(file), f"file://{file}"):
            assert MARK not in got(alice, f"{name}_of_text", value), value
        for shape, made in SHAPES.items() if "svg" in file else ():
            assert MARK not in got(alice, f"{name}_of_document", made(file)), shape


@pytest.mark.parametrize("name", SHOWING)
def test_no_component_asks_a_host_that_its_caller_names(alice: Caller, elsewhere: str, name: str) -> None:
    for kind in CONTENTS:
        url = f"{elsewhere}/{name}.{kind}"
        got(alice, f"{name}_of_text", url)
        for made in SHAPES.values() if kind == "svg" else ():
            got(alice, f"{name}_of_document", made(url))
    assert not [path for path in asked if path.startswith(f"/{name}.")]


@pytest.mark.parametrize("component", ["button", "image", "video", "chatbot", "html", "gallery", "dataset", "file"])
def test_no_component_in_a_chat_is_made_of_files_that_its_caller_names(
    alice: Caller, kept: list[str], component: str
) -> None:
    for file in kept:
        for name in ("icon", "value", "subtitles", "watermark", "placeholder", "avatar_images", "examples", "samples"):
            for value in (file, [[file]], [{"icon": file, "files": [file]}]) if "svg" in file else (file,):
                assert MARK not in got(alice, "chatbot_of_itself", said(component, None, **{name: value})), value


def test_ones_own_files_are_read(alice: Caller) -> None:
    table = alice.upload("own.csv", CONTENTS["csv"].encode())
    assert Path(table).parents[1].stat().st_mode & 0o077 == 0, "of the machine's other users, too"
    drawing = alice.upload("own.svg", CONTENTS["svg"].encode())
    label = alice.upload("own.json", CONTENTS["json"].encode())
    for function, file in (("dataframe", table), ("gallery", drawing), ("image", drawing), ("label", label)):
        shape = [file] if function == "gallery" else file
        assert MARK in got(alice, f"{function}_of_file", [file_object(file)] if shape != file else file_object(file))
    assert "a label" in got(alice, "label_of_text", "a label")
    assert "app.py" in got(alice, "markdown_of_text", "app.py")


SCRIPT = "document.title = 'a script'"


def test_a_script_in_a_chat_is_one_that_the_app_has_shown(alice: Caller) -> None:
    for name in ("js_on_load", "html_template", "css_template", "head"):
        for function in ("chatbot_of_itself", "chatbot_of_document"):
            for kind, script in (("html", SCRIPT), ("HTML", [SCRIPT])):
                answer = alice.ask("POST", f"{API}/run/{function}", json={"data": [said(kind, "x", **{name: script})]})
                for message in answer.json()["data"][0]:
                    assert SCRIPT not in str(message["content"][0]["props"]), (function, name)
    shown = alice.ask("POST", f"{API}/run/chatbot_with_script", json={"data": ["x"]}).json()["data"][0]
    assert OWN_SCRIPT in json.dumps(shown)
    assert OWN_SCRIPT in got(alice, "chatbot_of_itself", shown), "as it was"


@pytest.mark.parametrize("name", SHOWING)
def test_no_caller_changes_the_properties_of_a_component(alice: Caller, name: str) -> None:
    for kind in ("update", "an update", ["update"]):
        update = {"__type__": kind, "js_on_load": SCRIPT, "head": SCRIPT, "value": "x"}
        for function in (f"{name}_of_itself", f"{name}_of_document"):
            answer = alice.ask("POST", f"{API}/run/{function}", json={"data": [update]})
            assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("name", [*SHOWING, "second", "named"])
def test_no_json_of_a_callers_changes_the_properties_of_a_component(alice: Caller, name: str) -> None:
    """Though the app reads it."""
    for kind in ("update", "an update", ["update"]):
        update = {"__type__": kind, "js_on_load": SCRIPT, "root_dir": "/", "value": None}
        answer = alice.ask("POST", f"{API}/run/{name}_of_json", json={"data": [json.dumps(update)]})
        assert "by gr.update()" in answer.text, answer.text


def test_the_app_changes_the_properties_of_its_components(alice: Caller) -> None:
    assert alice.run("labelled", "mine")[0]["label"] == "mine"
    skipped, made = alice.run("skipped")
    assert (skipped.get("value"), made["label"]) == (None, "as a component")


HANDED = {
    "js_on_load": SCRIPT,
    "html_template": SCRIPT,
    "server_functions": ["x"],
    "root_dir": "/",
    "glob": "**/*",
    "watermark": "app.py",
    "avatar_images": ["app.py", "app.py"],
    "choices": [["app.py", "app.py"]],
    "label": SCRIPT,
}


@pytest.mark.parametrize("name", ASKED)
def test_a_function_that_asks_for_a_component_gets_its_value_from_the_caller_and_all_else_from_the_app(
    alice: Caller, name: str
) -> None:
    value = {"html": "x", "dropdown": "a"}.get(name, [] if name != "image" else None)
    for hers in (uuid4().hex, uuid4().hex):
        body = {"data": [{"value": value, **HANDED}], "session_hash": hers}
        answer = alice.ask("POST", f"{API}/run/{name}_handed_back", json=body)
        assert answer.status_code == 200, answer.text
        (shown,) = answer.json()["data"]
        assert shown["value"] == value
        for made in HANDED.values():
            assert json.dumps(made) not in json.dumps(shown)
    assert shown["label"] != "as changed"
    alice.ask("POST", f"{API}/run/{name}_changed", json={**body, "data": []})
    answer = alice.ask("POST", f"{API}/run/{name}_handed_back", json=body)
    assert answer.json()["data"][0]["label"] == "as changed"
    if name == "html":
        assert shown["js_on_load"] == OWN_SCRIPT
    if name == "explorer":
        (number, *_) = (
            part["id"]
            for part in alice.ask("GET", "/gradio/config").json()["components"]
            if part["props"].get("glob") == "*.py"
        )
        asked = {"session_hash": hers, "component_id": number, "fn_name": "ls", "data": None}
        assert "support.py" in alice.ask("POST", f"{API}/component_server", json=asked).text
        assert alice.ask("POST", f"{API}/component_server", json={**asked, "data": ["etc"]}).json() == []


def test_what_a_component_does_not_offer_is_not_chosen_from_it(alice: Caller) -> None:
    assert alice.ask("POST", f"{API}/run/chosen_unchecked", json={"data": ["app.py"]}).status_code == 500


@pytest.mark.parametrize("count", ["single", "multiple"])
def test_a_file_explorer_hands_over_what_it_shows_and_nothing_else(alice: Caller, count: str) -> None:
    here = Path(__file__)
    shown = {here.parent.name: 200, f"{here.parent.name}/{here.name}": 200}
    for name, status in {**shown, "requirements.txt": 500, f"{here.parent.name}/support.py": 500}.items():
        answer = alice.ask("POST", f"{API}/run/explored_{count}", json={"data": [[name.split("/")]]})
        assert (answer.status_code, name in answer.text) == (status, status == 200), answer.text


@pytest.mark.parametrize("function", ["keep", "append"])
def test_what_a_caller_wrote_into_a_state_is_still_the_callers(alice: Caller, function: str) -> None:
    session = {"session_hash": uuid4().hex}
    own = alice.ask("POST", f"{API}/run/take_last", json={"data": [None], **session})
    assert own.json()["data"][0]["orig_name"] == Path(__file__).name, "the app's own"
    for text in ("app.py", str(Path("app.py").resolve())):
        body = {"data": [text, None], **session}
        assert alice.ask("POST", f"{API}/run/{function}", json=body).status_code == 200
        taken = alice.ask("POST", f"{API}/run/take_last", json={"data": [None], **session})
        assert taken.status_code == 500, taken.text
    own = alice.ask("POST", f"{API}/run/take_last", json={"data": [None], "session_hash": uuid4().hex})
    assert own.status_code == 200, "in another session"


def test_files_are_deleted_by_age_as_the_app_says(providers: Mapping[str, Provider]) -> None:
    def passing() -> gr.Blocks:
        with gr.Blocks(delete_cache=(1, 1)) as blocks:
            gr.Button().click(drawn_for, gr.Textbox(), [gr.File(), gr.Textbox()], api_name="draw")
        return blocks

    with AppServer(providers, main_blocks=passing) as server:
        for caller in person(server):
            paths = [caller.upload("a.txt", b"a"), caller.run("draw", "x")[0]["path"]]
            for _ in range(100):
                if not any(map(os.path.exists, paths)):
                    break
                time.sleep(0.1)
            assert {caller.get(f"file={path}").status_code for path in paths} == {404}


def test_the_outputs_of_examples_are_those_of_who_uses_them(alice: Caller, bob: Caller) -> None:
    for _ in range(2):
        for caller, subject in ((alice, "alice-1"), (bob, "bob-2")):
            file, text = caller.run("example", 0)
            assert text == f"one for {subject}"
            assert caller.get(f"file={file['path']}").text == text


def test_an_example_may_change_the_properties_of_a_component(alice: Caller) -> None:
    assert alice.run("changing", 0)[0]["label"] == "as one"


# -- charts, of which one kind runs scripts ---------------------------------------------------------------------------


@pytest.fixture
def bokeh(monkeypatch: pytest.MonkeyPatch) -> None:
    embed = SimpleNamespace(json_item=lambda figure: {"root_id": OWN_SCRIPT})
    monkeypatch.setitem(sys.modules, "bokeh", SimpleNamespace(__version__="3.8.1", embed=embed))
    monkeypatch.setitem(sys.modules, "bokeh.embed", embed)


def linked(caller: Caller, function: str, *data: object) -> str:
    """All that a deep link to what a function showed says."""
    session = uuid4().hex
    body = {"data": data, "session_hash": session}
    assert caller.ask("POST", f"{API}/run/{function}", json=body).status_code == 200
    link = caller.ask("GET", f"{API}/deep_link", params={"session_hash": session}).json()
    return caller.ask("GET", "/gradio/config", params={"deep_link": link}).text


@pytest.mark.usefixtures("bokeh")
def test_a_deep_link_shows_the_charts_that_the_app_drew(alice: Caller) -> None:
    for function in ("own_chart", "own_chart_in_a_chat"):
        assert linked(alice, function).count("root_id"), function
    (chart,) = alice.run("own_chart")
    assert "root_id" in linked(alice, "plot_of_itself", chart)
    others = {**chart, "plot": json.dumps({"root_id": SCRIPT})}
    assert "root_id" not in linked(alice, "plot_of_itself", others)
    for plot in (others["plot"], [others["plot"]], {"a": others["plot"]}):
        said_by = said("plot", {**others, "plot": plot}, bokeh_version="3.8.1")
        for function in ("chatbot_of_itself", "chatbot_of_document"):
            answer = alice.ask("POST", f"{API}/run/{function}", json={"data": [said_by]})
            assert "root_id" not in answer.text, function
    assert "drawn at the start" in alice.ask("GET", "/gradio/config").text, "what a link leaves out is not lost"


def test_what_a_template_is_filled_with_is_text_behind_a_deep_link(alice: Caller) -> None:
    shown = json.loads(linked(alice, "template_of_text", "${x} ` \\"))["components"]
    (props,) = (part["props"] for part in shown if part["props"].get("html_template") == "{{value}}{{name}}")
    text = "\\${x} \\` \\\\"
    assert (props["value"], props["props"]) == (text, {"name": {text: [text]}})


def test_a_deep_link_shows_whatever_a_session_holds(alice: Caller) -> None:
    file = alice.upload("twice.txt", b"twice")
    folder = str(Path(file).parent)
    assert folder in linked(alice, "json_of_document", file_object(folder)), "left as it is"
    shown = linked(alice, "json_of_document", [file_object(file), file_object(file)])
    assert shown.count("twice.txt") >= 2
    assert AT_THE_TOP in shown
    assert alice.ask("GET", f"{API}/deep_link", params={"session_hash": "never-used"}).json() == ""
