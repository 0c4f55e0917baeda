"""Where people were going when they began to sign in: long addresses are kept in cookies of their own."""

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from auth.people.pending import SIGN_IN_SECONDS
from auth.sessions import StepCookies

SHORT = 16
"""Characters of an address that goes into the session's cookie, of which all the others are too many together."""
APART_AT_MOST = 12800
"""Characters of all the others together: a server takes so many of headers."""
STEP = "/auth"


class Links:
    """What a browser keeps, by the `state` of the sign-in. In the session's cookie `~` and a length stand for it."""

    def __init__(self, cookies: StepCookies) -> None:
        self._cookies = cookies

    @staticmethod
    def mark(next_path: str) -> str:
        """What is kept in the session's cookie."""
        return next_path if len(next_path) <= SHORT else f"~{len(next_path)}"

    def keep(self, before: dict[str, int], session: dict[str, Any], response: Response, state: str, link: str) -> None:
        """Have the browser keep where a sign-in leads; the oldest make room.

        Args:
            before: what `apart` was before this sign-in was put into the session.
        """
        if len(link) > SHORT:
            value = base64.urlsafe_b64encode(link.encode()).rstrip(b"=").decode()
            self._cookies.set(response, _name(state), value, step=STEP, seconds=SIGN_IN_SECONDS)
        kept = self.apart(session)
        forgotten = before.keys() - kept.keys()
        while sum(kept.values()) > APART_AT_MOST:
            oldest = next(iter(kept))
            del kept[oldest]
            session["begun"][oldest][3] = ""
            forgotten |= {oldest}
        for state in forgotten:
            self._cookies.delete(response, _name(state), step=STEP)

    def read(self, request: Request, state: str, mark: str) -> str:
        """The address that a mark stands for, as this browser has it: anything may be in it."""
        if not mark.startswith("~"):
            return mark
        value = self._cookies.read(request, _name(state))
        try:
            return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode("ascii")
        except ValueError:
            return ""

    def forget(self, response: Response, state: str, mark: str) -> None:
        if mark.startswith("~"):
            self._cookies.delete(response, _name(state), step=STEP)

    @staticmethod
    def apart(session: dict[str, Any]) -> dict[str, int]:
        """How long each address is that is kept in a cookie of its own, by state, the oldest first."""
        begun = session.get("begun")
        found = {}
        for state, stored in begun.items() if isinstance(begun, dict) else ():
            mark = stored[3] if isinstance(stored, list) and len(stored) == 4 else None
            if isinstance(mark, str) and mark.startswith("~") and mark[1:].isdecimal():
                found[state] = int(mark[1:])
        return found


def _name(state: str) -> str:
    return f"next-{state}"
