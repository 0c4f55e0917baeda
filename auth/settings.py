"""Everything that is configured, in one typed object; every mistake is reported at once."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.sources import DotEnvSettingsSource, EnvSettingsSource

from auth.access import EMAIL, Access
from auth.content_policy import Policy, parse_policy
from auth.environment import Environment, is_own_address, misspelled
from auth.identity import lower_ascii
from auth.providers import PARTS, ProviderSettings, message_of, pool_issuers, provider_named, provider_problems
from auth.urls import Site, as_browsers_spell, http_url, is_confidential, is_http_url, is_loopback

CLOCK_SKEW = 60.0
"""Seconds by which the clock of another machine may be ahead of this one's (`iat` and `nbf` of tokens). `exp` has no
leeway: what has ended here has ended."""
PICTURES = (".png", ".svg", ".jpg", ".jpeg", ".webp", ".gif")
DOMAIN = re.compile(r"[^\s@/:*.,;<>]+(\.[^\s@/:*.,;<>]+)*")
PLACEHOLDERS = ("changeme", "change-me", "change_me", "secret", "your-", "your_", "placeholder", "example", "xxxx", "<")


class NotStarted(Exception):
    """The app cannot be served as it is. `str(error)` says why, to whoever starts it."""


class SettingsError(NotStarted):
    """The configuration cannot be used. `problems` is one readable line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _split(value: object) -> object:
    if not isinstance(value, str) or not value:
        return value or ()
    parts = tuple(part.strip() for part in value.split(",") if part.strip())
    if value and not parts:
        raise ValueError("holds no name between its commas")
    return parts


