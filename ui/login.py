"""The sign-in page: what the app is called, a button for each provider, and why the last try failed."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple
from urllib.parse import parse_qs, quote

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.errors import SignInError, subclasses
from auth.identity import Identity, credential_in
from auth.routes import safe_next
from auth.urls import Site
from ui.look import STATIC, script_json, sign_in_css

FAILURES = frozenset(error.code for error in subclasses(SignInError))
"""Reasons to stay on this page although somebody is signed in: they may want to enter as somebody else."""
SESSION_ENDED = {"session_ended": "Your session has ended. Please sign in again."}


class SignInCard(NamedTuple):
    """What the page shows. The Blocks show it, and so does the page's own HTML until they do.

    Attributes:
        title: the app's name.
        logo: there is a picture at /logo.
        providers: name and label of each, in the order shown.
        prefix: the path of `PUBLIC_URL`, without a slash at its end.
        reasons: the sentence for each code that the page's address may carry as `reason`.
    """

    title: str
    logo: bool
    providers: Sequence[tuple[str, str]]
    prefix: str
    reasons: Mapping[str, str]

    @property
    def page_title(self) -> str:
        return f"Sign in · {self.title}"

    def html(self, reason: str = "", next_path: str = "") -> str:
        """The card, with the sentence for `reason`, and buttons that lead on to `next_path`."""
        sentence = self.reasons.get(reason, "")
        how = "Choose how to continue." if len(self.providers) > 1 else "Please sign in to continue."
        query = f"&next={quote(next_path, safe='/')}" if next_path else ""
        logo = f'<img class="logo" src="{self.prefix}/logo" alt="">' if self.logo else ""
        return f"""
        <section class="card" aria-labelledby="sign-in">
          {logo}<p class="app-title">{escape(self.title)}</p>
          <h1 id="sign-in">Sign in</h1>
          <p class="how"{" hidden" if sentence else ""}>{how}</p>
          <p class="notice" role="alert"{"" if sentence else " hidden"}>{escape(sentence)}</p>
          <nav class="actions column" aria-label="Sign in with">{"".join(self._buttons(query))}</nav>
        </section>"""

    def _buttons(self, query: str) -> Sequence[str]:
        """A provider of its own gets the main button. Google's looks as its guidelines ask."""
        return [
            _button(name, label, self.prefix, query, main=len(self.providers) == 1) for name, label in self.providers
        ]


def login_blocks(card: SignInCard) -> gr.Blocks:
    """The Blocks mounted at `/login-demo`. It has no events: a browser only ever reads it.

    Its address may carry `reason`, a key of `card.reasons`, and `next`, which is handed on to `/login`.
    """
    script = f"const reasons = {script_json(dict(card.reasons))};\n{(STATIC / 'sign_in.js').read_text('utf-8')}"
    blocks = gr.Blocks(title=card.page_title, analytics_enabled=False)
    with blocks:
        # As the value, not as the template: Gradio runs what stands in a template.
        gr.HTML(card.html(), js_on_load=script, apply_default_css=False)
    return blocks


class SignInPage:
    """ASGI middleware, the innermost of the sign-in Blocks: shows the card before a script of Gradio's has come.

    The card stands in the page's own HTML, so that it needs neither a second request nor a script; `sign_in.js` takes
    it away once the Blocks show the same. Whoever is signed in already is led on.
    """

    def __init__(self, app: ASGIApp, *, card: SignInCard, site: Site) -> None:
        self._app = app
        self._card = card
        self._site = site
        title = f"<title>{escape(card.page_title)}</title>"
        icon = f'<link rel="icon" href="{site.prefix}/favicon.ico">'
        self._head = f'{title}{icon}<style id="sign-in-look">{sign_in_css()}</style></head>'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].removeprefix(scope["root_path"]) not in ("", "/"):
            await self._app(scope, receive, send)
            return
        query = parse_qs(scope["query_string"].decode("latin-1"))
        reason, next_path = (query.get(name, [""])[0] for name in ("reason", "next"))
        caller = credential_in(scope).outcome
        if isinstance(caller, Identity) and caller.session_id and reason not in FAILURES:
            there = self._site.base_url + (safe_next(next_path, self._site.prefix) or "/gradio/")
            await RedirectResponse(there, 303, {"Cache-Control": "no-store"})(scope, receive, send)
            return
        start: Message = {}
        page = bytearray()

        async def send_whole(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            page.extend(message.get("body", b""))
            if not message.get("more_body", False):
                body = self._with_card(page.decode(), reason, next_path).encode()
                if body:  # none at HEAD
                    MutableHeaders(raw=start["headers"])["content-length"] = str(len(body))
                await send(start)
                await send({**message, "body": body})

        # Gradio is not told the query: a link to the main Blocks' state would take the place of this page's.
        await self._app({**scope, "query_string": b""}, receive, send_whole)

    def _with_card(self, page: str, reason: str, next_path: str) -> str:
        """Gradio's page with the card in it. Its style sheets move below the card, which they would hold up."""
        card = f'<div id="sign-in-now">{self._card.html(reason, next_path)}</div>'
        sheets = re.findall(r'<link rel="stylesheet"[^>]*>', page)
        for sheet in sheets:
            page = page.replace(sheet, "")
        page = page.replace("</head>", self._head, 1).replace("</body>", "".join(sheets) + "</body>", 1)
        return re.sub(r"<body[^>]*>", lambda body: body[0] + card, page, count=1)


def _button(name: str, label: str, prefix: str, query: str, *, main: bool) -> str:
    href = escape(f"{prefix}/login?provider={quote(name, safe='')}{query}")
    icon = STATIC / "icons" / f"{name}.svg"
    picture = icon.read_text("utf-8") if icon.is_file() else ""
    look = "google" if name == "google" else "button" if main else "button quiet"
    return f'<a class="{look}" href="{href}">{picture}<span>Sign in with {escape(label)}</span></a>\n'
