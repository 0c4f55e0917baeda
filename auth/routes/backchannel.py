"""The route where a provider ends sessions without the browser: OpenID Connect Back-Channel Logout 1.0."""

import asyncio
import hashlib
import logging
from urllib.parse import parse_qs

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from auth.assembly import Auth
from auth.errors import AuthError, SessionUnchecked, TokenMalformed, TokenReplayed, UnknownProvider
from auth.people import TOKEN_BYTES

log = logging.getLogger("auth")

BODY_BYTES = 2 * TOKEN_BYTES
BODY_SECONDS = 10.0
FORM = "application/x-www-form-urlencoded"


def backchannel_routes(auth: Auth) -> APIRouter:
    """`/auth/{provider}/backchannel-logout`."""
    providers, sessions, revocations = auth.providers, auth.sessions, auth.revocations
    router = APIRouter(include_in_schema=False)

    @router.post("/auth/{provider}/backchannel-logout")
    async def backchannel_logout(request: Request, provider: str) -> Response:
        if provider not in providers:
            raise UnknownProvider("provider", actual=provider, expected=tuple(providers))
        chosen = providers[provider]
        try:
            logout = await chosen.verify_logout(await _logout_token(request))
            digest = hashlib.sha256(logout.jti.encode("utf-8", "surrogatepass")).hexdigest()
            use_up(f"jti {chosen.issuer} {digest}", logout.expires_at)
        except AuthError as error:
            log.warning("back-channel logout refused: %s", error, extra={"about": _about(request, error)})
            body = {"error": "invalid_request", "error_description": error.sentence}
            # The body may not have been read, so the connection cannot be used again (RFC 9112 section 9.3).
            return JSONResponse(body, 400, {"Cache-Control": "no-store", "Connection": "close"})  # 2.8
        sessions.end_at_provider(chosen.issuer, subject=logout.subject, sid=logout.sid)
        log.info("back-channel logout", extra={"about": {"provider": provider, "by": "sid" if logout.sid else "sub"}})
        return Response(status_code=200, headers={"Cache-Control": "no-store"})

    def use_up(key: str, until: float) -> None:
        """Remember a token as one that was used, here and on every replica (2.6 (8)).

        Raises:
            TokenReplayed: it is remembered already.
        """
        try:
            used = revocations.is_revoked((key,), begun=0.0)
        except SessionUnchecked:  # nothing is known yet: better one session ended twice than one not ended
            used = False
        if used:
            raise TokenReplayed("jti")
        revocations.revoke(key, until=until)

    return router


async def _logout_token(request: Request) -> str:
    """The token of a logout request (2.5).

    Raises:
        TokenMalformed: the request is none.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise TokenMalformed("the request is no form")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES:
                    raise TokenMalformed(f"the request is larger than {BODY_BYTES} bytes")
        tokens = parse_qs(body.decode("ascii"), max_num_fields=50).get("logout_token", [])
    except (TimeoutError, ClientDisconnect):
        raise TokenMalformed("the request did not come to its end") from None
    except ValueError:
        raise TokenMalformed("the request is no form") from None
    if len(tokens) != 1:
        raise TokenMalformed("logout_token", actual=len(tokens), expected=1)
    return tokens[0]


def _about(request: Request, error: AuthError) -> dict[str, object]:
    return {
        "error": type(error).__name__,
        "status": 400,
        "path": request.url.path[:200],
        "client": request.client.host if request.client else None,
    }
