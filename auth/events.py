"""What happened, for the operator: one log line for each event, by name, with what is known of the request."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Scope

from auth.identity import Identity, credential_in

log = logging.getLogger("auth")

EVENTS = frozenset(
    {
        "sign_in",
        "sign_in_refused",
        "sign_out",
        "session_ended",
        "token_accepted_first",
        "token_refused",
        "call_refused",
        "program_connected",
        "program_refused",
        "programs_ended",
        "provider_fault",
        "started",
        "stopping",
    }
)
observers: list[Callable[[str, Mapping[str, Any]], None]] = []
"""Each is told of every event: its name, and what its line is about besides the request."""
AT_MOST = 200
"""Characters of a path or a header that a line bears: they come from outside."""


def log_event(
    event: str,
    message: str,
    scope: Scope | None = None,
    *,
    level: int = logging.INFO,
    fault: BaseException | None = None,
    **members: Any,
) -> None:
    """One line about one of `EVENTS`.

    Args:
        message: a sentence without a token, a code, a cookie, a secret or a query string.
        scope: the request that it happened in.
        fault: what was raised, where its traceback helps.
        members: what else the line is about, such as `provider`. None is left out.
    """
    said = {name: value for name, value in members.items() if value is not None}
    about = {"event": event, **(about_request(scope) if scope else {}), **said}
    log.log(level, "%s", message, extra={"about": about}, exc_info=fault)
    for observer in observers:
        observer(event, said)


def about_request(scope: Scope) -> Mapping[str, Any]:
    """Who sent a request, from where, and what for: members of a line's `about`. The query is left out."""
    outcome, client = credential_in(scope).outcome, scope.get("client")
    agent = next((value for name, value in scope["headers"] if name == b"user-agent"), None)
    about = {
        "who": outcome.identity if isinstance(outcome, Identity) else None,
        "client": outcome.program if isinstance(outcome, Identity) else None,
        "address": client[0] if client else None,
        "user_agent": str(agent, "latin-1")[:AT_MOST] if agent is not None else None,
        "request_id": scope.get("state", {}).get("request_id"),
        "method": scope.get("method", scope["type"]),
        "path": scope["path"][:AT_MOST],
    }
    return {name: value for name, value in about.items() if value is not None}


def log_change(whose: str, before: str | None, after: str | None, **members: Any) -> str | None:
    """One line where what is wrong with somebody else's server has changed.

    Args:
        before, after: what was wrong and what is; None where nothing is.

    Returns:
        `after`, for the next call.
    """
    if after and after != before:
        log_event("provider_fault", f"{whose}: {after}", level=logging.WARNING, reason=after, **members)
    elif before and not after:
        log_event("provider_fault", f"{whose}: answers again", reason="over", **members)
    return after