def _lower(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(lower_ascii(value).lstrip("@") for value in values)


def _emails(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if "*" in value:
            raise ValueError(f"{value!r} has a wildcard: name a whole domain in ALLOWED_DOMAINS")
        if not EMAIL.fullmatch(value):
            raise ValueError(f"{value!r} is no e-mail address")
    return values


def _domains(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if "*" in value:
            raise ValueError(f"{value!r} has a wildcard: name each domain by itself, a subdomain too")
        if not DOMAIN.fullmatch(value):
            raise ValueError(f"{value!r} is no domain such as example.com")
    return values


def _public_url(value: str) -> str:
    return as_browsers_spell(http_url(value)) if value else ""


def _picture(value: Path | None) -> Path | None:
    if value and (value.suffix.lower() not in PICTURES or not value.is_file()):
        raise ValueError(f"must be a file that is there, of one of the kinds {', '.join(PICTURES)}")
    return value


def _contact(value: str) -> str:
    if value and not is_http_url(value.partition("?")[0]) and not re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", value):
        raise ValueError("must be an e-mail address or an http(s) address")
    return value


def _policy(value: str) -> str:
    parse_policy(value)
    return value


def _form(pattern: str, what: str) -> AfterValidator:
    def checked(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {what}")
        return value

    return AfterValidator(checked)


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Region = Annotated[str, _form(r"[a-z]{2}(-[a-z]+)+-\d", "a Region such as eu-west-1")]
PoolId = Annotated[str, _form(r"[A-Za-z0-9_-]{0,55}", "a user pool's id such as eu-west-1_AbCdEf123")]
Scope = Annotated[str, _form(r"[\x21\x23-\x5B\x5D-\x7E]*", "one scope")]  # RFC 6749 section 3.3
Url = Annotated[str, AfterValidator(http_url)]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPool:
    """An AWS Cognito user pool, as far as its access tokens are accepted.

    Attributes:
        key_urls: each issuer accepted, and where its keys are.
        client_ids: the app clients whose tokens are accepted.
        audiences: the `aud` accepted in resource-bound tokens; empty accepts any, since `client_id` is checked.
    """

    key_urls: Mapping[str, str]
    client_ids: tuple[str, ...]
    audiences: tuple[str, ...]


class Settings(BaseSettings):
    """Read from the process's environment, then from `.env`. `.env.example` says what each name means."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    public_url: Annotated[str, AfterValidator(_public_url)] = ""
    secret_key: SecretStr = SecretStr("")
    secret_key_fallbacks: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)] = ()
    google_client_id: str = ""
    google_client_secret: SecretStr = SecretStr("")
    providers: Annotated[tuple[ProviderSettings, ...], NoDecode] = ()
    allowed_emails: Annotated[Names, AfterValidator(_lower), AfterValidator(_emails)] = ()
    allowed_domains: Annotated[Names, AfterValidator(_lower), AfterValidator(_domains)] = ()
    allowed_groups: Names = ()
    session_hours: float = Field(default=8, gt=0, le=24 * 30)
    session_idle_minutes: float = Field(default=60, gt=0, le=60 * 24 * 30)
    cookie_samesite: Literal["lax", "none"] = "lax"
    redis_url: SecretStr = SecretStr("")
    cognito_region: Annotated[tuple[Region, ...], NoDecode, BeforeValidator(_split)] = ()
    cognito_pool_id: PoolId = ""
    cognito_client_ids: Names = ()
    cognito_issuer: Url = ""
    cognito_jwks_url: Url = ""
    api_scopes: Names = ()
    api_audience: Names = ()
    blocks: Path = Path("ui/main.py")
    mcp_server: bool = False
    people_tokens: bool | None = None
    metrics: bool = False
    metrics_scope: Scope = ""
    access_log: Literal["all", "brief", "none"] = "brief"
    content_security_policy: Annotated[str, AfterValidator(_policy)] = ""
    forwarded_allow_ips: str = "127.0.0.1"
    app_title: str = Field(default="My Gradio app", min_length=1, max_length=80)
    app_logo: Annotated[Path | None, AfterValidator(_picture)] = None
    contact: Annotated[str, Field(max_length=200), AfterValidator(_contact)] = ""
    profile_pictures: bool = True

    @model_validator(mode="before")
    @classmethod
    def _google_unless_others_are_named(cls, given: dict[str, Any]) -> dict[str, Any]:
        if "providers" in given or not given.get("google_client_id"):
            return given
        return {**given, "providers": (provider_named("google", given),)}

    @classmethod
    def load(cls) -> Self:
        """The settings of this process.

        Raises:
            SettingsError: with every problem there is.
        """
        try:
            environment = Environment.read()
        except UnicodeDecodeError:
            raise SettingsError([".env is not UTF-8 text."]) from None
        problems: list[str] = []
        sound: dict[str, Any] = {}
        try:
            settings = cls(_env_file=environment.path)  # type: ignore[call-arg]
        except ValidationError as error:
            for fault in error.errors():
                name = str(fault["loc"][0])
                problems += message_of(fault).split("\n") if name == "providers" else [_describe(fault)]
                sound[name] = cls.model_fields[name].get_default(call_default_factory=True)
            settings = cls(**sound, _env_file=environment.path)  # type: ignore[call-arg]
        if not is_own_address(settings.host):
            problems.append(
                f"HOST={settings.host} (from the {environment.source_of('HOST')}) is no address of this machine. "
                "Where conda has set it: unset HOST."
            )
            settings = settings.model_copy(update={"host": cls.model_fields["host"].default})
        meant = misspelled(environment.file, cls.known_names(environment))
        problems += [f"{name} in {environment.path} is no setting: {right} is." for name, right in meant.items()]
        problems += [f"Line {line} of {environment.path} is not NAME=value." for line in environment.unread]
        said = {problem.partition(" is missing")[0] for problem in problems}
        problems += [
            problem
            for problem in settings.problems(unread=frozenset(sound))
            if problem.partition(" is missing")[0] not in said
        ]
        if problems:
            raise SettingsError([*problems, *cls._misnamed(environment)])
        return settings.completed()

    @classmethod
    def _misnamed(cls, environment: Environment) -> list[str]:
        """Names of the process's environment, where those of other programs stand too: no reason not to start."""
        meant = misspelled(environment.process, cls.known_names(environment))
        return [f"{name} in the environment is no setting: {right} is." for name, right in meant.items()]

    @classmethod
    def known_names(cls, environment: Environment) -> frozenset[str]:
        """Every name that is read from the environment, those of the providers that it lists included."""
        owners = ["GOOGLE", *(name.strip().upper() for name in environment.get("PROVIDERS").split(",") if name.strip())]
        named = {f"{owner}_{part}" for owner in owners for part in PARTS}
        return frozenset({*(name.upper() for name in cls.model_fields), *named})

    def notes(self, environment: Environment) -> list[str]:
        """What is allowed and may not be what was meant: one line each."""
        names = {**environment.file, **environment.process}
        known = self.known_names(environment)
        notes = self._misnamed(environment)
        providers = {provider.name for provider in self.providers}
        for name in names:
            owner = name.removesuffix("_ISSUER").lower()
            if name.endswith("_ISSUER") and owner not in providers and name not in known:
                notes.append(f"{name} is unused: PROVIDERS does not name {owner}.")
        has_pool = bool(self.cognito_client_ids) or self.is_local
        unused = {
            "GOOGLE_CLIENT_ID": "PROVIDERS does not name google" if "google" not in providers else "",
            "API_AUDIENCE": "" if has_pool else "no user pool is configured",
            "COGNITO_REGION": "COGNITO_ISSUER takes its place" if self.cognito_issuer else "",
            "METRICS_SCOPE": "METRICS is false"
            if not self.metrics
            else ""
            if has_pool
            else "no user pool is configured",
        }
        notes += [f"{name} is unused: {why}." for name, why in unused.items() if why and names.get(name)]
        if self.is_https and self.entrance is None:
            notes.append(
                "Everybody who can sign in may enter. To let in some alone: ALLOWED_DOMAINS, ALLOWED_EMAILS or "
                "ALLOWED_GROUPS."
            )
        return notes

    @property
    def is_local(self) -> bool:
        """True when only this machine can reach the app: it listens on loopback and its address is loopback."""
        return is_loopback(self.host) and self.site.is_loopback

    @property
    def base_url(self) -> str:
        """`PUBLIC_URL` without a slash at its end, or the address listened on where that is loopback."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or as_browsers_spell(f"http://{host}:{self.port}")

    @property
    def site(self) -> Site:
        """`base_url` in parts."""
        return Site(self.base_url)

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def page_policy(self) -> Policy:
        """The directives of `CONTENT_SECURITY_POLICY`."""
        return parse_policy(self.content_security_policy)

    @property
    def signing_keys(self) -> list[str]:
        """The session's keys as itsdangerous takes them: the one that signs last."""
        return [key.get_secret_value() for key in (*reversed(self.secret_key_fallbacks), self.secret_key)]

    @property
    def entrance(self) -> Access | None:
        """Who of those who can sign in may enter; None for everybody.

        Raises:
            ValueError: a name that nobody could have.
        """
        if not (self.allowed_emails or self.allowed_domains or self.allowed_groups):
            return None
        return Access(emails=self.allowed_emails, domains=self.allowed_domains, groups=self.allowed_groups)

    def completed(self) -> Self:
        """These settings with what local use makes up: a key for this start."""
        if self.secret_key.get_secret_value():
            return self
        return self.model_copy(update={"secret_key": SecretStr(secrets.token_urlsafe(32))})

    def problems(self, *, unread: frozenset[str] = frozenset()) -> list[str]:
        """What is wrong between the settings; `unread` names those that already failed on their own."""
        found: list[str] = []
        local = self.is_local

        def wrong(when: bool, text: str, *names: str) -> None:
            if when and not unread.intersection(names):
                found.append(text)

        wrong(
            not self.public_url and not is_loopback(self.host),
            f"PUBLIC_URL is missing: HOST={self.host} is not a loopback address. "
            "Set it to the address people type, such as https://app.example.com.",
            "public_url",
            "host",
        )
        wrong(
            bool(self.public_url) and not is_confidential(self.public_url),
            f"PUBLIC_URL={self.public_url} is http: sign-in off this machine needs https.",
            "public_url",
        )
        key = self.secret_key.get_secret_value()
        wrong(
            not key and not local,
            "SECRET_KEY is missing. Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            "secret_key",
        )
        for number, candidate in enumerate((self.secret_key, *self.secret_key_fallbacks)):
            name = f"SECRET_KEY_FALLBACKS (key {number})" if number else "SECRET_KEY"
            text = candidate.get_secret_value()
            wrong(0 < len(text) < 32, f"{name} has {len(text)} characters: it needs at least 32.")
            wrong(
                len(text) >= 32 and (len(set(text)) < 8 or any(word in text.lower() for word in PLACEHOLDERS)),
                f"{name} looks like a placeholder. "
                "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            )
        google_id, google_secret = bool(self.google_client_id), bool(self.google_client_secret.get_secret_value())
        wrong(
            google_id != google_secret,
            f"{'GOOGLE_CLIENT_SECRET' if google_id else 'GOOGLE_CLIENT_ID'} is missing: Google sign-in needs both.",
            "google_client_id",
            "google_client_secret",
        )
        wrong(
            not self.providers and google_id == google_secret and not local,
            "No sign-in provider is configured. Set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET, or PROVIDERS. "
            "(The built-in local provider works on a loopback address only: anybody can sign in as anybody there.)",
            "providers",
            "host",
            "public_url",
        )
        names = [provider.name for provider in self.providers]
        wrong(len(set(names)) < len(names), "PROVIDERS names a provider twice.")
        for provider in self.providers:
            wrong(
                not is_confidential(provider.issuer),
                f"{provider.name.upper()}_ISSUER={provider.issuer} is http: an issuer off this machine needs https.",
            )
            found += provider_problems(provider, frozenset(name.upper() for name in type(self).model_fields))
        wrong(
            self.cookie_samesite == "none" and not self.is_https,
            "COOKIE_SAMESITE=none needs an https PUBLIC_URL: browsers drop such a cookie over http.",
            "cookie_samesite",
            "public_url",
        )
        try:
            _ = self.entrance
        except ValueError as error:
            found.append(f"ALLOWED_EMAILS, ALLOWED_DOMAINS, ALLOWED_GROUPS: {error}")
        redis = self.redis_url.get_secret_value()
        wrong(
            bool(redis) and redis.partition("://")[0] not in ("redis", "rediss", "unix"),
            "REDIS_URL is no address such as redis://:password@redis.example.com:6379/0.",
        )
        found += self._cognito_problems(unread)
        return found

    def _cognito_problems(self, unread: frozenset[str]) -> list[str]:
        names = ("cognito_region", "cognito_pool_id", "cognito_client_ids", "cognito_issuer", "cognito_jwks_url")
        if unread.intersection(names) or not any(getattr(self, name) for name in names):
            return []
        found = []
        people_alone = any(provider.name == "cognito" for provider in self.providers) and not self.cognito_client_ids
        if not self.cognito_client_ids and not people_alone:
            found.append("COGNITO_CLIENT_IDS is missing: name the app clients whose tokens are accepted.")
        if not self.cognito_issuer and not people_alone:
            for name in ("cognito_region", "cognito_pool_id"):
                if not getattr(self, name):
                    found.append(
                        f"{name.upper()} is missing: with COGNITO_CLIENT_IDS it says whose tokens are accepted."
                    )
        region, underscore, _ = self.cognito_pool_id.partition("_")
        if underscore and self.cognito_region and region not in self.cognito_region:
            found.append(
                f"COGNITO_POOL_ID={self.cognito_pool_id} is a pool of the Region {region}; "
                f"COGNITO_REGION is {','.join(self.cognito_region)}."
            )
        for name in ("cognito_issuer", "cognito_jwks_url"):
            url = getattr(self, name)
            if url and not is_confidential(url):
                found.append(f"{name.upper()}={url} is http: off this machine it needs https.")
        return found

    @property
    def has_people_tokens(self) -> bool:
        """`PEOPLE_TOKENS`; where it is not set, MCP clients are what it is for."""
        return self.mcp_server if self.people_tokens is None else self.people_tokens

    @property
    def user_pool(self) -> UserPool | None:
        """Whose access tokens are accepted, None where no app client is named."""
        if not self.cognito_client_ids:
            return None
        pool = [issuer for region in self.cognito_region for issuer in pool_issuers(region, self.cognito_pool_id)]
        issuers = [self.cognito_issuer] if self.cognito_issuer else pool
        return UserPool(
            key_urls={issuer: self.cognito_jwks_url or f"{issuer}/.well-known/jwks.json" for issuer in issuers},
            client_ids=self.cognito_client_ids,
            audiences=self.api_audience,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(env_settings, EnvSettingsSource)
        assert isinstance(dotenv_settings, DotEnvSettingsSource)
        environ = {**dotenv_settings.env_vars, **{k: v for k, v in env_settings.env_vars.items() if v}}
        named = InitSettingsSource(settings_cls, _named_providers(environ))
        return init_settings, named, env_settings, dotenv_settings


def _named_providers(environ: Mapping[str, str | None]) -> dict[str, Any]:
    """The `providers` field: `PROVIDERS` and the names that go with it (`ACME_ISSUER` for `acme`), in lower case."""
    if not (listed := environ.get("providers") or ("google" if environ.get("google_client_id") else "")):
        return {}
    names = [name.strip().lower() for name in listed.split(",") if name.strip()]
    return {"providers": tuple(provider_named(name, environ) for name in names)}


def _describe(fault: Any) -> str:
    """One line for one of pydantic's errors, in the names of the environment and without the value of a secret."""
    name = str(fault["loc"][0]).upper()
    shown = "" if "SECRET" in name or "REDIS" in name else "=" + re.sub("//[^/]*@", "//...@", str(fault["input"]))
    return f"{name}{shown}: {message_of(fault)}."
