"""Authlib's client of one provider, with what it leaves out."""

import base64
import ssl
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_plus

import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client

from auth.people.discovery import Metadata
from auth.settings import ProviderSettings
from auth.web import DIRECT

SCOPE = "openid email profile"
ANSWER_BYTES = 4 * 1024 * 1024


def oauth_client(
    config: ProviderSettings, metadata: Metadata, *, redirect_uri: str, tls: ssl.SSLContext
) -> AsyncOAuth2Client:
    """A client for one step of a sign-in. It sends PKCE (S256) and reads answers of `ANSWER_BYTES` at most."""
    basic = "client_secret_basic" in metadata.token_endpoint_auth_methods_supported
    client = AsyncOAuth2Client(
        client_id=config.client_id,
        client_secret=config.client_secret.get_secret_value(),
        token_endpoint_auth_method="client_secret_basic" if basic else "client_secret_post",
        scope=SCOPE,
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
        timeout=10.0,
        event_hooks={"response": [_bound]},
        verify=tls,
        mounts=DIRECT,
    )
    client.register_client_auth_method(("client_secret_basic", _encoded_basic))
    client.register_compliance_hook("access_token_response", _refuse_unsaid)
    return client


class _Bounded(httpx2.AsyncByteStream):
    """The body of an answer, as far as `ANSWER_BYTES`."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._stream:
            read += len(chunk)
            if read > ANSWER_BYTES:
                raise ValueError(f"the answer is larger than {ANSWER_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)


def _refuse_unsaid(response: httpx2.Response) -> httpx2.Response:
    """A token response is one with status 200; others may only say an error (RFC 6749 section 5)."""
    if response.status_code != httpx2.codes.OK and b'"error"' not in response.content:
        response.raise_for_status()
    return response


def _encoded_basic(client: Any, method: str, uri: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    """HTTP Basic with both parts form-encoded (RFC 6749 section 2.3.1), which Authlib leaves out."""
    text = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(text.encode()).decode()}"
    return uri, headers, body
