"""Errors become HTTP here and nowhere else: a page for a person, RFC 6750 for a program; and a line in the log."""

import logging
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Scope

from auth.errors import (
    AuthError,
    BearerError,
    NotAllowed,
    NotSignedIn,
    ProviderMisconfigured,
    ProviderRefused,
    RequestError,
    ScopeTooNarrow,
    SignInError,
    TokenResponseInvalid,
    subclasses,
)
from auth.events import log_event
from auth.identity import Identity, credential_in
from auth.urls import Site
from auth.web.headers import has_body, header, is_page_load
from auth.web.pages import Pages
from auth.web.resources import ProtectedResources

REASONS: Mapping[str, str] = {
    error.code: error.sentence for error in (*subclasses(NotSignedIn), *subclasses(SignInError))
}
"""What the sign-in page says for the `reason` in its address."""
EVERYDAY = {
    404: ("Not found", "There is nothing at this address."),
    405: ("Not possible", "This address cannot be used in that way."),
    413: ("Too large", "What was sent is too large."),
}
"""Heading and sentence of what Starlette and FastAPI raise themselves."""
RETRY_SECONDS = {429: "60", 503: "10"}


class Answers:
    """Turns an error into the answer that this caller can use.

    Args:
        home: the path of what people come for.
        sign_in: the path where they are sent to sign in.
    """

    def __init__(
        self,
        site: Site,
        pages: Pages,
        *,
        resources: ProtectedResources | None,
        home: str = "/gradio/",
        sign_in: str = "/login-demo/",
    ) -> None:
        self._site = site
        self._home = home
        self._sign_in = sign_in
        self._pages = pages
        self._resources = resources

    def to(self, error: AuthError, scope: Scope) -> Response:
        """The answer, after one line in the log."""
        self._log(error, scope)
        if is_page_load(scope) and isinstance(error, NotSignedIn):
            response = self._to_sign_in(error, scope)
        elif "text/html" in header(scope, b"accept") and not isinstance(error, BearerError):
            response = self._page(error, scope)
        else:
            body = {"detail": error.sentence, "error": error.code}
            response = JSONResponse(body, error.status, {"Cache-Control": "no-store"})
        if error.status in RETRY_SECONDS:
            response.headers["Retry-After"] = RETRY_SECONDS[error.status]
        elif response.status_code == 401 or isinstance(error, BearerError):
            self._challenge(error, scope, response)
        return _closing(response) if has_body(scope) else response

    def to_provider(self, error: AuthError, scope: Scope) -> Response:
        """For a provider's own request (Back-Channel Logout 1.0 section 2.8), after one line in the log."""
        self._log(error, scope, "back-channel logout refused")
        body = {"error": "invalid_request", "error_description": error.sentence}
        response = JSONResponse(body, 400, {"Cache-Control": "no-store"})
        return _closing(response)

    def for_http(self, error: HTTPException, scope: Scope) -> Response:
        """A page or JSON for what Starlette and FastAPI raise themselves (404, 405 ...)."""
        if not is_page_load(scope):
            return JSONResponse({"detail": error.detail}, error.status_code, dict(error.headers or {}))
        heading, sentence = EVERYDAY.get(error.status_code, ("Something went wrong", str(error.detail)))
        return self._message(heading, sentence, error.status_code, headers=error.headers)

    async def to_exception(self, request: Request, error: Exception) -> Response:
        """The answer to whatever an app raises. Where the app itself is at fault, the traceback is in the log only."""
        if isinstance(error, AuthError):
            return self.to(error, request.scope)
        if not isinstance(error, HTTPException):
            error = HTTPException(500, "The app made a mistake. It has been logged.")
        return self.for_http(error, request.scope)

    def _to_sign_in(self, error: NotSignedIn, scope: Scope) -> Response:
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        reason = "" if type(error) is NotSignedIn else error.code
        location = self._site.base_url + self._sign_in_page(
            next=path.removeprefix(self._site.prefix) + query, reason=reason
        )
        return RedirectResponse(location, 303, {"Cache-Control": "no-store"})

    def _page(self, error: AuthError, scope: Scope) -> Response:
        if isinstance(error, RequestError):
            return self._message(error.title, error.sentence, error.status)
        next_path, account = (error.next_path, error.account) if isinstance(error, SignInError) else ("", None)
        again = "Use another account" if isinstance(error, NotAllowed) else "Try again"
        actions = [(again, self._site.prefix + self._sign_in_page(reason=error.code, next=next_path))]
        if isinstance(credential_in(scope).outcome, Identity):
            actions.insert(0, ("Open the app", self._site.prefix + self._home))
        detail = f"You signed in as {account[:254]}." if account else ""
        if isinstance(error, SignInError) and error.description:
            detail = f"The provider says: {error.description}"
        ask = isinstance(error, (NotAllowed, ProviderRefused, ProviderMisconfigured, TokenResponseInvalid))
        return self._message(error.title, error.sentence, error.status, detail=detail, ask=ask, actions=actions)

    def _sign_in_page(self, **query: str) -> str:
        """The path of the sign-in page that says the `reason` and leads on to `next`."""
        pairs = [f"{name}={quote(value, safe='/')}" for name, value in query.items() if value]
        return f"{self._sign_in}?{'&'.join(pairs)}"

    def _message(
        self,
        heading: str,
        sentence: str,
        status: int,
        *,
        detail: str = "",
        ask: bool = False,
        actions: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        return self._pages.response(
            "message.html",
            status=status,
            headers=headers,
            heading=heading,
            sentence=sentence,
            detail=detail,
            ask=ask,
            actions=actions or [("To the start", f"{self._site.base_url}/")],
        )

    def _challenge(self, error: AuthError, scope: Scope, response: Response) -> None:
        """RFC 6750 section 3, RFC 9728 section 5.1."""
        params = {}
        if self._resources:
            params["resource_metadata"] = self._resources.address(scope["path"])
        if isinstance(error, BearerError):
            params |= {"error": error.code, "error_description": error.sentence}
        if isinstance(error, ScopeTooNarrow):
            params["scope"] = " ".join(error.expected) if isinstance(error.expected, tuple) else str(error.expected)
        challenge = ", ".join(f'{name}="{value}"' for name, value in params.items())
        response.headers["WWW-Authenticate"] = f"Bearer {challenge}".rstrip()

    def _log(self, error: AuthError, scope: Scope, what: str = "refused") -> None:
        cause = error.__cause__
        log_event(
            error.event,
            f"{what}: {error}",
            scope,
            level=logging.INFO if type(error) is NotSignedIn else logging.WARNING,
            fault=None if isinstance(cause, AuthError) else cause,
            reason=str(error),
            code=error.code,
            status=error.status,
            error=type(error).__name__,
            cause=type(cause).__name__ if isinstance(cause, AuthError) else None,
            **({"who": error.who} if error.who else {}),
            **({"provider": error.provider} if isinstance(error, SignInError) else {}),
        )


def _closing(response: Response) -> Response:
    """The body may not have been read, so the connection cannot be used again (RFC 9112 section 9.3)."""
    response.headers["Connection"] = "close"
    return response
