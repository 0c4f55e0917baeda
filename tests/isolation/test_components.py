"""What Gradio's components do with values that a caller chose: for them none reads a file, asks a host, runs a script.

Each attempt is judged by what its caller got.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr
import pytest

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


OWN_SCRIPT = "element.title = 'the app itself';"


def with_script(text: str) -> list[Any]:
    return [{"role": "assistant", "content": gr.HTML(text, js_on_load=OWN_SCRIPT)}]


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
            on(lambda value: value, block, block, api_name=f"{name}_of_itself")
        for name in ("dataframe", "label", "image"):
            on(lambda path: path, file, SHOWING[name](), api_name=f"{name}_of_file")
        on(lambda paths: paths, files, gr.Gallery(), api_name="gallery_of_file")
        on(with_script, text, gr.Chatbot(), api_name="chatbot_with_script")
        gr.DeepLinkButton()
    return blocks


asked: list[str] = []


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    with host_elsewhere(MARK.encode(), asked) as address:
        yield address


@pytest.fixture(scope="module")
def house(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    with AppServer(providers, main_blocks=showing) as server:
        yield server


@pytest.fixture(scope="module")
def alice(house: AppServer) -> Iterator[Caller]:
    yield from person(house)


@pytest.fixture(scope="module")
def bob(house: AppServer) -> Iterator[Caller]:
    yield from person(house, sub="bob-2", name="Bob Example")


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
