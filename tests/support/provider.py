"""A stand-in OpenID provider over real HTTP: sound as it is made, and wrong in the one way that a test names.

A fault is a function from the right thing to the wrong one, under the name of the stage where it acts:

    with provider.faulty(claims=but(aud="somebody-else")):
        ...

Stages, and what their function is given: `discovery`, `jwks`, `token` and `userinfo` (the JSON object), `callback`
(the list of name and value pairs), `header` and `claims` (of the ID token), `key` (that signs it; bytes for an HMAC),
`id_token` (the finished text). Each may also give a `Reply` in place of the JSON object.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc.jwk import Key
from pydantic import SecretStr

from auth.providers import ProviderSettings
from tests.support.forge import KEY_OF, KEYS, base64url, compact, half_hash
from tests.support.run_log import RUN

Change = Callable[[Any], Any]

CLIENT_ID = "the-app"
CLIENT_SECRET = "the-apps-own-secret-at-the-provider"
ALICE = {
    "sub": "alice-1",
    "name": "Alice Example",
    "email": "alice@example.com",
    "email_verified": True,
    "picture": "https://people.example.com/alice.png",
}
HANG_SECONDS = 60.0
HUGE = 30_000_000
"""Bytes: more than the sockets between a stand-in and its client hold, so that it sees whether all was read."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An HTTP answer. `then` is "end", or what comes in its place: "close" (the connection, before a word), "hang"
    (silence), or "drip" (a body without end, a byte at a time)."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    then: str = "end"


CLOSES = Reply(then="close")
HANGS = Reply(then="hang")
DRIPS = Reply(then="drip")
HTML = Reply(body=b"<!doctype html><h1>Down for maintenance</h1>", headers={"Content-Type": "text/html"})


def json_reply(document: object, status: int = 200) -> Reply:
    return Reply(status=status, body=json.dumps(document).encode())


def but(**changes: object) -> Change:
    """The same object with these members instead."""
    return lambda document: {**document, **changes}


def without(*names: str) -> Change:
    return lambda document: {name: value for name, value in document.items() if name not in names}


def instead(value: object) -> Change:
    """Something else altogether."""
    return lambda _: value


def huge(document: dict[str, object]) -> Reply:
    """The right thing, and 30 MB of padding in it."""
    return json_reply({**document, "padding": "x" * HUGE})


def signs(algorithm: str) -> dict[str, Change]:
    """The faults that make the ID token signed with `algorithm` by the right published key."""
    key = KEY_OF[algorithm]
    return {"header": but(alg=algorithm, kid=key.kid), "key": instead(key)}


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request that the stand-in got: the endpoint's name, its query or form, its headers in lower case."""

    endpoint: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


