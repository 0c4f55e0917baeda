"""The routes people walk: to the provider, back from it, and out."""

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from auth.content_policy import hash_of
from auth.errors import CallbackMalformed, NotAllowed, SignInError, SignOutUnknown, UnknownProvider
from auth.events import log_event
from auth.gate import for_people
from auth.identity import Identity
from auth.people import NEXT_AT_MOST, Links, Provider, begin_sign_in, take_sign_in
from auth.sessions import Sessions, StepCookies
from auth.urls import Site
from auth.web import Pages, is_persons_wish, is_same_origin, read_body

SAFE_PATH = re.compile(
    r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%(?!2[EeFf]|5[Cc]|7[Ff]|[01])[0-9A-Fa-f]{2})*)+"  # path, RFC 3986 section 3.3
    r"(?:\?[!$-\[\]-~]*)?"  # query: printable ASCII without quote, backslash and number sign
)
FORM_BYTES = 256 * 1024
"""Of a callback that is posted: an ID token may be in it too."""
FORM_SECONDS = 10.0
HINT = "id-token"
"""The cookie that is sent to /logout alone: a provider's name and the ID token that it gave, which is what some
providers know the person by who signs out (RP-Initiated Logout 1.0 section 2, id_token_hint)."""
HINT_BYTES = 3800
"""A longer one is not kept: browsers take 4096 bytes for a cookie."""
SUBMIT = Markup("document.forms[0].submit()")
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


