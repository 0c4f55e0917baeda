"""What the pages of mounted Blocks may load and run: the host's policy, and what the Blocks' author asked for."""

import logging
import re
from collections import defaultdict
from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import quote, urljoin, urlsplit

import gradio as gr
from starlette.types import Scope

from auth import Identity
from auth.content_policy import hash_of
from auth.identity import credential_in
from auth.web import SecurityHeaders

log = logging.getLogger("auth")

ADDRESS = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])(https?://[^\s'"()<>]+)""")


class BlocksPolicy:
    """The Content-Security-Policy of the pages of mounted Blocks, one for each answer.

    Gradio makes functions of text (`gr.HTML`, `js=`, charts), so 'unsafe-eval' stays; scripts that stand in a page, in
    an attribute or in an address run only if the page came with them.

    Args:
        at: where the Blocks are mounted, as people type it.
    """

    def __init__(self, security: SecurityHeaders, blocks: gr.Blocks, *, at: str) -> None:
        scripts = " ".join(f"{at}/{folder}/" for folder in ("assets", "static", "gradio_api/custom_component"))
        self.asked_for = asked_for(blocks, at=at)
        if elsewhere := sorted({source for named in self.asked_for.values() for source in named if "//" in source}):
            log.info("pages may load, as the Blocks at %s ask: %s", at, " ".join(elsewhere))
        self._policy = security.page(
            {
                "default-src": "'self'",
                "script-src": f"{scripts} 'unsafe-eval'",
                "style-src": "'self' 'unsafe-inline'",
                "img-src": "'self' data: blob:",
                "media-src": "'self' data: blob:",
                "font-src": "'self' data:",
                "connect-src": "'self' data: blob:",
                "worker-src": "'self' blob:",
                "frame-src": "'self'",
                "base-uri": f"{at}/",
            }
        )

    def value(self, scope: Scope, nonce: str) -> str:
        """The header's value for one page, whose own scripts have this nonce; with its reader's picture."""
        caller = credential_in(scope).outcome
        picture = caller.picture if isinstance(caller, Identity) else None
        also = defaultdict(list, {name: list(sources) for name, sources in self.asked_for.items()})
        also["script-src"].append(f"'nonce-{nonce}'")
        if picture and (source := source_of(picture)):
            also["img-src"].append(source)
        return self._policy.value({name: " ".join(sources) for name, sources in also.items()})


def source_of(address: str, base: str = "") -> str:
    """An address as a source of a policy, "" where it cannot be one."""
    url = urlsplit(urljoin(base, address))
    if url.scheme not in ("http", "https") or not re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", url.netloc):
        return ""
    return f"{url.scheme}://{url.netloc}{quote(url.path, safe='/%:@!$&()*+=~')}"


def asked_for(blocks: gr.Blocks, *, at: str) -> Mapping[str, list[str]]:
    """What the Blocks' author wants on the page, as sources by directive: it stands in `head`, `css` and the theme."""
    head = _Head(f"{at}/")
    for text in (blocks.head, *(getattr(block, "head", None) for block in blocks.blocks.values())):
        if text:
            head.feed(text)
    sheets = [str(sheet) for sheet in getattr(blocks, "stylesheets", []) if "://" in str(sheet)]
    for address in [*sheets, *ADDRESS.findall(f"{blocks.css or ''} {head.css}")]:
        for name in ("style-src", "font-src", "img-src"):
            head.found[name].append(source_of(address))
        if "//fonts.googleapis.com/" in address:
            head.found["font-src"].append("https://fonts.gstatic.com")
    return {name: list(dict.fromkeys(filter(None, sources))) for name, sources in head.found.items()}


class _Head(HTMLParser):
    """Reads HTML as browsers do, for the scripts and style sheets in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: defaultdict[str, list[str]] = defaultdict(list)
        self.css = ""
        self._page, self._own = page, urljoin(page, "/")
        self._inside = ""
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._inside, self._text = tag, ""
        if tag == "script" and "src" in given:
            self._inside = ""
            self.found["script-src"].append(source_of(given["src"], self._page))
        elif tag == "link":
            kind = "img-src" if "icon" in given.get("rel", "") else "style-src"
            if not (source := source_of(given.get("href", ""), self._page)).startswith(self._own):
                self.found[kind].append(source)

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside == "script":
            text = self._text.replace("\r\n", "\n").replace("\r", "\n")
            self.found["script-src"].append(hash_of(text))
        elif tag == self._inside == "style":
            self.css += self._text
        self._inside = ""
