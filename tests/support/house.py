"""The parts of one app that know who is calling, put together around any ASGI app, on a clock that is set by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.types import ASGIApp

from auth.gate import Authentication, Gate
from auth.identity import Identity
from auth.programs import cognito_verifier
from auth.sessions import MemoryRevocations, Sessions
from tests.support.asgi import Recorder, made_answers
from tests.support.clock import Clock
from tests.support.forge import COGNITO, fetch_keys
from tests.support.settings import ACME, session_cookie_of, sessions_of, signed_cookie, sound_settings

OTHER = ACME.model_copy(update={"name": "other", "issuer": "https://id.other.example"})
ADA: dict[str, Any] = {"sub": "ada-1", "name": "Ada Lovelace", "email": "ada@example.com"}


class House:
    """People enter through `acme` and `other`, programs with tokens of the forge's pool.

    Args:
        changes: settings other than the sound ones.
    """

    def __init__(self, clock: Clock | None = None, **changes: Any) -> None:
        self.clock = clock or Clock()
        self.settings = sound_settings(**{"providers": (ACME, OTHER)} | COGNITO | changes)
        self.answers = made_answers(self.settings)
        self.revocations = MemoryRevocations(now=self.clock)
        self.sessions = self.another_process()
        pool = self.settings.user_pool
        self.verifier = cognito_verifier(pool, fetch=fetch_keys, now=self.clock) if pool else None
        self.behind = Recorder()

    def another_process(self) -> Sessions:
        """With the same store of revocations; what it has seen itself, it forgets."""
        return sessions_of(self.settings, self.revocations, now=self.clock)

    def around(self, app: ASGIApp | None = None, *, gated: bool = True, **options: Any) -> ASGIApp:
        """The layers around an app: session cookie, who is calling, and the gate."""
        app = app or self.behind
        if gated:
            app = Gate(app, answers=self.answers, scopes=self.settings.api_scopes, **options)
        return Authentication(
            app,
            base_url=self.settings.base_url,
            sessions=self.sessions,
            verifier=self.verifier,
            grants=None,
            session_cookie=partial(session_cookie_of, self.settings),
        )

    def sign_in(self, provider: str = "acme", **claims: Any) -> dict[str, Any]:
        """The session of Ada, or of somebody with other claims."""
        session: dict[str, Any] = {}
        self.sessions.begin(session, provider, ADA | claims)
        return session

    def cookie(self, session: dict[str, Any] | None = None) -> dict[str, str]:
        """The header that a browser sends: with this session, or one that begins now."""
        return {"Cookie": signed_cookie(self.settings, session or self.sign_in())}

    def read(self, session: dict[str, Any]) -> Identity | None:
        """As a request that sends this cookie and, as a copied one does, never takes the answer's."""
        return self.sessions.read(dict(session))
