"""Errors become HTTP here and nowhere else: a page for a person, RFC 6750 for a program; and a line in the log."""

import logging
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Scope

from auth.errors import AuthError, BearerError, NotSignedIn, ScopeTooNarrow, SignInError, subclasses
from auth.identity import Identity
from auth.settings import Settings
from auth.web.headers import has_body, header, is_page_load
from auth.web.pages import Pages

log = logging.getLogger("auth")

REASONS: Mapping[str, str] = {
    error.code: error.sentence for error in (*subclasses(NotSignedIn), *subclasses(SignInError))
}
"""What the sign-in page says for the `reason` in its address."""
EVERYDAY = {
    404: ("Not found", "There is nothing at this address."),
    405: ("Not possible", "This address cannot be used in that way."),
    413: ("Too large", "What was sent is too large."),
}


class Answers:
    """Turns an error into the answer that this caller can use."""

    def __init__(self, settings: Settings, pages: Pages, *, resource_metadata: str | None) -> None:
        self._pages = pages
        self._base = settings.base_url
        self._prefix = urlsplit(settings.base_url).path
        self._resource_metadata = resource_metadata

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
        if error.status == 503:
            response.headers["Retry-After"] = "10"
        elif response.status_code == 401 or isinstance(error, BearerError):
            self._challenge(error, response)
        if has_body(scope):
            # The body was not read, so the connection cannot be used again (RFC 9112 section 9.3).
            response.headers["Connection"] = "close"
        return response

    def for_http(self, error: HTTPException, scope: Scope) -> Response:
        """A page or JSON for what Starlette and FastAPI raise themselves (404, 405 ...)."""
        if not is_page_load(scope):
            return JSONResponse({"detail": error.detail}, error.status_code, dict(error.headers or {}))
        heading, sentence = EVERYDAY.get(error.status_code, ("Something went wrong", str(error.detail)))
        return self._pages.response(
            "message.html",
            status=error.status_code,
            headers=error.headers,
            heading=heading,
            sentence=sentence,
            detail="",
            actions=[("To the start", f"{self._prefix}/")],
        )

    def for_fault(self, scope: Scope) -> Response:
        """What is shown when the app itself is at fault; the traceback is in the log only."""
        return self.for_http(HTTPException(500, "The app made a mistake. It has been logged."), scope)

    def _to_sign_in(self, error: NotSignedIn, scope: Scope) -> Response:
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        wanted = path.removeprefix(self._prefix) + (
            f"?{scope['query_string'].decode('latin-1')}" * bool(scope["query_string"])
        )
        reason = f"&reason={error.code}" if type(error) is not NotSignedIn else ""
        location = f"{self._base}/login-demo/?next={quote(wanted, safe='/')}{reason}"
        return RedirectResponse(location, 303, {"Cache-Control": "no-store"})

    def _page(self, error: AuthError, scope: Scope) -> Response:
        state = scope.get("state", {})
        begun = state.get("sign_in", {})
        again = f"{self._prefix}/login-demo/?reason={error.code}"
        if begun.get("next"):
            again += f"&next={quote(begun['next'], safe='/')}"
        actions = [("Try again", again)]
        if isinstance(state.get("identity"), Identity):
            actions.insert(0, ("Open the app", f"{self._prefix}/gradio/"))
        return self._pages.response(
            "message.html",
            status=error.status,
            heading=error.title,
            sentence=error.sentence,
            detail=f"You signed in as {begun['email'][:254]}." if isinstance(begun.get("email"), str) else "",
            actions=actions,
        )

    def _challenge(self, error: AuthError, response: Response) -> None:
        """RFC 6750 section 3, RFC 9728 section 5.1."""
        params = {}
        if self._resource_metadata:
            params["resource_metadata"] = self._resource_metadata
        if isinstance(error, BearerError):
            params |= {"error": error.code, "error_description": error.sentence}
        if isinstance(error, ScopeTooNarrow):
            params["scope"] = " ".join(error.expected) if isinstance(error.expected, tuple) else str(error.expected)
        challenge = ", ".join(f'{name}="{value}"' for name, value in params.items())
        response.headers["WWW-Authenticate"] = f"Bearer {challenge}".rstrip()

    def _log(self, error: AuthError, scope: Scope) -> None:
        client = scope.get("client")
        level = logging.INFO if type(error) is NotSignedIn else logging.WARNING
        about = {
            "error": type(error).__name__,
            "code": error.code,
            "status": error.status,
            "method": scope.get("method", scope["type"]),
            "path": scope["path"][:200],
            "client": client[0] if client else None,
        }
        cause = error.__cause__
        if isinstance(cause, AuthError):
            about["cause"] = type(cause).__name__
        log.log(level, "refused: %s", error, extra={"about": about})
