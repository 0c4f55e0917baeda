"""The way from `PUBLIC_URL` to this app: both ends of one question, which only who has `SECRET_KEY` can ask.

The app says what of the question came through, and says it in two parts with a pause between them, as an event's stream
is sent. So the one who asks sees what the proxies on the way add, leave out and hold back.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx2
from fastapi import APIRouter
from itsdangerous import BadSignature, TimestampSigner
from msgspec import Struct, json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from auth.errors import NotFound
from auth.findings import Finding, ok, warning, wrong
from auth.settings import Settings

PATH = "/healthz/way"
HEADER = "x-way"
VALID_SECONDS = 60
PAUSE_SECONDS = 1.0
WHAT = "PUBLIC_URL"
NOT_RUNNING = (502, 503, 504)


class Seen(Struct):
    """What the app saw: whether a proxy says who calls, whether it believes that, and who calls as far as it knows."""

    forwarded: bool
    believed: bool
    address: str


def _signer(settings: Settings) -> TimestampSigner:
    return TimestampSigner(settings.signing_keys, salt="way")


def way_routes(settings: Settings) -> APIRouter:
    """`/healthz/way`."""
    router = APIRouter(include_in_schema=False)
    signer = _signer(settings)

    @router.get(PATH)
    async def way(request: Request) -> Response:
        try:
            signer.unsign(request.headers.get(HEADER, ""), max_age=VALID_SECONDS)
        except BadSignature:
            raise NotFound from None
        address, port = request.client or ("", 0)
        said = request.headers.get("x-forwarded-for", "")
        # uvicorn puts what a trusted proxy says in the place of the connection's own: without its port, as a rule.
        believed = port == 0 or f":{port}" in said
        seen = Seen(forwarded=bool(said), believed=believed, address=address)

        async def parts() -> AsyncIterator[bytes]:
            yield json.encode(seen) + b"\n"
            await asyncio.sleep(PAUSE_SECONDS)
            yield b"\n"

        return StreamingResponse(parts(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return router


async def examine_way(settings: Settings, *, http: httpx2.AsyncClient, running: bool) -> list[Finding]:
    """What comes of a request to `PUBLIC_URL`, asked from here.

    Args:
        running: an app listens on HOST and PORT.
    """
    base_url = settings.base_url
    asking = {HEADER: _signer(settings).sign(b"way").decode()}
    try:
        async with http.stream("GET", base_url + PATH, headers=asking, follow_redirects=False) as response:
            if response.status_code != httpx2.codes.OK:
                return [_elsewhere(base_url, response, running)]
            chunks = [(time.monotonic(), chunk) async for chunk in response.aiter_raw()]
    except httpx2.HTTPError as error:
        found = f"{base_url} does not answer from here ({str(error) or type(error).__name__})"
        if not running:
            return [ok(WHAT, f"{found}; the app does not run")]
        return [warning(WHAT, found, "Is the name known, and does the proxy listen? From outside it may be different.")]
    seen = json.decode(b"".join(chunk for _, chunk in chunks), type=Seen)
    return [ok(WHAT, f"{base_url} leads to this app"), _forwarded(settings, seen), _streamed(chunks)]


def _elsewhere(base_url: str, response: httpx2.Response, running: bool) -> Finding:
    status, location = response.status_code, response.headers.get("location", "")
    if base_url.startswith("http:") and location.startswith("https:"):
        better = base_url.replace("http:", "https:", 1)
        return wrong(WHAT, f"{base_url} leads on to https: people type another address", f"Set PUBLIC_URL={better}")
    if not running and status in NOT_RUNNING:
        return ok(WHAT, f"{base_url} is answered {status} by what is in front; the app does not run")
    mend = "Have the proxy pass everything on to this app. Every replica needs the same SECRET_KEY."
    return wrong(WHAT, f"{base_url} is answered {status} by something else than this app with this SECRET_KEY", mend)


def _forwarded(settings: Settings, seen: Seen) -> Finding:
    if not seen.forwarded and not settings.is_https:
        return ok(WHAT, "nothing is in front, or it says not who calls; for http on this machine that is right")
    if not seen.forwarded:
        return warning(
            WHAT,
            f"what is in front sends no X-Forwarded-For: the log has {seen.address} for every caller",
            "Have the proxy set it to the caller's address; nginx: proxy_set_header X-Forwarded-For $remote_addr;",
        )
    if not seen.believed:
        return warning(
            WHAT,
            f"X-Forwarded-For comes from {seen.address}, which is not trusted: the log has it for every caller",
            f"Set FORWARDED_ALLOW_IPS={seen.address}, if that is your proxy.",
        )
    return ok(WHAT, "what is in front says who calls")


def _streamed(chunks: list[tuple[float, bytes]]) -> Finding:
    if chunks[-1][0] - chunks[0][0] > PAUSE_SECONDS / 2:
        return ok(WHAT, "streams come through as they are sent")
    return wrong(
        WHAT,
        "what is in front holds streams back until they end: an event would show nothing until it is done",
        "Turn off buffering of answers; nginx: proxy_buffering off;",
    )
