"""Files are served by the host itself: the caller's own and the app's assets, never what lies at an address.

What a browser makes of them is decided here, so that none of them runs in the app's origin.
"""

import mimetypes
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from starlette.responses import FileResponse, Response
from starlette.types import Scope

from auth.errors import NotFound
from auth.web import header
from ui.isolation.paths import is_listed, real_path
from ui.isolation.rooms import Room

HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; "
    "style-src 'unsafe-inline'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
}


class Files:
    """Args:
    folders: asked for what the app's author opens to everybody, and for what nobody may read all the same.
    is_asset: of a real path: it stands on a page that everybody sees.
    shown: the types that a browser shows without running anything; all else is downloaded.
    """

    def __init__(
        self,
        *,
        folders: Callable[[], tuple[list[Path], list[Path]]],
        is_asset: Callable[[str], bool],
        shown: Iterable[str],
    ) -> None:
        self._folders = folders
        self._is_asset = is_asset
        self._shown = frozenset(shown)

    def response(self, name: str, room: Room, scope: Scope) -> Response:
        """Raises: NotFound: or there is no such file, which is not for them to know."""
        try:
            place = real_path(name)
            found = os.stat(place)
        except (OSError, ValueError):
            raise NotFound("no file") from None
        opened, blocked = self._folders()
        is_asset = is_listed(place, opened)
        is_open = is_asset or room.may_read(place) or self._is_asset(place)
        if not is_open or not stat.S_ISREG(found.st_mode) or is_listed(place, blocked):
            raise NotFound("another's file")
        kind = mimetypes.guess_type(place)[0] or "application/octet-stream"
        is_shown = is_asset or kind in self._shown
        response = FileResponse(
            place,
            media_type=kind if is_shown else "application/octet-stream",
            filename=os.path.basename(place),
            content_disposition_type="inline" if is_shown else "attachment",
            headers=HEADERS,
            stat_result=found,
        )
        if header(scope, b"if-none-match") == response.headers["etag"]:
            kept = {name: response.headers[name] for name in ("etag", "cache-control", "content-security-policy")}
            return Response(status_code=304, headers=kept)
        return response
