"""The routes people walk: to the provider, back from it, and out."""

import re
import secrets
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from auth.assembly import Auth
from auth.errors import CallbackMalformed, NotAllowed, SignOutUnknown, UnknownProvider
from auth.gate import for_people
from auth.people import NEXT_AT_MOST, Provider, admit, begin_sign_in, take_sign_in
from auth.web import is_same_origin

SAFE_PATH = re.compile(
    r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%(?!2[EeFf]|5[Cc]|7[Ff]|[01])[0-9A-Fa-f]{2})*)+"  # path, RFC 3986 section 3.3
    r"(?:\?[!$-\[\]-~]*)?"  # query: printable ASCII without quote, backslash and number sign
)
OWN_STEPS = frozenset({"login", "auth", "logout", "login-demo"})
"""First segments that are steps of signing in or out: no place to come back to."""


def safe_next(value: str | None, prefix: str = "") -> str:
    """`value` as a path on this app's own origin, without the prefix of `PUBLIC_URL`; an empty string where it is none.

    What a browser makes of an address is decided by the URL standard (url.spec.whatwg.org), which strips tabs and
    newlines and takes a backslash for a slash; so what is let through is listed here, not what is kept out.
    """
    if value is None or len(value) > NEXT_AT_MOST or not SAFE_PATH.fullmatch(value):
        return ""
    if prefix and value.startswith(f"{prefix}/"):
        value = value.removeprefix(prefix)
    first, *rest = value.partition("?")[0].split("/")[1:]
    if first in OWN_STEPS or "" in (first, *rest[:-1]) or {".", ".."}.intersection((first, *rest)):
        return ""
    return value


def login_routes(auth: Auth) -> APIRouter:
    """`/login`, `/auth`, `/auth/{provider}` and `/logout`."""
    settings, providers, sessions, pages = auth.settings, auth.providers, auth.sessions, auth.pages
    router = APIRouter(include_in_schema=False, dependencies=[Depends(for_people)])
    base = settings.base_url
    prefix = urlsplit(base).path
    first = next(iter(providers))

    def find(name: str) -> Provider:
        try:
            return providers[name]
        except KeyError:
            raise UnknownProvider("provider", actual=name, expected=tuple(providers)) from None

    def go(path: str) -> Response:
        return RedirectResponse(base + path, 303, {"Cache-Control": "no-store"})

    @router.get("/login")
    async def login(request: Request, provider: str | None = None, next: str | None = None) -> Response:
        chosen = find(provider or first)
        next_path = safe_next(next, prefix)
        remember(request, next_path)
        await chosen.metadata()
        state, begun = begin_sign_in(request.session, chosen.name, next_path, now=auth.now())
        choose = request.session.pop("choose", None) is not None
        url = await chosen.authorization_url(state, begun, choose_account=choose)
        return RedirectResponse(url, 303, {"Cache-Control": "no-store"})

    def remember(request: Request, next_path: str, email: object = None) -> None:
        """For the page that is shown should the sign-in fail: where the person was going, and as whom."""
        request.scope.setdefault("state", {})["sign_in"] = {"next": next_path, "email": email}

    @router.get("/auth")
    async def google_callback(request: Request) -> Response:
        return await callback(request, "google")

    @router.get("/auth/{provider}")
    async def callback(request: Request, provider: str) -> Response:
        chosen = find(provider)
        params = dict(request.query_params)
        if len(params) != len(request.query_params.multi_items()):
            raise CallbackMalformed("a parameter is there twice")  # RFC 6749 section 3.1
        begun = take_sign_in(request.session, params.get("state", ""), chosen.name, now=auth.now())
        remember(request, begun.next)
        await chosen.check_response(params)
        if not params.get("code"):
            raise CallbackMalformed("there is no code")
        claims = await chosen.redeem(params["code"], begun)
        try:
            admit(settings, chosen.name, claims)
        except NotAllowed:
            request.session["choose"] = True  # or the provider would send the same account again
            remember(request, begun.next, claims.get("email"))
            raise
        sessions.begin(request.session, chosen.name, claims)
        return go(begun.next or "/gradio/")

    @router.api_route("/logout", methods=["GET", "POST"])
    async def logout(request: Request) -> Response:
        everywhere = request.query_params.get("everywhere") == "1"
        if "state" in request.query_params:
            return back_from_provider(request)
        if not is_same_origin(request.scope, base):
            return pages.response(
                "confirm.html",
                heading="Sign out?",
                sentence="Another website sent you here. Nothing has happened yet. Do you want to leave this app?",
                action=f"{prefix}/logout{'?everywhere=1' if everywhere else ''}",
                fields=[],
                back=f"{prefix}/",
            )
        person = sessions.end(request.session, everywhere=everywhere)
        provider = providers.get(person.provider) if person else None
        state = secrets.token_urlsafe(16)
        leave = provider.end_session_url(f"{base}/logout", state) if provider else None
        if provider is None or leave is None:
            return nothing_left(go("/"))
        request.session["left"] = state
        page = pages.response(
            "leave.html",
            heading="You are signed out",
            sentence=f"You have left this app. You may still be signed in at {provider.label}.",
            actions=[(f"Also sign out of {provider.label}", leave), ("Done", f"{prefix}/")],
        )
        return nothing_left(page)

    def nothing_left(response: Response) -> Response:
        """What the browser keeps goes with the person (w3.org/TR/clear-site-data), but not that of other apps: where
        there is a prefix, they share the origin."""
        if not prefix:
            response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    def back_from_provider(request: Request) -> Response:
        """RP-Initiated Logout 1.0 section 3: the provider sends back the state that it was given."""
        sent = str(request.session.pop("left", ""))
        if not sent or request.query_params["state"] != sent:  # not a secret: it only tells this browser's own way back
            raise SignOutUnknown("state does not match the one sent to the end-session endpoint")
        return go("/")

    return router