def login_routes(
    *,
    site: Site,
    pages: Pages,
    providers: Mapping[str, Provider],
    sessions: Sessions,
    cookies: StepCookies,
    admit: Callable[[str, Mapping[str, Any]], Identity],
    home: str,
    now: Callable[[], float],
) -> APIRouter:
    """`/login`, `/auth`, `/auth/{provider}` and `/logout`.

    Args:
        providers: by name; the first is taken where `/login` names none.
        admit: who the claims name to the rules of who may do what, at the provider of that name; raises `NotAllowed`.
        cookies: for what is needed at one step alone.
        home: the path to go to after a sign-in that was not on its way to another.
        now: epoch seconds.
    """
    router = APIRouter(include_in_schema=False, dependencies=[Depends(for_people)])
    first = next(iter(providers))
    links = Links(cookies)
    repost_policy = pages.policy({"script-src": hash_of(SUBMIT)})

    def find(name: str) -> Provider:
        try:
            return providers[name]
        except KeyError:
            raise UnknownProvider("provider", actual=name, expected=tuple(providers)) from None

    def go(path: str) -> Response:
        return RedirectResponse(site.base_url + path, 303, {"Cache-Control": "no-store"})

    @router.get("/login")
    async def login(request: Request, provider: str | None = None, next: str | None = None) -> Response:
        chosen = find(provider or first)
        next_path = safe_next(next, site.prefix)
        with _signing_in(chosen.name, next_path):
            await chosen.published.metadata()
            before = links.apart(request.session)
            state, begun = begin_sign_in(request.session, chosen.name, links.mark(next_path), now=now())
            choose = request.session.pop("choose", None) is not None
            url = await chosen.authorization_url(state, begun, choose_account=choose)
        response = RedirectResponse(url, 303, {"Cache-Control": "no-store"})
        links.keep(before, request.session, response, state, next_path)
        return response

    @router.get("/auth")
    async def google_callback(request: Request) -> Response:
        return await callback(request, "google")

    @router.get("/auth/{provider}")
    async def callback(request: Request, provider: str) -> Response:
        return await finish(request, find(provider), request.query_params.multi_items())

    @router.post("/auth")
    async def google_posted_callback(request: Request) -> Response:
        return await posted_callback(request, "google")

    @router.post("/auth/{provider}")
    async def posted_callback(request: Request, provider: str) -> Response:
        """OAuth 2.0 Form Post Response Mode: another site's page posts here, and the browser keeps back its cookies."""
        chosen = find(provider)
        if chosen.config.response_mode != "form_post":
            raise HTTPException(405, headers={"Allow": "GET"})
        body = await read_body(request.receive, at_most=FORM_BYTES, within=FORM_SECONDS)
        try:
            params = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=50)
        except ValueError:
            raise CallbackMalformed("the callback is no form") from None
        if is_same_origin(request.scope, site.base_url):
            return await finish(request, chosen, params)
        return pages.response(
            "repost.html",
            policy=repost_policy,
            heading="Signing you in",
            sentence=f"You come from {chosen.label}. If nothing happens, continue by hand.",
            action=site.prefix + chosen.config.callback_path,
            fields=params,
            script=SUBMIT,
        )

    async def finish(request: Request, chosen: Provider, pairs: Sequence[tuple[str, str]]) -> Response:
        """What an authorization response comes to."""
        params = dict(pairs)
        state = params.get("state", "")
        with _signing_in(chosen.name):
            if len(params) != len(pairs):
                raise CallbackMalformed("a parameter is there twice")  # RFC 6749 section 3.1
            begun = take_sign_in(request.session, state, chosen.name, now=now())
        next_path = safe_next(links.read(request, state, begun.next))
        with _signing_in(chosen.name, next_path):
            await chosen.check_response(params)
            if not params.get("code"):
                raise CallbackMalformed("there is no code")
            signed_in = await chosen.redeem(params["code"], begun)
            claims = signed_in.claims
            try:
                admitted = admit(chosen.name, claims)
            except NotAllowed as error:
                request.session["choose"] = True  # or the provider would send the same account again
                email = claims.get("email")
                error.account = email if isinstance(email, str) else None
                error.who = f"{chosen.issuer}#{claims['sub']}"
                raise
        identity = sessions.begin(request.session, chosen.name, claims, admitted)
        log_event("sign_in", "signed in", request.scope, who=identity.identity, provider=chosen.name)
        response = go(next_path or home)
        links.forget(response, state, begun.next)
        hint = f"{chosen.name}~{signed_in.id_token}"
        if chosen.wants_id_token and len(hint) <= HINT_BYTES:
            cookies.set(response, HINT, hint, step="/logout", seconds=int(sessions.lifetime))
        else:
            cookies.delete(response, HINT, step="/logout")  # that of somebody before
        return response

    @router.api_route("/logout", methods=["GET", "POST"])
    async def logout(request: Request) -> Response:
        everywhere = request.query_params.get("everywhere") == "1"
        if "state" in request.query_params:
            return back_from_provider(request)
        if not (is_same_origin(request.scope, site.base_url) and is_persons_wish(request.scope)):
            return pages.response(
                "confirm.html",
                heading="Sign out?",
                sentence="Something else sent you here. Nothing has happened yet. Do you want to leave this app?",
                action=f"{site.prefix}/logout{'?everywhere=1' if everywhere else ''}",
                fields=[],
                back=f"{site.prefix}/",
            )
        person = sessions.end(request.session, everywhere=everywhere)
        provider = providers.get(person.provider) if person else None
        if person and provider:
            who, what = f"{provider.issuer}#{person.subject}", "everywhere" if everywhere else "this session"
            log_event("sign_out", f"signed out: {what}", request.scope, who=who, provider=provider.name, reason=what)
        state = secrets.token_urlsafe(16)
        owner, _, id_token = cookies.read(request, HINT).partition("~")
        leave = provider and provider.end_session_url(
            f"{site.base_url}/",
            back=f"{site.base_url}/logout",
            state=state,
            id_token=id_token if owner == provider.name else "",
        )
        if provider is None or leave is None:
            return cleared(request, go("/"))
        request.session["left"] = state
        page = pages.response(
            "leave.html",
            heading="You are signed out",
            sentence=f"You have left this app. You may still be signed in at {provider.label}.",
            actions=[(f"Also sign out of {provider.label}", leave), ("Done", f"{site.prefix}/")],
        )
        return cleared(request, page)

    def cleared(request: Request, response: Response) -> Response:
        """Has the browser drop the ID token, and what it keeps of this origin (w3.org/TR/clear-site-data), unless other
        apps share it."""
        if cookies.read(request, HINT):
            cookies.delete(response, HINT, step="/logout")
        if not site.prefix:
            response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    def back_from_provider(request: Request) -> Response:
        """RP-Initiated Logout 1.0 section 3: the provider sends back the state that it was given."""
        sent = str(request.session.pop("left", ""))
        if not sent or request.query_params["state"] != sent:  # not a secret: it only tells this browser's own way back
            raise SignOutUnknown("state does not match the one sent to the end-session endpoint")
        return go("/")

    return router


@contextmanager
def _signing_in(provider: str, next_path: str = "") -> Iterator[None]:
    """A sign-in that fails in here is logged with its provider, and its "Try again" still leads to `next_path`."""
    try:
        yield
    except SignInError as error:
        error.provider, error.next_path = provider, next_path
        raise
