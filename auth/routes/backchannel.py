"""The route where a provider ends sessions without the browser: OpenID Connect Back-Channel Logout 1.0."""

import hashlib
from collections.abc import Mapping
from urllib.parse import parse_qs

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from auth.errors import AuthError, BodyTooLarge, SessionUnchecked, TokenMalformed, TokenReplayed, UnknownProvider
from auth.events import log_event
from auth.people import TOKEN_BYTES, Provider
from auth.sessions import Revocations, Sessions
from auth.web import Answers, read_body

BODY_BYTES = 2 * TOKEN_BYTES
BODY_SECONDS = 10.0
FORM = "application/x-www-form-urlencoded"


def backchannel_routes(
    *, answers: Answers, providers: Mapping[str, Provider], sessions: Sessions, revocations: Revocations
) -> APIRouter:
    """`/auth/{provider}/backchannel-logout`."""
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
            return answers.to_provider(error, request.scope)
        sessions.end_at_provider(chosen.issuer, subject=logout.subject, sid=logout.sid)
        log_event(
            "session_ended",
            "back-channel logout",
            request.scope,
            who=f"{chosen.issuer}#{logout.subject}" if logout.subject else None,
            provider=provider,
            reason="the provider ended one session" if logout.sid else "the provider ended all sessions of the person",
        )
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
    try:
        body = await read_body(request.receive, at_most=BODY_BYTES, within=BODY_SECONDS)
        tokens = parse_qs(body.decode("ascii"), max_num_fields=50).get("logout_token", [])
    except BodyTooLarge as error:
        raise TokenMalformed(error.reason) from None
    except (TimeoutError, ClientDisconnect):
        raise TokenMalformed("the request did not come to its end") from None
    except ValueError:
        raise TokenMalformed("the request is no form") from None
    if len(tokens) != 1:
        raise TokenMalformed("logout_token", actual=len(tokens), expected=1)
    return tokens[0]
