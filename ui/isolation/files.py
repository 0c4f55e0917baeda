"""Gradio's folder of uploaded and produced files: which of them a text names, however it is spelled."""

# ruff: noqa: PTH100, PTH116 - Gradio takes `..` out of a path before it follows links; `pathlib` cannot

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import PurePath
from urllib.parse import unquote

PATH_CHARACTERS = 4096


class Folder:
    """A file in it is known by its place: the one true spelling of its path.

    Args:
        assets: texts; the places that they name are open to everybody, and so is everything below them.
    """

    def __init__(self, path: str, *, assets: Iterable[str]) -> None:
        roots = {os.path.realpath(path), os.path.abspath(path)}
        self._roots = tuple(f"{root}/".casefold() for root in roots)
        places = {self.place(file) for text in assets for file in files_named_in(text)}
        self._assets = places - roots

    def is_open(self, place: str) -> bool:
        return place in self._assets or not self._assets.isdisjoint(map(str, PurePath(place).parents))

    def place(self, file: str) -> str | None:
        """Where a path leads in the folder; None where it leads elsewhere, or nowhere."""
        place = os.path.abspath(file)
        try:
            if not self._is_below(place):
                os.stat(place)
            if len(place) <= PATH_CHARACTERS:
                place = os.path.realpath(place)
        except (OSError, ValueError):
            return None
        return place if self._is_below(place) else None

    def _is_below(self, place: str) -> bool:
        """In any case: on a file system that tells none, what is spelled in another than the true one is nobody's."""
        return f"{place}/".casefold().startswith(self._roots)


def files_named_in(text: str) -> tuple[str, ...]:
    """What is a file if a text is a path or an address."""
    if "/" not in text and "%" not in text:
        return ()
    return text, *(unquote(re.split("[?#]", file, maxsplit=1)[0]) for file in addressed(text))


def addressed(address: str) -> Iterator[str]:
    """The file that an address of Gradio's ends in, as it stands there."""
    for mark in ("file=", "/file/"):
        _, found, file = address.partition(mark)
        if found:
            yield file


def changed(file: str) -> float:
    """When a file was made, written or handed out by Gradio last, in epoch seconds; 0 where there is none."""
    with suppress(OSError, ValueError):
        return os.stat(file).st_ctime
    return 0.0
