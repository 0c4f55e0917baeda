"""Who of those who can sign in may enter, and what of a person's claims the rules of `auth.access` go by."""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from auth.access import EMAIL, Access
from auth.errors import EmailUnknown, EmailUnverified, EmailUnvouched, GroupsUnlisted, NotAllowed
from auth.identity import Identity, lower_ascii
from auth.providers import ProviderSettings

GOOGLE_CONSUMER_DOMAINS = frozenset({"gmail.com", "googlemail.com"})

log = logging.getLogger("auth")


def admit(
    entrance: Access | None, provider: ProviderSettings, claims: Mapping[str, Any], *, named_groups: Collection[str]
) -> Identity:
    """The person of these verified claims, of whose groups only those are kept that a rule names.

    Args:
        entrance: the rule of who may enter; None lets everybody in.
        named_groups: those that any rule names, `entrance` and those of the app.

    Raises:
        EmailUnverified: the rule names the address and the issuer has not verified it.
        EmailUnknown: the rule names addresses, and the provider does not say which the person has.
        GroupsUnlisted: the rule names groups, and the provider does not say which the person is in.
        NotAllowed: the rule does not allow them.
    """
    email = claims.get("email")
    if not isinstance(email, str) or not EMAIL.fullmatch(email) or not email.isprintable():
        email = None
    verified = claims.get("email_verified")
    is_verified = verified is True or verified == "true" or (verified is None and provider.trust_email)
    groups = groups_in(claims, provider.groups_claim)
    person = Identity(
        username=claims["sub"],
        email=email,
        email_verified=email is not None and is_verified,
        domain=_domain(provider, claims, lower_ascii(email)) if email else None,
        issuer=provider.issuer,
        subject=claims["sub"],
        kind="person",
        groups=tuple(group for group in named_groups if group in (groups or ())),
        expires_at=0,
    )
    is_unlisted = groups is None and _is_link(claims, provider.groups_claim)
    if entrance is None or entrance.allows(person):
        if is_unlisted and named_groups:
            log.warning("%s sent a link in place of groups: no rule finds %r in one", provider.name, person)
        return person
    if entrance.allows(replace(person, email_verified=email is not None)):
        if verified is None:
            raise EmailUnvouched(f"there is no email_verified; {provider.name.upper()}_TRUST_EMAIL=true goes without")
        raise EmailUnverified("email_verified", actual=verified, expected=True)
    if is_unlisted and entrance.groups:
        raise GroupsUnlisted(f"{provider.groups_claim} is a link")
    if email is None and (entrance.emails or entrance.domains):
        raise EmailUnknown("the provider names no e-mail address")
    raise NotAllowed("not listed", actual=(email, claims.get("hd"), groups), expected=entrance)


def groups_in(claims: Mapping[str, Any], path: str) -> tuple[str, ...] | None:
    """The groups that a person's claims name, None where they say nothing of groups.

    Args:
        path: the claim, or members one in another with dots between, such as `realm_access.roles`.
    """
    found: Any = claims
    for member in (path,) if path in claims else path.split("."):
        found = found.get(member) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return (found,)
    return tuple(group for group in found if isinstance(group, str)) if isinstance(found, list) else None


def _is_link(claims: Mapping[str, Any], path: str) -> bool:
    """Entra ID sends at most 200 groups, and else where they are (learn.microsoft.com, "Groups overage claim")."""
    names = claims.get("_claim_names")  # OpenID Connect Core 5.6.2
    return (isinstance(names, Mapping) and path in names) or claims.get("hasgroups") in (True, "true")


def _domain(provider: ProviderSettings, claims: Mapping[str, Any], email: str) -> str | None:
    """The domain that an address counts for.

    From Google it counts only with the same `hd`, but for Google's own consumer domains: anybody who once read mail
    there can hold a consumer account with a company's address, and only `hd` says that the company manages it
    (developers.google.com/identity/openid-connect, "An ID token's payload").
    """
    domain = email.partition("@")[2]
    needs_hd = provider.is_google and domain not in GOOGLE_CONSUMER_DOMAINS
    return None if needs_hd and lower_ascii(str(claims.get("hd", ""))) != domain else domain
