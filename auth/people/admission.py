"""Who of those who can sign in may enter: `ALLOWED_EMAILS` and `ALLOWED_DOMAINS`."""

import re
from collections.abc import Mapping
from typing import Any

from auth.errors import EmailUnverified, NotAllowed
from auth.settings import GOOGLE_ISSUER, Settings, lower_ascii

GOOGLE_CONSUMER_DOMAINS = frozenset({"gmail.com", "googlemail.com"})


def admit(settings: Settings, provider: str, claims: Mapping[str, Any]) -> None:
    """Let the person of these verified claims pass, or say why not. Without lists everybody may enter.

    From Google an address of a domain counts only with the same `hd`, but for Google's own consumer domains: anybody
    who once read mail there can hold a consumer account with a company's address, and only `hd` says that the company
    manages it (developers.google.com/identity/openid-connect, "An ID token's payload").

    Raises:
        EmailUnverified: the address is listed and the issuer has not verified it. NotAllowed: it is not listed.
    """
    if not settings.allowed_emails and not settings.allowed_domains:
        return
    email = claims.get("email")
    if not isinstance(email, str) or not re.fullmatch(r"[^\s@]+@[^\s@]+", email) or not email.isprintable():
        raise NotAllowed("the provider names no e-mail address")
    email = lower_ascii(email)
    domain = email.partition("@")[2]
    if email not in settings.allowed_emails and domain not in settings.allowed_domains:
        raise NotAllowed("not listed", actual=email, expected="one of ALLOWED_EMAILS or in one of ALLOWED_DOMAINS")
    verified = claims.get("email_verified")
    if verified is not True and verified != "true":
        raise EmailUnverified("email_verified", actual=verified, expected=True)
    is_google = provider == "google" or claims.get("iss") == GOOGLE_ISSUER
    if email in settings.allowed_emails or not is_google or domain in GOOGLE_CONSUMER_DOMAINS:
        return
    if lower_ascii(str(claims.get("hd", ""))) != domain:
        raise NotAllowed("hd", actual=claims.get("hd"), expected=domain)
