"""The start refuses a Gradio that no longer asks what stands in the place of its own: each hook is undone in turn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gradio as gr
import pytest

UNDONE = """
import json
import sys
from collections import defaultdict

from auth.settings import SettingsError
from ui.isolation import gradio_hooks, probe
from ui.isolation.gradio_hooks import patch

MISSING = object()
replaced = defaultdict(list)
replace, always = patch.replace, patch.always


def note(owner, name):
    everywhere = name in ("get_upload_folder", "DEFAULT_TEMP_DIR", "ThreadPoolExecutor", "update", "skip")
    key = name if everywhere else f"{owner.__name__}.{name}"
    replaced[key].append((owner, name, vars(owner).get(name, MISSING)))


def noting_replace(owner, name, value):
    note(owner, name)
    replace(owner, name, value)


def noting_always(kind, name, value):
    note(kind, name)
    always(kind, name, value)


patch.replace, patch.always = noting_replace, noting_always
gradio_hooks.hooks()
patch.replace, patch.always = replace, always


def put(owner, name, value):
    delattr(owner, name) if value is MISSING else setattr(owner, name, value)


def said():
    try:
        probe.prove.__wrapped__()
    except SettingsError as error:
        return str(error)
    return ""


found = {"none": said()}
for key, places in replaced.items():
    ours = [(owner, name, vars(owner)[name]) for owner, name, _ in places]
    for place in places:
        put(*place)
    found[key] = said()
    for place in ours:
        put(*place)
print("found " + json.dumps(found))
"""

UNNOTICED = {
    "gradio.blocks.App": "it saves time, and keeps nobody apart",
    "gradio.utils.MatplotlibBackendMananger": "the same",
    "get_upload_folder": "what asks for it has a hook of its own",
    "DEFAULT_TEMP_DIR": "of closed routes, and of MCP",
    "ImageEditor.blob_storage": "a drawing is sent in several requests",
    "Block.move_resource_to_block_cache": "it fetches nothing, where a fetch is refused all the same",
    "Block.async_move_resource_to_block_cache": "the same",
    "gradio.processing_utils._check_allowed": "Gradio refuses more than the host",
    "gradio.processing_utils.check_all_files_in_cache": "of MCP; elsewhere the body's model has done it",
    "gradio.processing_utils.move_files_to_cache": "Gradio takes the other one in events",
    "gradio.processing_utils.async_move_files_to_cache": "what is shown is checked once more",
    "gradio.routes.ResetBody": "an event has a name that nobody guesses",
    "gradio.routes.SimplePredictBody": "the model it is made into does the same",
    "gradio.routes.ComponentServerBlobBody": "a drawing is sent in several requests",
    "gradio.routes.generate_code_snippets": "a page's help keeps nobody apart",
    "_CacheStore._session_prefix": "another hook calls it",
    "_CacheStore.keys": "a function asks for it, not Gradio",
    "Examples.load_from_cache": "it would have to run an example, whose outputs are kept as files",
    "Plot.postprocess": "a deep link then shows no chart",
    "mcp.server.sse.uuid4": "of MCP, which may be off",
    "gradio.routes.attach_oauth": "of a Space",
    "gradio.route_utils.get_root_url": "it saves time, and keeps nobody apart",
}
"""Not tried at the start, and why; the other tests here try by effect what they are for."""


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What the start says with each hook undone."""
    command = [sys.executable, "-c", UNDONE]
    top = Path(__file__).parents[2]
    ran = subprocess.run(command, cwd=top, capture_output=True, text=True, timeout=300, check=True)
    (found,) = (line.removeprefix("found ") for line in ran.stdout.splitlines() if line.startswith("found "))
    return dict(json.loads(found))


@pytest.mark.timeout(320)
def test_the_gradio_that_was_tried_is_let_start(said: dict[str, str]) -> None:
    assert said["none"] == ""


def test_the_start_refuses_a_gradio_that_asks_no_hook(said: dict[str, str]) -> None:
    assert {hook for hook, sentence in said.items() if not sentence} - {"none"} == UNNOTICED.keys()
    for sentence in filter(None, said.values()):
        assert sentence.startswith(f"Gradio {gr.__version__} does not keep people apart")
        assert "It was tried with Gradio" in sentence
