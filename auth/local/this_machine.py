"""Keeps the local issuers for this machine: they give anybody's identity to whoever reaches them."""

from starlette.types import ASGIApp, Receive, Scope, Send

from auth.errors import NotThisMachine
from auth.web import proxy_sign


class ThisMachine:
    """ASGI middleware: refuses requests that show signs of a proxy.

    It cannot see a proxy that speaks HTTP/1.1, adds no header, and passes on a request without Origin and Referer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if sign := proxy_sign(scope):
            raise NotThisMachine(f"the request came through a proxy, by its {sign}")
        await self._app(scope, receive, send)
