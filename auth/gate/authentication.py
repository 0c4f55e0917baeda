"""Who is calling is established here, once per request, before anything else sees it."""

from collections.abc import Callable
from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from auth.errors import AuthError, BearerError, BearerMalformed, BearerRefused, NotSignedIn, SessionUnchecked
from auth.events import log_event
from auth.grants import TOKEN_PREFIX, Grants
from auth.identity import Credential, Identity
from auth.programs import CognitoVerifier
from auth.sessions import Sessions
from auth.web import header, is_page_load, is_same_origin

_OF_PEOPLE = TOKEN_PREFIX.encode()


class Authentication:
    """ASGI middleware: puts the request's `Credential` into `state.credential`.

    A Bearer token decides alone: one that is refused never falls back to the cookie, and a request that brings one has
    an empty session, of which nothing is kept.

    Args:
        session_cookie: a middleware that opens the cookie into `scope["session"]`, for requests without a token.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        base_url: str,
        sessions: Sessions,
        verifier: CognitoVerifier | None,
        grants: Grants | None,
        session_cookie: Callable[[ASGIApp], ASGIApp],
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._grants = grants
        self._sessions = sessions
        self._base_url = base_url
        self._with_cookie = session_cookie(self._with_session)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        credential = await self._bearer(scope)
        if credential is None:
            await self._with_cookie(scope, receive, send)
            return
        scope["session"] = {}
        scope.setdefault("state", {})["credential"] = credential
        await self._app(scope, receive, send)

    async def _with_session(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["credential"] = self._person(scope)
        # A copy: Gradio's own session middleware, which runs in a Space, puts another session in the place of this one.
        await self._app({**scope}, receive, send)

    async def _bearer(self, scope: Scope) -> Credential | None:
        token: bytes | None = b""
        try:
            token = bearer_token(scope)
            if token is None:
                return None
            if self._grants is not None and token.startswith(_OF_PEOPLE):
                identity = self._grants.identity(token, first=partial(_log_first, scope))
                return Credential(
                    token=token, outcome=identity, is_still_valid=partial(self._grants.is_still_valid, token)
                )
            if self._verifier is None:
                raise BearerRefused("a Bearer token came and no Cognito issuer is configured")
            identity = await self._verifier.verify(token, first=partial(_log_first, scope))
            is_still_valid = partial(self._verifier.is_still_valid, token)
            return Credential(token=token, outcome=identity, is_still_valid=is_still_valid)
        except SessionUnchecked as error:
            return Credential(token=token, outcome=error)
        except BearerError as error:
            # Looked for only now: no token that is good has a space in it.
            malformed = not token or not set(token).isdisjoint(b" ,\t")
            if malformed and not isinstance(error, BearerMalformed):
                error = BearerMalformed("no single token after Bearer")
            return Credential(token=token, outcome=error)

    def _person(self, scope: Scope) -> Credential:
        session = scope["session"]
        try:
            if not session:
                raise NotSignedIn("the request carries no credentials")
            if not _is_own(scope, self._base_url):
                raise NotSignedIn("the cookie came with another site's request")
            identity = self._sessions.read(session)
            if identity is None:
                raise NotSignedIn("the cookie holds no session")
        except AuthError as error:
            return Credential(outcome=error)
        held = {"person": dict(session["person"])}  # a copy: the app behind the gate may write to its session
        return Credential(
            outcome=identity,
            is_still_valid=partial(self._sessions.is_still_valid, held),
            use=partial(self._sessions.use, held),
        )


def _log_first(scope: Scope, identity: Identity) -> None:
    log_event("token_accepted_first", "a token was accepted", scope, who=identity.identity, client=identity.program)


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
    has_metadata = header(scope, b"sec-fetch-site") or header(scope, b"origin")
    return is_page_load(scope) and bool(header(scope, b"sec-fetch-mode") or not has_metadata)