class Provider:
    """One issuer with one client and one person, who agrees to everything at once.

    Args:
        path: what follows host and port in the issuer.
        lean: the ID token names the person by `sub` alone; everything else is at userinfo.
        announces_iss: RFC 9207: the metadata says so and the callback has it.
        auth_methods: how the client may authenticate at the token endpoint.
        keys: published; the first one signs RS256 unless a fault says otherwise.
        metadata: members of the discovery document in place of the stand-in's own.
        faults: in force for as long as it lives.
    """

    def __init__(
        self,
        *,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        path: str = "",
        lean: bool = False,
        announces_iss: bool = True,
        auth_methods: tuple[str, ...] = ("client_secret_basic", "client_secret_post"),
        keys: tuple[Key, ...] = KEYS,
        metadata: Mapping[str, object] | None = None,
        **faults: Change,
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.person: dict[str, object] = dict(ALICE)
        self.lean = lean
        self.announces_iss = announces_iss
        self.auth_methods = auth_methods
        self.keys = keys
        self.faults = dict(faults)
        self.exchanges: list[Exchange] = []
        self.secrets: list[str] = []
        """Every code, access token and ID token ever given out."""
        self.cut_short: list[str] = []
        """The endpoints whose answer was not read to its end."""
        self._metadata = dict(metadata or {})
        self._codes: dict[str, Mapping[str, str]] = {}
        self._tokens: set[str] = set()
        self.stopping = threading.Event()
        self._server = _Server(self)
        self.base = f"http://127.0.0.1:{self._server.server_port}{path.rstrip('/')}"
        self.issuer = f"http://127.0.0.1:{self._server.server_port}{path}"

    def __enter__(self) -> Provider:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def settings(self, name: str) -> ProviderSettings:
        return ProviderSettings(
            name=name,
            issuer=self.issuer,
            client_id=self.client_id,
            client_secret=SecretStr(self.client_secret),
            label=name.replace("_", " ").capitalize(),
        )

    @contextmanager
    def faulty(self, **faults: Change) -> Iterator[None]:
        """Wrong in this way, on top of what it is made like, and right again."""
        before = self.faults
        self.faults = {**before, **{stage: _then(before.get(stage), change) for stage, change in faults.items()}}
        try:
            yield
        finally:
            self.faults = before

    @contextmanager
    def signing_in(self, **claims: object) -> Iterator[None]:
        """Another person, or Alice with other claims; a claim that is None is absent."""
        before = self.person
        self.person = {name: value for name, value in {**before, **claims}.items() if value is not None}
        try:
            yield
        finally:
            self.person = before

    def last(self, endpoint: str) -> Exchange:
        return [exchange for exchange in self.exchanges if exchange.endpoint == endpoint][-1]

    def asked(self, endpoint: str) -> int:
        """How often an endpoint was asked."""
        return sum(exchange.endpoint == endpoint for exchange in self.exchanges)

    # -- what it answers ---------------------------------------------------------------------------------------------

    def answer(self, exchange: Exchange) -> Reply:
        self.exchanges.append(exchange)
        endpoints: Mapping[str, Callable[[Exchange], Reply]] = {
            ".well-known/openid-configuration": lambda _: self._document("discovery", self._discovery()),
            "jwks": lambda _: self._document("jwks", {"keys": [self._jwk(key) for key in self.keys]}),
            "authorize": self._authorize,
            "token": self._token,
            "userinfo": self._userinfo,
            "end_session": self._end_session,
        }
        endpoint = endpoints.get(exchange.endpoint)
        return endpoint(exchange) if endpoint else Reply(status=404, body=b"{}")

    def _changed(self, stage: str, right: Any) -> Any:
        return self.faults.get(stage, lambda value: value)(right)

    def _document(self, stage: str, right: object) -> Reply:
        document = self._changed(stage, right)
        return document if isinstance(document, Reply) else json_reply(document)

    def _discovery(self) -> dict[str, object]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "userinfo_endpoint": f"{self.base}/userinfo",
            "jwks_uri": f"{self.base}/jwks",
            "end_session_endpoint": f"{self.base}/end_session",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            # What must never be accepted is listed too: metadata is no reason to accept it.
            "id_token_signing_alg_values_supported": [*KEY_OF, "HS256", "HS384", "HS512", "none"],
            "token_endpoint_auth_methods_supported": list(self.auth_methods),
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "email", "profile"],
            "authorization_response_iss_parameter_supported": self.announces_iss,
            **self._metadata,
        }

    def _jwk(self, key: Key) -> dict[str, object]:
        return {**key.as_dict(private=False), "use": "sig"}

    def _authorize(self, exchange: Exchange) -> Reply:
        params = exchange.params
        problems = [
            name
            for name, right in {
                "response_type": params.get("response_type") == "code",
                "client_id": params.get("client_id") == self.client_id,
                "scope": "openid" in params.get("scope", "").split(),
                "redirect_uri": bool(params.get("redirect_uri")),
                "state": len(params.get("state", "")) >= 16,
                "nonce": len(params.get("nonce", "")) >= 16,
                "code_challenge": len(params.get("code_challenge", "")) == 43,
                "code_challenge_method": params.get("code_challenge_method") == "S256",
            }.items()
            if not right
        ]
        if problems:
            return Reply(status=400, body=f"wrong or missing: {', '.join(problems)}".encode())
        code = self._secret()
        self._codes[code] = params
        answer = [("code", code), ("state", params["state"])]
        if self.announces_iss:
            answer.append(("iss", self.issuer))
        query = urlencode(self._changed("callback", answer))
        return Reply(status=302, headers={"Location": f"{params['redirect_uri']}?{query}"})

    def _token(self, exchange: Exchange) -> Reply:
        form = exchange.params
        if not self._is_client(exchange):
            return json_reply({"error": "invalid_client"}, 401)
        begun = self._codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            begun is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != begun["redirect_uri"]
            or base64url(verifier) != begun["code_challenge"]
        ):
            return json_reply({"error": "invalid_grant"}, 400)
        access_token = self._secret()
        self._tokens.add(access_token)
        answer = {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": 3600,
            "scope": begun["scope"],
            "id_token": self._id_token(begun["nonce"], access_token),
        }
        return self._document("token", answer)

    def _is_client(self, exchange: Exchange) -> bool:
        scheme, _, encoded = exchange.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":  # form-encoded first: RFC 6749 section 2.3.1
            client_id, _, client_secret = base64.b64decode(encoded).decode("latin-1").partition(":")
            method, given = "client_secret_basic", (unquote_plus(client_id), unquote_plus(client_secret))
        else:
            form = exchange.params
            method, given = "client_secret_post", (form.get("client_id", ""), form.get("client_secret", ""))
        return method in self.auth_methods and given == (self.client_id, self.client_secret)

    def _id_token(self, nonce: str, access_token: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "at_hash": half_hash(access_token),
            **({"sub": self.person["sub"]} if self.lean else self.person),
        }
        key = self._changed("key", self.keys[0])
        header = self._changed("header", {"alg": "RS256", "kid": self.keys[0].kid, "typ": "JWT"})
        claims = self._changed("claims", claims | {"at_hash": half_hash(access_token, str(header.get("alg")))})
        token = compact(header, claims if isinstance(claims, bytes) else json.dumps(claims).encode(), key)
        self.secrets.append(token)
        RUN.note(token)
        return str(self._changed("id_token", token))

    def _userinfo(self, exchange: Exchange) -> Reply:
        scheme, _, token = exchange.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token not in self._tokens:
            return Reply(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return self._document("userinfo", self.person)

    def _end_session(self, exchange: Exchange) -> Reply:
        back, state = exchange.params.get("post_logout_redirect_uri"), exchange.params.get("state")
        if not back:
            return Reply(body=b"Signed out", headers={"Content-Type": "text/plain"})
        query = f"?{urlencode({'state': state})}" if state else ""
        return Reply(status=302, headers={"Location": back + query})

    def _secret(self) -> str:
        self.secrets.append(secrets.token_urlsafe(24))
        RUN.note(self.secrets[-1])
        return self.secrets[-1]


def _then(first: Change | None, second: Change) -> Change:
    return (lambda value: second(first(value))) if first else second


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, provider: Provider) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.provider = provider


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def _answer(self, params: str) -> None:
        provider = self.server.provider
        path = urlsplit(self.path).path.removeprefix(urlsplit(provider.base).path)
        exchange = Exchange(
            endpoint=path.lstrip("/"),
            params=dict(parse_qsl(params, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        reply = provider.answer(exchange)
        if reply.then == "hang":
            provider.stopping.wait(HANG_SECONDS)
        if reply.then in ("close", "hang"):
            return
        length = {"Content-Length": str(len(reply.body))} if reply.then == "end" else {}
        self.send_response(reply.status)
        for name, value in {**reply.headers, **length}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(reply.body)
            while reply.then == "drip" and not provider.stopping.wait(0.2):
                self.wfile.write(b" ")
        except ConnectionError:
            provider.cut_short.append(exchange.endpoint)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests read `Provider.exchanges`."""
