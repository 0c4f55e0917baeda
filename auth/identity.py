"""Who is calling: one type for a person and for a program, and the one way to read it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, get_type_hints

from msgspec import Struct
from pydantic import GetCoreSchemaHandler
from pydantic_core.core_schema import (
    CoreSchema,
    is_instance_schema,
    plain_serializer_function_ser_schema,
    typed_dict_field,
    typed_dict_schema,
)
from starlette.requests import HTTPConnection
from starlette.types import Scope

from auth.errors import AuthError, NotSignedIn

JOINERS = "\u200c\u200d"
"""Not printable to Python, and part of how Persian, Hindi and many emoji are written."""

Kind = Literal["person", "program"]
NOT_SHOWN = frozenset({"email_verified", "domain", "session_id"})


def lower_ascii(text: str) -> str:
    """Lower case of A to Z alone: `str.lower` makes a k of the Kelvin sign, so two addresses would become one."""
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


class Identity(Struct, frozen=True, kw_only=True, gc=False):
    """A verified caller. `issuer` and `subject` together name them for good; everything else is for showing.

    OpenID Connect Core 5.7: `sub` and `iss` are the only claims that a relying party may use as a stable
    identifier; a name or an e-mail address may pass on to somebody else.

    Attributes:
        username: never empty: Cognito's `username`, a program's client id, otherwise the subject.
        name, email, picture: what the issuer says, as text, or None. The address may be unverified.
        kind: "program" for a token without `username`, else "person".
        groups: a token's; of a person's those that a rule names (`auth.access`).
        client: the program that a person lets act as them, by the name it gives itself; None where they act themselves.
        expires_at: when this identity ends at the latest, in epoch seconds.
        email_verified: whether the issuer says that the address is this caller's.
        domain: that the address belongs to, in lower case; None where it counts for none.
        session_id: which of the person's sessions this is; None for a Bearer token.
    """

    username: str
    name: str | None = None
    email: str | None = None
    picture: str | None = None
    issuer: str
    subject: str
    kind: Kind
    scopes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    client: str | None = None
    expires_at: int
    email_verified: bool = False
    domain: str | None = None
    session_id: str | None = None

    @property
    def display_name(self) -> str:
        """What greets: name, else e-mail, else username, else subject. Text, never markup."""
        return self.name or self.email or self.username or self.subject

    @property
    def program(self) -> str | None:
        """The program that calls, for the log: by its client id where it acts for itself."""
        return self.username if self.kind == "program" else self.client

    @property
    def identity(self) -> str:
        """The one string that names this caller among all issuers: what `gr.Request.username` holds."""
        return f"{self.issuer}#{self.subject}"

    def shown(self) -> dict[str, Any]:
        """The members that `/user/me` shows: all but the session's id and what rules go by."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name not in NOT_SHOWN}

    def __repr__(self) -> str:
        """Without the session's id, which is for nobody to read."""
        return f"Identity({self.kind} {self.identity!r}, {self.display_name!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """How a route that returns an identity shows it."""
        kinds = {name: kind for name, kind in get_type_hints(cls).items() if name not in NOT_SHOWN}
        members = {name: typed_dict_field(handler.generate_schema(kind)) for name, kind in kinds.items()}
        shown = plain_serializer_function_ser_schema(
            cls.shown,
            return_schema=typed_dict_schema(members, cls_name=cls.__name__, ref=cls.__name__),
        )
        return is_instance_schema(cls, serialization=shown)


class Credential(Struct, frozen=True, kw_only=True):
    """What a request was sent with, and whom it names. Established once, by `auth.gate.Authentication`.

    Attributes:
        token: the Bearer token as it was sent, empty where the header is malformed; None where no such header came.
        outcome: the caller, or why there is none.
        is_still_valid: whether the outcome would be the same now; asked while a long answer is sent. It depends on
            nothing that the app behind the gate could change.
        use: counts as a sign of life, as a request does; asked while a long answer is read.
    """

    token: bytes | None = None
    outcome: Identity | AuthError
    is_still_valid: Callable[[], bool] = lambda: False
    use: Callable[[], object] = lambda: None

    @property
    def identity(self) -> Identity:
        """The caller.

        Raises:
            AuthError: there is none.
        """
        if isinstance(self.outcome, Identity):
            return self.outcome
        raise self.outcome


NO_CREDENTIAL = Credential(outcome=NotSignedIn("the request carries no credentials"))


def identity_of(request: Any) -> Identity:
    """The caller's identity, from any request that a route, a Gradio event or an MCP tool is handed.

    Args:
        request: a `gr.Request` or a Starlette `HTTPConnection`.

    Raises:
        AuthError: what is wrong with the caller's credentials; `NotSignedIn` where there are none.
    """
    if isinstance(request, HTTPConnection):  # the same in a third of the time
        return identity_in(request.scope)
    return identity_in({"state": {"credential": getattr(getattr(request, "state", None), "credential", None)}})


def identity_in(scope: Scope) -> Identity:
    """As `identity_of`, for ASGI."""
    return credential_in(scope).identity


def credential_in(scope: Scope) -> Credential:
    """What the request was sent with; `NO_CREDENTIAL` where nothing has looked."""
    credential = scope.get("state", {}).get("credential")
    return credential if isinstance(credential, Credential) else NO_CREDENTIAL


_caller: ContextVar[Credential] = ContextVar("caller", default=NO_CREDENTIAL)


def caller() -> Credential:
    """Of whom the code that runs just now was asked; `NO_CREDENTIAL` outside of `calling`."""
    return _caller.get()


@contextmanager
def calling(credential: Credential) -> Iterator[None]:
    """What runs in here, in its tasks and in the threads that it waits for, runs for this caller.

    A queue's worker may run in a copy of some other request's context, so whoever starts an event says anew for whom.
    """
    token = _caller.set(credential)
    try:
        yield
    finally:
        _caller.reset(token)


def one_line(value: object) -> str | None:
    """What somebody else says, as text to show: one line, without control characters, None where nothing is left."""
    if not isinstance(value, str):
        return None
    shown = "".join(c if c.isprintable() or c in JOINERS else " " for c in value[:1024])
    return " ".join(shown.split()) or None
