"""What a check has found: read by a person, or as JSON."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of `python app.py --check`.

    Attributes:
        what: the thing that was looked at, in a word or two.
        found: a sentence. mend: how to put it right, where something is not.
    """

    level: Literal["ok", "warning", "wrong"]
    what: str
    found: str
    mend: str = ""


def ok(what: str, found: str) -> Finding:
    return Finding(level="ok", what=what, found=found)


def warning(what: str, found: str, mend: str = "") -> Finding:
    return Finding(level="warning", what=what, found=found, mend=mend)


def wrong(what: str, found: str, mend: str = "") -> Finding:
    return Finding(level="wrong", what=what, found=found, mend=mend)
