"""An authorization request while the person signs in: kept by their own browser, apart from where a sign-in leads."""

import base64
import zlib

from starlette.requests import Request
from starlette.responses import Response

REQUEST_BYTES = 4096
CHUNK = 3500
KEPT_SECONDS = 900
KEPT_AT_MOST = 4


class AskedRequests:
    """Cookies of their own, which the browser sends to these routes alone.

    They need no seal: to put a request there is no more than to follow a link with it, and the person is asked.

    Args:
        path: of the routes, with the path of `PUBLIC_URL`.
    """

    def __init__(self, *, path: str, is_https: bool) -> None:
        self._path = path
        self._is_https = is_https
        self._prefix = "__Secure-asked-" if is_https else "asked-"

    def keep(self, request: Request, response: Response) -> None:
        """Have the browser keep the query of a request under `name_for` it; too many others make room."""
        if len({cookie.rpartition("-")[0] for cookie in self._cookies(request)}) >= KEPT_AT_MOST:
            self.forget(request, response)
        content = base64.urlsafe_b64encode(zlib.compress(request.scope["query_string"])).decode()
        chunks = [content[start : start + CHUNK] for start in range(0, len(content), CHUNK)]
        for number, chunk in enumerate(chunks):
            response.set_cookie(
                f"{self._prefix}{self.name_for(request)}-{number}",
                chunk,
                max_age=KEPT_SECONDS,
                path=self._path,
                secure=self._is_https,
                httponly=True,
                samesite="lax",
            )

    @staticmethod
    def name_for(request: Request) -> str:
        """The same for the same request."""
        return f"{zlib.crc32(request.scope['query_string']):08x}"

    def read(self, request: Request, name: str) -> str | None:
        """The query kept under a name, None where this browser keeps none."""
        content = "".join(request.cookies[cookie] for cookie in self._cookies(request, name))
        try:
            octets = zlib.decompressobj().decompress(base64.urlsafe_b64decode(content), REQUEST_BYTES)
            return octets.decode("latin-1") or None
        except (ValueError, zlib.error):
            return None

    def forget(self, request: Request, response: Response, name: str = "") -> None:
        """Have the browser keep what stands under a name no longer; all there is without one."""
        for cookie in self._cookies(request, name):
            response.delete_cookie(cookie, path=self._path, secure=self._is_https, httponly=True, samesite="lax")

    def _cookies(self, request: Request, name: str = "") -> list[str]:
        return sorted(cookie for cookie in request.cookies if cookie.startswith(f"{self._prefix}{name}"))
