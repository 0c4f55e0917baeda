"""A Content-Security-Policy as data: its directives by name, the sources of each as one text (w3.org/TR/CSP3)."""

import base64
import hashlib
import re
from collections.abc import Mapping
from difflib import get_close_matches

Policy = Mapping[str, str]

SOURCE_DIRECTIVES = (
    "child-src connect-src default-src fenced-frame-src font-src frame-src img-src manifest-src media-src object-src "
    "script-src script-src-elem script-src-attr style-src style-src-elem style-src-attr worker-src "
    "base-uri form-action frame-ancestors"
)
OTHER_DIRECTIVES = "report-to report-uri require-trusted-types-for sandbox trusted-types upgrade-insecure-requests"
KEYWORDS = "self none unsafe-inline unsafe-eval wasm-unsafe-eval unsafe-hashes strict-dynamic report-sample"
SOURCE = re.compile(r"'[\w+/=-]+'|[a-z][a-z0-9+.-]*:|\*|([a-z][a-z0-9+.-]*://)?[^\s'\"]+", re.IGNORECASE)


def parse_policy(text: str) -> Policy:
    """The directives of a header's value.

    Raises:
        ValueError: it cannot stand in a header, a directive is unknown or there twice, or one of its sources is none.
    """
    if "," in text or not (text.isascii() and " ".join(text.split()).isprintable()):
        raise ValueError("a comma or an unusual character cannot stand in it")
    policy: dict[str, str] = {}
    with_sources = SOURCE_DIRECTIVES.split()
    known = [*with_sources, *OTHER_DIRECTIVES.split()]
    for part in filter(str.strip, text.split(";")):
        name, *sources = part.split()
        name = name.lower()
        if name not in known:
            meant = get_close_matches(name, known, 1)
            raise ValueError(f"there is no directive {name!r}" + (f"; is {meant[0]} meant?" if meant else ""))
        if name in policy:
            raise ValueError(f"{name} is there twice")
        for source in sources if name in with_sources else ():
            if source.lower() in KEYWORDS.split():
                raise ValueError(f"in {name}, {source} needs its quotes: '{source}'")
            if not SOURCE.fullmatch(source):
                raise ValueError(f"in {name}, {source!r} is no source")
        policy[name] = " ".join(sources)
    return policy


def serialized(policy: Policy) -> str:
    return "; ".join(f"{name} {sources}".rstrip() for name, sources in policy.items())


def hash_of(text: str) -> str:
    """The source that lets a script or style of this very text stand in a page (CSP3 section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
