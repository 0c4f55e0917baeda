"""Who is calling: one type for a person and for a program, and the one way to read it."""

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


class Identity(Struct, frozen=True, kw_only=True, gc=False):
    """A verified caller. `issuer` and `subject` together name them for good; everything else is for showing.

    OpenID Connect Core 5.7: `sub` and `iss` are the only claims that a relying party may use as a stable
    identifier; a name or an e-mail address may pass on to somebody else.

    Attributes:
        username: never empty: Cognito's `username`, a program's client id, otherwise the subject.
        name, email, picture: what the issuer says, as text, or None. An e-mail address here may be unverified: only
            `ALLOWED_EMAILS` and `ALLOWED_DOMAINS` look at that, when the person signs in.
        kind: "program" for a token without `username`, else "person".
        expires_at: when this identity ends at the latest, in epoch seconds.
        session_id: which of the person's sessions this is; None for a Bearer token.
    """

    username: str
    name: str | None = None
    email: str | None = None
    picture: str | None = None
    issuer: str
    subject: str
    kind: Literal["person", "program"]
    scopes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    expires_at: int
    session_id: str | None = None

    @property
    def display_name(self) -> str:
        """What greets: name, else e-mail, else username, else subject. Text, never markup."""
        return self.name or self.email or self.username or self.subject

    @property
    def identity(self) -> str:
        """The one string that names this caller among all issuers: what `gr.Request.username` holds."""
        return f"{self.issuer}#{self.subject}"

    def __repr__(self) -> str:
        """Without the session's id, which is for nobody to read."""
        return f"Identity({self.kind} {self.identity!r}, {self.display_name!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """How a route that returns an identity shows it: all but the session's id."""
        kinds = {name: kind for name, kind in get_type_hints(cls).items() if name != "session_id"}
        members = {name: typed_dict_field(handler.generate_schema(kind)) for name, kind in kinds.items()}
        shown = plain_serializer_function_ser_schema(
            lambda one: {name: getattr(one, name) for name in members},
            return_schema=typed_dict_schema(members, cls_name=cls.__name__, ref=cls.__name__),
        )
        return is_instance_schema(cls, serialization=shown)


def identity_of(request: Any) -> Identity:
    """The caller's identity, from any request that a route, a Gradio event or an MCP tool is handed.

    Args:
        request: a `gr.Request` or a Starlette `HTTPConnection`.

    Raises:
        AuthError: what is wrong with the caller's credentials; `NotSignedIn` where there are none.
    """
    if isinstance(request, HTTPConnection):  # the same in a third of the time
        return identity_in(request.scope)
    return identity_in({"state": {"identity": getattr(getattr(request, "state", None), "identity", None)}})


def identity_in(scope: Scope) -> Identity:
    """As `identity_of`, for ASGI."""
    outcome = scope.get("state", {}).get("identity")
    if isinstance(outcome, Identity):
        return outcome
    raise outcome if isinstance(outcome, AuthError) else NotSignedIn("the request carries no credentials")
