"""The providers that people sign in with: what is set for each, and what is known of some by their names."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    model_validator,
)

from auth.errors import WrongIssuer
from auth.urls import http_url

GOOGLE_ISSUER = "https://accounts.google.com"
MICROSOFT = "https://login.microsoftonline.com"
TENANT_ID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
SHARED_TENANTS = frozenset({"organizations", "common"})
"""Tenants whose metadata has `{tenantid}` in place of that of the person who signs in."""


def _words(value: Any) -> Any:
    return tuple(re.findall(r"[^\s,]+", value)) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


def _with_openid(scopes: tuple[str, ...]) -> tuple[str, ...]:
    if scopes and "openid" not in scopes:
        raise ValueError("must have openid among its scopes")
    return scopes


class ProviderSettings(BaseModel):
    """One OpenID Connect issuer that people sign in with. In the environment each name follows that of the provider.

    Attributes:
        issuer: where its metadata is, and as it spells itself there.
        other_issuers: other spellings of it.
        tenant: of Entra ID, as it stands in `issuer`; `tenants` are the ids whose people may sign in through a shared
            one.
        scopes: those asked for; empty for the usual ones that the provider announces.
        token_auth_method: how this app proves itself at the token endpoint; empty for what the provider takes.
        groups_claim: where groups are in the ID token or userinfo; a path with dots.
        trust_email: its addresses count without `email_verified`.
        logout: how people sign out there: RP-Initiated Logout, as Cognito has it, or not at all.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    issuer: Annotated[str, Field(min_length=1), AfterValidator(http_url)]
    other_issuers: tuple[str, ...] = ()
    tenant: str = Field(default="", pattern=r"^[A-Za-z0-9.-]*$")
    tenants: Words = ()
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    label: str = Field(min_length=1, max_length=40)
    scopes: Annotated[Words, AfterValidator(_with_openid)] = ()
    token_auth_method: Literal["", "client_secret_basic", "client_secret_post"] = ""
    groups_claim: str = Field(default="groups", min_length=1)
    trust_email: bool = False
    logout: Literal["", "oidc", "cognito", "none"] = ""
    response_mode: Literal["query", "form_post"] = "query"

    @model_validator(mode="wrap")
    @classmethod
    def _by_the_names_of_the_environment(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            owner = str(data.get("name", "")).upper()
            raise ValueError("\n".join(_describe(fault, owner) for fault in error.errors())) from None

    @property
    def is_google(self) -> bool:
        """Google, or what stands for it in a test."""
        return self.name == "google" or self.issuer == GOOGLE_ISSUER

    @property
    def callback_path(self) -> str:
        """Where the provider sends people back to, below `PUBLIC_URL`."""
        return "/auth" if self.name == "google" else f"/auth/{self.name}"

    @property
    def way_out(self) -> Literal["oidc", "cognito", "none"]:
        """How people sign out at the provider."""
        of_cognito = re.match(r"https://(issuer-)?cognito-idp\.", self.issuer)
        return self.logout or ("cognito" if of_cognito else "oidc")

    def may_announce(self, issuer: str) -> bool:
        """Whether metadata that this `issuer` names is that of this provider.

        Entra ID names the id of a tenant that is configured by a domain of its, and of a shared one none
        (learn.microsoft.com/entra/identity-platform/v2-protocols-oidc).
        """
        if issuer in (self.issuer, *self.other_issuers):
            return True
        before, tenant, after = self.issuer.partition(f"/{self.tenant}/")
        if not (self.tenant and tenant) or re.fullmatch(TENANT_ID, self.tenant):
            return False
        ids = r"\{tenantid\}" if self.tenant in SHARED_TENANTS else TENANT_ID
        return re.fullmatch(f"{re.escape(before)}/{ids}/{re.escape(after)}", issuer) is not None

    @staticmethod
    def is_template(issuer: str) -> bool:
        """Whether the issuer that metadata names is none before a token names its tenant."""
        return "{tenantid}" in issuer

    def token_issuer(self, announced: str, claims: Mapping[str, Any]) -> str:
        """The `iss` that a token with these claims must have.

        Raises:
            WrongIssuer: it is of a tenant whose people may not sign in.
        """
        if not self.is_template(announced):
            return announced
        if claims.get("tid") not in self.tenants:
            raise WrongIssuer("tid", actual=claims.get("tid"), expected=self.tenants)
        return announced.replace("{tenantid}", claims["tid"])


PARTS = tuple(name.upper() for name in ProviderSettings.model_fields if name not in ("name", "other_issuers"))
"""What may follow a provider's name in the environment."""


def pool_issuers(region: str, pool_id: str) -> tuple[str, str]:
    """The two issuers that a Cognito user pool is documented to have in a Region; it uses one (API reference,
    IssuerConfigurationType)."""
    place = f"{region}.amazonaws.com/{pool_id}"
    return f"https://cognito-idp.{place}", f"https://issuer-cognito-idp.{place}"


def provider_named(name: str, environ: Mapping[str, str | None]) -> dict[str, Any]:
    """What `ProviderSettings` is made of for a provider of that name.

    Args:
        environ: by names in lower case.
    """
    given = {part: value for part in map(str.lower, PARTS) if (value := environ.get(f"{name}_{part}"))}
    other = {"other_issuers": ()} if "issuer" in given else {}
    return {"label": name.capitalize(), **_preset(name, environ), **given, **other, "name": name}


def _preset(name: str, environ: Mapping[str, str | None]) -> dict[str, Any]:
    if name == "google":
        return {"issuer": GOOGLE_ISSUER}
    if name == "microsoft":
        tenant = environ.get("microsoft_tenant")
        return {"issuer": f"{MICROSOFT}/{tenant}/v2.0"} if tenant else {}
    if name == "cognito":
        pool_id, regions = environ.get("cognito_pool_id") or "", _words(environ.get("cognito_region") or "")
        issuers = [issuer for region in regions for issuer in pool_issuers(region, pool_id) if region and pool_id]
        of_pool = {"issuer": issuers[0], "other_issuers": issuers[1:]} if issuers else {}
        return {**of_pool, "groups_claim": "cognito:groups", "logout": "cognito"}
    return {}


def message_of(fault: Any) -> str:
    """What one of pydantic's errors says."""
    return str(fault["msg"]).removeprefix("Value error, ")


def _describe(fault: Any, owner: str) -> str:
    part = str(fault["loc"][0]).upper()
    if part == "NAME":
        return f"PROVIDERS: the name {fault['input']!r} must be letters, digits and underscores, after a letter."
    name = f"{owner}_{part}"
    if fault["type"] in ("missing", "string_too_short"):
        return MISSING.get(name, f"{name} is missing.")
    return f"{name} {message_of(fault)}."


MISSING = {
    "MICROSOFT_ISSUER": "MICROSOFT_TENANT is missing: the tenant's id or one of its domains, or organizations.",
    "COGNITO_ISSUER": "COGNITO_REGION and COGNITO_POOL_ID are missing: they say which user pool people sign in with.",
}
"""What is missing where an issuer is, of those that are not set themselves."""


def provider_problems(provider: ProviderSettings, taken: frozenset[str]) -> list[str]:
    """What cannot be, between the settings of one provider and with others.

    Args:
        taken: the names of all other settings.
    """
    found = []
    preset = PRESET_NAMES.get(provider.name, frozenset())
    collisions = sorted(taken.intersection(f"{provider.name.upper()}_{part}" for part in PARTS) - preset)
    if collisions:
        found.append(
            f"PROVIDERS: no provider can be named {provider.name}, for {' and '.join(collisions)} "
            f"{'is another setting' if len(collisions) == 1 else 'are other settings'}."
        )
    if provider.tenant in SHARED_TENANTS and not provider.tenants:
        found.append(
            f"{provider.name.upper()}_TENANTS is missing: the ids of the tenants whose people may sign in, "
            f"comma-separated, for {provider.name.upper()}_TENANT={provider.tenant}."
        )
    return found


PRESET_NAMES = {
    "google": frozenset({"GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"}),
    "cognito": frozenset({"COGNITO_ISSUER"}),
}
"""Settings of a name that are meant for the provider of that name too."""
