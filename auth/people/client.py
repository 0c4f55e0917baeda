"""Authlib's client of one provider, with what it leaves out."""

import base64
import ssl
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_plus

import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client

from auth.providers import ProviderSettings
from auth.web import DIRECT, PLAIN, bounded, encoding_of

ANSWER_BYTES = 4 * 1024 * 1024


def oauth_client(
    config: ProviderSettings, *, redirect_uri: str, tls: ssl.SSLContext, auth_method: str = "client_secret_basic"
) -> AsyncOAuth2Client:
    """A client for one step of a sign-in. It sends PKCE (S256) and reads answers of `ANSWER_BYTES` at most.

    Args:
        auth_method: how it proves itself at the token endpoint (OpenID Connect Core 9).
    """
    client = AsyncOAuth2Client(
        client_id=config.client_id,
        client_secret=config.client_secret.get_secret_value(),
        token_endpoint_auth_method=auth_method,
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
        timeout=10.0,
        headers=PLAIN,
        event_hooks={"response": [_bound]},
        verify=tls,
        mounts=DIRECT,
    )
    client.register_client_auth_method(("client_secret_basic", _encoded_basic))
    client.register_compliance_hook("access_token_response", _token_response)
    return client


class _Bounded(httpx2.AsyncByteStream):
    """The body of an answer, decompressed, as far as `ANSWER_BYTES`."""

    def __init__(self, stream: httpx2.AsyncByteStream, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding

    def __aiter__(self) -> AsyncIterator[bytes]:
        return bounded(aiter(self._stream), self._encoding, ANSWER_BYTES)

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream, encoding_of(response))
    response.headers.pop("content-encoding", None)


def _token_response(response: httpx2.Response) -> httpx2.Response:
    """A token response is one with status 200; others may only say an error (RFC 6749 section 5).

    When the token expires is left out: it is used at once, and Authlib would not use one that expires within a minute.
    """
    if response.status_code != httpx2.codes.OK:
        if b'"error"' not in response.content:
            response.raise_for_status()
        return response
    token = response.json()
    if not isinstance(token, dict):
        return response
    kept = {name: value for name, value in token.items() if name not in ("expires_in", "expires_at")}
    return httpx2.Response(response.status_code, json=kept)


def _encoded_basic(client: Any, method: str, uri: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    """HTTP Basic with both parts form-encoded (RFC 6749 section 2.3.1), which Authlib leaves out."""
    text = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(text.encode()).decode()}"
    return uri, headers, body
