"""Who is calling is established here, once per request, before anything else sees it."""

from starlette.types import ASGIApp, Receive, Scope, Send

from auth.errors import AuthError, BearerError, BearerMalformed, BearerRefused, NotSignedIn
from auth.identity import Identity
from auth.programs import CognitoVerifier
from auth.sessions import SessionCookie, Sessions
from auth.settings import Settings
from auth.web import header, is_page_load, is_same_origin


class Authentication:
    """ASGI middleware: puts the caller's `Identity`, or the `AuthError` that stands in its way, into `state.identity`.

    A Bearer token decides alone: one that is refused never falls back to the cookie, and a request that brings one has
    an empty session, of which nothing is kept.
    """

    def __init__(
        self, app: ASGIApp, *, settings: Settings, sessions: Sessions, verifier: CognitoVerifier | None
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._sessions = sessions
        self._base_url = settings.base_url
        self._with_cookie = SessionCookie(self._with_session, settings=settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        outcome: Identity | AuthError | None
        try:
            token = bearer_token(scope)
            outcome = None if token is None else await self._verify(token)
        except AuthError as error:
            outcome = error
        if outcome is None:
            await self._with_cookie(scope, receive, send)
            return
        scope["session"] = {}
        scope.setdefault("state", {})["identity"] = outcome
        await self._app(scope, receive, send)

    async def _with_session(self, scope: Scope, receive: Receive, send: Send) -> None:
        outcome: Identity | AuthError
        try:
            outcome = self._person(scope)
        except AuthError as error:
            outcome = error
        scope.setdefault("state", {})["identity"] = outcome
        await self._app(scope, receive, send)

    async def _verify(self, token: bytes) -> Identity:
        try:
            if self._verifier is None:
                raise BearerRefused("a Bearer token came and no Cognito issuer is configured")
            return await self._verifier.verify(token)
        except BearerError:
            if not token or not set(token).isdisjoint(b" ,\t"):  # looked for only here: no token that is good has them
                raise BearerMalformed("no single token after Bearer") from None
            raise

    def _person(self, scope: Scope) -> Identity:
        session = scope["session"]
        if not session:
            raise NotSignedIn("the request carries no credentials")
        if not _is_own(scope, self._base_url):
            raise NotSignedIn("the cookie came with another site's request")
        identity = self._sessions.read(session)
        if identity is None:
            raise NotSignedIn("the cookie holds no session")
        return identity


def bearer_token(scope: Scope) -> bytes | None:
    """What follows `Authorization: Bearer` (RFC 6750 section 2.1), None where there is nothing of that scheme.

    Raises:
        BearerMalformed: several Authorization headers.
    """
    credentials: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if credentials is not None:
                raise BearerMalformed("several Authorization headers")
            credentials = value
    if credentials is None or credentials[:6].lower() != b"bearer" or credentials[6:7].strip():
        return None
    return credentials[6:].strip(b" ")


def _is_own(scope: Scope, base_url: str) -> bool:
    """A cookie counts for this app's own pages and for links followed to it; not for what another site's page fetches
    or posts here, sibling domains included, which SameSite=Lax lets through."""
    if is_same_origin(scope, base_url):
        return True
    tells = header(scope, b"sec-fetch-site") or header(scope, b"origin")
    return is_page_load(scope) and bool(header(scope, b"sec-fetch-mode") or not tells)
