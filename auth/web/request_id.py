"""Each request has an id: in its state, in the answer's headers, and in what is logged about it."""

import re
from secrets import token_hex

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from auth.web.headers import header

ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestId:
    """ASGI middleware: puts an id into `state.request_id`: the `X-Request-ID` of a trusted proxy, or a new one.

    The client's address is taken from such a proxy too, by uvicorn's middleware: here, because behind that one nobody
    can tell any more who the proxy was.

    Args:
        trusted_proxies: their addresses or networks, comma-separated.
    """

    def __init__(self, app: ASGIApp, *, trusted_proxies: str) -> None:
        self._app = ProxyHeadersMiddleware(app, trusted_hosts=trusted_proxies)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)  # type: ignore[arg-type]
            return
        client = scope.get("client")
        sent = header(scope, b"x-request-id") if (client[0] if client else None) in self._app.trusted_hosts else ""
        request_id = sent if ID.fullmatch(sent) else token_hex(16)
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        await self._app(scope, receive, send_with_id)  # type: ignore[arg-type]
