"""Which files are served to whom, and as what."""

from __future__ import annotations

from pathlib import Path

import pytest

from auth.errors import NotFound
from tests.support.asgi import http_scope
from ui.isolation.files import Files
from ui.isolation.rooms import Room, Rooms

INLINE, DOWNLOADED = "inline", "attachment"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    rooms = Rooms(str(tmp_path / "rooms"), secret_key="a key of the tests")
    for path in (
        "rooms/own",
        "open/secret",
        "page.html",
        "elsewhere.txt",
        "open/a.html",
        "open/a.txt",
        "open/secret/b",
    ):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.mkdir() if "." not in path and path[-1] != "b" else file.write_text("x", "utf-8")
    alice = rooms.of("alice")
    for name in ("a.txt", "a.html"):
        Path(alice.folder).mkdir(parents=True, exist_ok=True)
        (Path(alice.folder) / name).write_text("x", "utf-8")
    return alice


SERVED = {
    "one's own": ("{own}/a.txt", INLINE, "text/plain; charset=utf-8"),
    "one's own that could run": ("{own}/a.html", DOWNLOADED, "application/octet-stream"),
    "of a folder that the author opened": ("{top}/open/a.txt", INLINE, "text/plain; charset=utf-8"),
    "of such a folder, as the author has it": ("{top}/open/a.html", INLINE, "text/html; charset=utf-8"),
    "what stands on a page": ("{top}/page.html", DOWNLOADED, "application/octet-stream"),
}
REFUSED = {
    "a folder": "{own}",
    "elsewhere": "{top}/elsewhere.txt",
    "what is blocked in an open folder": "{top}/open/secret/b",
    "what is not there": "{own}/b.txt",
    "no path": "{own}/a\0b",
    "a path too long": "{own}" + "/a" * 3000,
}


def files(top: Path) -> Files:
    return Files(
        folders=lambda: ([top / "open"], [top / "OPEN/Secret"]),  # some file systems tell no case
        is_asset=str(top / "page.html").__eq__,
        shown=["text/plain"],
    )


@pytest.mark.parametrize(("name", "shown", "kind"), SERVED.values(), ids=SERVED)
def test_a_file_is_served_as_what_does_not_run(tmp_path: Path, room: Room, name: str, shown: str, kind: str) -> None:
    answer = files(tmp_path).response(name.format(own=room.folder, top=tmp_path), room, http_scope())
    assert answer.headers["content-disposition"].startswith(shown)
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == (
        "nosniff",
        "private, no-cache",
    )
    again = http_scope(headers={"If-None-Match": answer.headers["etag"]})
    assert files(tmp_path).response(name.format(own=room.folder, top=tmp_path), room, again).status_code == 304


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED)
def test_nothing_else_is_served(tmp_path: Path, room: Room, name: str) -> None:
    with pytest.raises(NotFound):
        files(tmp_path).response(name.format(own=room.folder, top=tmp_path), room, http_scope())
