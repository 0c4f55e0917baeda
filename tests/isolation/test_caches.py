"""What Gradio keeps in memory is kept by room: beside nothing of another's, and without end of nobody's."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from ui.isolation.gradio_hooks import hooks
from ui.isolation.gradio_hooks.caches import DRAWINGS_AT_MOST, new_uuid
from ui.isolation.rooms import Room, Rooms


@pytest.fixture
def rooms(tmp_path: Path) -> list[Room]:
    hooks()
    made = Rooms(str(tmp_path), secret_key="a key of the tests")
    return [made.of("alice"), made.of("bob")]


@pytest.mark.parametrize("per_session", [False, True])
def test_a_cache_says_what_it_holds_of_a_room_alone(rooms: list[Room], per_session: bool) -> None:
    cache, (alice, bob) = gr.Cache(per_session=per_session), rooms
    with alice.entered():
        cache.set("hers", value=1)
        assert (list(cache.keys()), cache.get("hers")) == (["hers"], {"value": 1})
    with bob.entered():
        assert (list(cache.keys()), cache.get("hers")) == ([], None)


def test_sessions_of_one_person_are_apart_where_a_cache_is_by_session(
    rooms: list[Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for per_session in (False, True):
        cache = gr.Cache(per_session=per_session)
        for session in ("one", "other"):
            monkeypatch.setattr("gradio.caching._get_session_hash", lambda session=session: session)
            with rooms[0].entered():
                found.append(cache.get("key"))
                cache.set("key", value=1)
    assert found == [None, {"value": 1}, None, None]


def test_nobodys_code_finds_nothing_again() -> None:
    cache = gr.Cache()
    cache.set("key", value=1)
    assert (list(cache.keys()), cache.get("key")) == ([], None)


def test_drawings_are_kept_by_room_and_not_without_end(rooms: list[Room]) -> None:
    editor = gr.ImageEditor()
    for number in range(DRAWINGS_AT_MOST + 1):
        with rooms[0].entered():
            editor.blob_storage[str(number)] = number
    with rooms[1].entered():
        assert "1" not in editor.blob_storage
    with rooms[0].entered():
        assert ("0" in editor.blob_storage, "1" in editor.blob_storage) == (False, True)


def test_an_mcp_session_has_the_name_of_its_room(rooms: list[Room]) -> None:
    alice, bob = rooms
    with alice.entered():
        made = new_uuid().hex
    assert (alice.has_uuid(made), bob.has_uuid(made), alice.has_uuid(new_uuid().hex)) == (True, False, False)
