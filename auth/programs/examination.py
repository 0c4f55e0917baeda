"""A user pool looked at from end to end: its keys, and whether Cognito knows the app clients."""

from collections.abc import Collection
from urllib.parse import urlsplit

import httpx2

from auth.findings import Finding, ok, warning, wrong
from auth.programs.verifier import CognitoVerifier

WHAT = "Cognito"
CALL = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
}
"""The call of Cognito's that needs no account with AWS and tells a client that there is from one that there is not."""


async def examine_pool(
    verifier: CognitoVerifier, *, client_ids: Collection[str], http: httpx2.AsyncClient
) -> list[Finding]:
    """What can be found out about a pool without a token of it."""
    key_sets = {keys.url: keys for keys in verifier.key_sets.values()}
    for keys in key_sets.values():
        await keys.ask()
    ready = [keys for keys in key_sets.values() if keys.ready]
    if not ready:
        problems = "; ".join(keys.problem or "" for keys in key_sets.values())
        mend = (
            "Is there a pool of that id in that Region? Compare COGNITO_POOL_ID and COGNITO_REGION with AWS's console."
        )
        return [wrong(WHAT, problems, mend)]
    findings = [ok(WHAT, f"{keys.url} holds {len(keys.keys)} keys that can be used") for keys in ready]
    return findings + [await _client(client_id, ready[0].url, http) for client_id in client_ids]


async def _client(client_id: str, url: str, http: httpx2.AsyncClient) -> Finding:
    """A refresh token that is none is refused by a client that there is."""
    place = urlsplit(url)
    endpoint = f"{place.scheme}://{place.netloc.replace('issuer-cognito-idp.', 'cognito-idp.')}/"
    request = {"AuthFlow": "REFRESH_TOKEN_AUTH", "ClientId": client_id, "AuthParameters": {"REFRESH_TOKEN": "none"}}
    try:
        answer = (await http.post(endpoint, json=request, headers=CALL)).json()
        fault = str(answer["__type"]).rpartition("#")[2]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        return warning(WHAT, f"whether there is a client {client_id} cannot be found out at {endpoint}", "Try a token.")
    if fault == "ResourceNotFoundException":
        mend = "Copy COGNITO_CLIENT_IDS from the pool's app clients in AWS's console."
        return wrong(WHAT, f"there is no app client {client_id}", mend)
    return ok(WHAT, f"there is an app client {client_id}")
