"""Where settings are read from: the process's environment, then one `.env`; and names there that are none of them."""

import logging
import os
import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Self

from dotenv import dotenv_values
from dotenv.parser import Original, parse_stream

TOP = Path(__file__).parents[1]
ALIKE = 0.84
"""How alike two names are, from 0 to 1, of which one is taken for the other misspelled."""

logging.getLogger("dotenv").setLevel(logging.ERROR)  # its warnings are in `Environment.unread`


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The names that are set, in upper case, and their values.

    Attributes:
        process: those of the process, which come first.
        file: those of `.env`; `path` is where it is, None where there is none.
        unread: the numbers of the lines there that set no name, such as `NAME: value`.
    """

    process: Mapping[str, str]
    file: Mapping[str, str]
    path: Path | None
    unread: Sequence[int] = ()

    @classmethod
    def read(cls) -> Self:
        """That of this process.

        Raises:
            UnicodeDecodeError: `.env` is not UTF-8 text.
        """
        path = env_file()
        process = {name.upper(): value for name, value in os.environ.items()}
        if not path:
            return cls(process=process, file={}, path=None)
        file = {name.upper(): value or "" for name, value in dotenv_values(path).items()}
        with path.open(encoding="utf-8") as lines:
            unread = [
                _line(each.original) for each in parse_stream(lines) if each.error or (each.key and each.value is None)
            ]
        return cls(process=process, file=file, path=path, unread=unread)

    def get(self, name: str) -> str:
        return self.process.get(name) or self.file.get(name, "")

    def source_of(self, name: str) -> str:
        """Where a setting's value comes from, in words."""
        if self.process.get(name):
            return "environment"
        return str(self.path) if self.file.get(name) else "default"


def env_file() -> Path | None:
    """`.env` in the working directory, else beside app.py."""
    return next((path for path in (Path.cwd() / ".env", TOP / ".env") if path.is_file()), None)


def _line(original: Original) -> int:
    """The blank lines before it belong to it too."""
    return original.line + original.string.removesuffix(original.string.lstrip()).count("\n")


def misspelled(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Each of `names` that is not known and looks like one that is, and which that is.

    The same words in another order look alike too, and so do names that differ in their underscores.
    """
    by_words = {_words(name): name for name in known}
    found = {}
    for name in names:
        if name in known:
            continue
        alike = by_words.get(_words(name)) or next(iter(get_close_matches(name, known, 1, ALIKE)), None)
        if alike:
            found[name] = alike
    return found


def _words(name: str) -> tuple[str, ...]:
    return tuple(sorted(part for part in name.split("_") if part))


def is_own_address(host: str) -> bool:
    """Whether a server of this machine can listen on `host`."""
    try:
        for family, _, _, _, address in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            with socket.socket(family) as tried:
                tried.bind(address)
    except OSError:
        return False
    return True
