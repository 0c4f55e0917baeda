"""A room for every identity: what their sessions and events are called, and the folder that their files lie in.

Nothing is remembered: whose a name or a file is, is read off its name.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID, uuid4

from ui.isolation.paths import is_in


@dataclass(frozen=True, slots=True)
class Room:
    """Attributes:
    name: begins with "u" for an identity's room, and is not to be guessed.
    folder: a real path, without a slash at its end. Its files are this room's alone.
    shared: the folder of what this app shows to everybody who is in.
    """

    name: str
    folder: str
    shared: str

    @property
    def is_of_identity(self) -> bool:
        return self.name[0] == "u"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The code inside, and the tasks and threads that it starts, are in this room."""
        token = _here.set(self)
        try:
            yield
        finally:
            _here.reset(token)

    def named(self, name: str | None) -> str | None:
        """What a session, an event or an upload is called in this room; what is called so already keeps its name."""
        return name if name is None or name.startswith(f"{self.name}.") else f"{self.name}.{name}"

    def new_uuid(self) -> UUID:
        """A name for what has to be called by a UUID: one half says whose it is, the other is random."""
        return UUID(bytes=bytes.fromhex(self.name[1:17]) + uuid4().bytes[:8])

    def has_uuid(self, uuid: str) -> bool:
        try:
            return UUID(uuid).hex.startswith(self.name[1:17])
        except ValueError:
            return False

    def may_read(self, place: str) -> bool:
        """Of a real path."""
        return is_in(place, self.folder) or is_in(place, self.shared)


DAY_SECONDS = 24 * 3600.0
LINK_SECONDS = 30 * DAY_SECONDS
"""How long a deep link opens."""


class Rooms:
    """The rooms of one app.

    Args:
        root: the folder below which all rooms of this process have theirs.
        secret_key: the rooms' names are hashes keyed with it: another key, other rooms.
    """

    def __init__(self, root: str, *, secret_key: str) -> None:
        self._key = blake2b(secret_key.encode(), person=b"rooms").digest()
        self._root = os.path.realpath(root)
        self.folder = os.path.join(self._root, blake2b(self._key, digest_size=4).hexdigest())
        self.shared = self._room("shared")
        """What is made while the app is put together. Everybody who is in may read it."""
        self.links = self._room("links")
        """The states that deep links show. Only Gradio reads them."""

    @lru_cache(maxsize=4096)  # noqa: B019 - there is one of these for each app
    def of(self, identity: str) -> Room:
        return self._room("u" + blake2b(identity.encode(), key=self._key, digest_size=16).hexdigest())

    def sweep(self, now: float, *, keep_seconds: float | None = None) -> None:
        """Delete old deep links, and the rooms of keys that no process has used for a day; to be called once an hour.

        Args:
            now: epoch seconds.
            keep_seconds: the age from which on people's files are deleted; None where they are kept.
        """
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        os.utime(self.folder, (now, now))
        _delete(self._root, r"[0-9a-f]{8}", older_than=now - DAY_SECONDS)
        for folder in (os.path.join(self.links.folder, "deep_links"), os.path.join(self.shared.folder, "links")):
            if os.path.isdir(folder):
                _delete(folder, r".+", older_than=now - LINK_SECONDS)
        if keep_seconds:
            for entry in os.scandir(self.folder):
                if entry.name[0] == "u":
                    _delete_files(entry.path, older_than=now - keep_seconds)

    def _room(self, name: str) -> Room:
        return Room(name, os.path.join(self.folder, name), os.path.join(self.folder, "shared"))


def _delete(folder: str, name: str, *, older_than: float) -> None:
    for entry in os.scandir(folder):
        if re.fullmatch(name, entry.name) and entry.stat(follow_symlinks=False).st_mtime < older_than:
            shutil.rmtree(entry.path, ignore_errors=True)


def _delete_files(folder: str, *, older_than: float) -> None:
    """But for the outputs of examples, which name each other."""
    for place, folders, names in os.walk(folder):
        if place == folder and "examples" in folders:
            folders.remove("examples")
        for path in (os.path.join(place, name) for name in names):
            with suppress(FileNotFoundError):
                if os.lstat(path).st_ctime < older_than:
                    os.unlink(path)


_here: ContextVar[Room | None] = ContextVar("room", default=None)


def room_here() -> Room | None:
    """The room that the running code is in; None where nobody is being served, as in a thread that an app starts."""
    return _here.get()


def room_of(name: str) -> str:
    """The name of the room that a session, an event or an upload of this name is in."""
    return name.partition(".")[0]
