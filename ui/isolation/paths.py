"""Paths, as Gradio reads them, and what lies where."""

import os
from typing import Any

PATH_CHARACTERS = 4096


def real_path(path: str) -> str:
    """As Gradio reads it: `..` is taken out before links are followed.

    Raises:
        ValueError: no file system has such a path.
    """
    place = os.path.abspath(path)
    if len(place) > PATH_CHARACTERS:
        raise ValueError("too long for a path")
    return os.path.realpath(place)


def is_listed(place: str, folders: Any) -> bool:
    """A real path is one of these files, or in one of these folders."""
    return any(is_in(place, real_path(str(folder))) for folder in folders)


def is_in(place: str, folder: str) -> bool:
    """A path is this folder or lies in it. Compared case-insensitively: some file systems are."""
    return f"{place}/".casefold().startswith(f"{folder.rstrip('/')}/".casefold())
