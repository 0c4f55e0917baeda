"""A provider looked at from end to end: what it announces, its keys and clock, and whether it knows this app."""

from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime

import httpx2

from auth.errors import KeysUnavailable, ProviderUnavailable
from auth.findings import Finding, ok, warning, wrong
from auth.people.discovery import Metadata, metadata_url
from auth.people.id_token import ALGORITHMS
from auth.people.provider import Provider
from auth.web import FetchFailed, fetch_json

DISCOVERY = "/.well-known/"
SKEW_SECONDS = (30.0, 120.0)
"""By how much the clocks may differ before it is said, and before sign-ins fail."""
UNTOLD = "a code that is none was refused"


async def examine_provider(
    provider: Provider, *, http: httpx2.AsyncClient, base_url: str, now: Callable[[], float]
) -> list[Finding]:
    """Everything about one provider that can be found out without a person who signs in."""
    what = provider.label
    addresses = ok(
        what,
        f"register there: redirect URI {provider.redirect_uri}; after signing out {base_url}/logout; "
        f"back-channel logout {base_url}/auth/{provider.name}/backchannel-logout",
    )
    try:
        metadata = await provider.published.metadata()
    except ProviderUnavailable as error:
        return [addresses, wrong(what, error.reason, await _mend_issuer(provider, http))]
    findings = [addresses, ok(what, f"{metadata_url(provider.issuer)} is of the issuer {metadata.issuer}")]
    findings += _announced(what, metadata)
    try:
        keys = await (await provider.published.keys()).load()
        findings.append(ok(what, f"{metadata.jwks_uri} holds {len(keys)} keys that can be used"))
    except KeysUnavailable as error:
        findings.append(wrong(what, str(error), "The provider has to publish its signing keys there."))
    findings.append(await _clock(what, http, metadata_url(provider.issuer), now))
    findings.append(await _credentials(what, provider, metadata))
    return findings


async def _mend_issuer(provider: Provider, http: httpx2.AsyncClient) -> str:
    name, issuer = f"{provider.name.upper()}_ISSUER", provider.issuer
    if DISCOVERY in issuer:
        return f"{name} is what stands before it: {issuer.partition(DISCOVERY)[0]}"
    try:
        said = (await fetch_json(http, metadata_url(issuer))).get("issuer")
    except FetchFailed as error:
        if isinstance(error.__cause__, httpx2.HTTPError | TimeoutError):  # no answer came
            return f"This machine has to reach it: see to its network, its names (DNS) and certificates, and {name}."
        return f"{name} is what stands before {DISCOVERY}openid-configuration in the provider's documentation."
    if isinstance(said, str) and said != issuer:
        return f"If that is the provider you mean: {name}={said[:200]}"
    return "The provider's metadata is at fault: whoever runs it has to mend that."


def _announced(what: str, metadata: Metadata) -> Iterator[Finding]:
    usable = [name for name in metadata.id_token_signing_alg_values_supported if name in ALGORITHMS]
    if usable:
        yield ok(what, f"signs with {', '.join(usable)}")
    else:
        signs = ", ".join(metadata.id_token_signing_alg_values_supported)
        yield wrong(what, f"signs with {signs} alone", f"Have it sign ID tokens with one of {', '.join(ALGORITHMS)}.")
    if "S256" in metadata.code_challenge_methods_supported:
        yield ok(what, "announces PKCE with S256")
    else:
        yield warning(
            what,
            "does not announce PKCE with S256 (code_challenge_methods_supported)",
            "Sign-ins send it all the same. Where they fail, allow it at the provider.",
        )


async def _clock(what: str, http: httpx2.AsyncClient, url: str, now: Callable[[], float]) -> Finding:
    try:
        async with http.stream("GET", url) as response:
            skew = now() - parsedate_to_datetime(response.headers["date"]).timestamp()
    except (httpx2.HTTPError, KeyError, ValueError):
        return ok(what, "sends no Date, so that the clocks cannot be compared")
    if abs(skew) < SKEW_SECONDS[0]:
        return ok(what, "its clock and this machine's agree")
    found = f"this machine's clock is {skew:+.0f} s off the provider's"
    mend = "Set this machine's clock by NTP: tokens are valid for some minutes only."
    return (warning if abs(skew) < SKEW_SECONDS[1] else wrong)(what, found, mend)


async def _credentials(what: str, provider: Provider, metadata: Metadata) -> Finding:
    name = provider.name.upper()
    try:
        error, description = await provider.token_endpoint.try_credentials(metadata)
    except ProviderUnavailable as unavailable:
        return wrong(what, unavailable.reason, "The token endpoint has to answer for a sign-in to end.")
    said = f"{error} ({description})" if description else error
    if error == "invalid_grant":
        return ok(what, f"accepts {name}_CLIENT_ID and {name}_CLIENT_SECRET: {UNTOLD}")
    if error in ("invalid_client", "unauthorized_client"):
        return wrong(
            what,
            f"does not accept {name}_CLIENT_ID with {name}_CLIENT_SECRET: {said}",
            "Copy both anew from the provider's console; the secret may have been replaced, the client deleted.",
        )
    return warning(what, f"does not say whether it accepts the client: {said}", "Try to sign in.")
