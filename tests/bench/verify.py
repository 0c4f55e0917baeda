"""How fast access tokens are verified, as a share of the speed of `cryptography`'s RSA-2048 verification alone.

    python -m tests.bench.verify

One process on one core, CPU time, every contender in every round, the median over the rounds. All verify the same
tokens in the shape of Cognito's (1.1 KB) and check signature, issuer, expiry, client and use, as far as they can.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jwt as pyjwt
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet
from starlette.requests import HTTPConnection

from tests.support.forge import (
    CLIENT_ID,
    ISSUER,
    KID,
    PERSON,
    POOL,
    POOL_KEYS,
    key,
    pool_jwks,
    pool_keys,
    token,
    verifier,
)

TOKENS = 500
ROUNDS = 21
GOALS = {"this app": 0.75, "this app, a token seen before": 12.0}

Contender = Callable[[], None]


def made_tokens() -> list[str]:
    now = int(time.time())
    times = {"iat": now, "auth_time": now, "exp": now + 24 * 3600}
    return [token({**PERSON, **times, "jti": f"a1b2c3d4-5678-90ab-cdef-{number:012}"}) for number in range(TOKENS)]


def bare(tokens: list[str]) -> Contender:
    """The limit: the signature alone, all that is needed for it at hand."""
    public_key, padding, algorithm = key(POOL_KEYS[KID]).public_key(), PKCS1v15(), SHA256()
    parts = [
        (signed.encode(), pyjwt.utils.base64url_decode(signature))
        for signed, _, signature in (text.rpartition(".") for text in tokens)
    ]

    def run() -> None:
        for signed, signature in parts:
            public_key.verify(signature, signed, padding, algorithm)

    return run


def ours(tokens: list[str], *, seen_before: bool) -> Contender:
    key_sets = pool_keys()
    known = verifier(key_sets, now=time.time)
    received = [text.encode() for text in tokens]  # as they stand in a header
    for octets in received if seen_before else ():
        known.verify_now(octets)

    def run() -> None:
        verify_now = (known if seen_before else verifier(key_sets, now=time.time)).verify_now
        for octets in received:
            verify_now(octets)

    return run


def by_pyjwt(tokens: list[str]) -> Contender:
    keys = pyjwt.PyJWKSet.from_dict(pool_jwks())
    options: Any = {"require": ["exp", "iat", "iss", "sub"]}

    def run() -> None:
        for text in tokens:
            public_key = keys[pyjwt.get_unverified_header(text)["kid"]]
            claims = pyjwt.decode(text, public_key, ["RS256"], options, issuer=ISSUER)
            assert claims["client_id"] == CLIENT_ID and claims["token_use"] == "access"

    return run


CLAIMS: dict[str, Any] = {
    "iss": {"essential": True, "value": ISSUER},
    "exp": {"essential": True},
    "sub": {"essential": True},
    "client_id": {"essential": True, "value": CLIENT_ID},
    "token_use": {"essential": True, "value": "access"},
}


def by_joserfc(tokens: list[str]) -> Contender:
    keys = KeySet.import_key_set(pool_jwks())  # type: ignore[arg-type]

    def run() -> None:
        for text in tokens:
            claims = joserfc_jwt.decode(text, keys, algorithms=["RS256"]).claims
            joserfc_jwt.JWTClaimsRegistry(now=int(time.time()), **CLAIMS).validate(claims)

    return run


def by_authlib(tokens: list[str]) -> Contender:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and still what many apps use
        from authlib.jose import JsonWebKey, JsonWebToken
    decoder, keys = JsonWebToken(["RS256"]), JsonWebKey.import_key_set(pool_jwks())

    def run() -> None:
        for text in tokens:
            decoder.decode(text, keys, claims_options=CLAIMS).validate()

    return run


def by_fastapi_cognito(tokens: list[str]) -> Contender:
    from fastapi_cognito import CognitoAuth, CognitoSettings

    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(pool_jwks(), file)
    pool = {"region": "eu-west-1", "userpool_id": POOL, "app_client_id": CLIENT_ID, "jwks_url": file.name}
    settings = {"check_expiration": True, "jwt_header_name": "Authorization", "jwt_header_prefix": "Bearer"}
    auth = CognitoAuth(settings=CognitoSettings(**settings, userpools={"pool": pool}))
    requests = [
        HTTPConnection({"type": "http", "headers": [(b"authorization", f"Bearer {text}".encode())]}) for text in tokens
    ]
    loop = asyncio.new_event_loop()

    async def all_of_them() -> None:
        for request in requests:
            await auth.auth_required(request)

    return lambda: loop.run_until_complete(all_of_them())


def contenders(tokens: list[str]) -> dict[str, Contender]:
    found = {
        "cryptography alone": bare(tokens),
        "this app": ours(tokens, seen_before=False),
        "this app, a token seen before": ours(tokens, seen_before=True),
        f"joserfc {version('joserfc')}": by_joserfc(tokens),
        f"PyJWT {version('pyjwt')}": by_pyjwt(tokens),
    }
    for name, make in {"authlib": by_authlib, "fastapi-cognito": by_fastapi_cognito}.items():
        try:
            found[f"{name} {version(name)}"] = make(tokens)
        except ImportError as error:
            print(f"{name} is left out: {error}")
    return found


def measure(running: dict[str, Contender]) -> dict[str, tuple[float, float]]:
    """Microseconds for a token, and speed as a share of the first contender's."""
    seconds: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(ROUNDS + 1):
        for name, run in running.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    limit, *_ = seconds.values()
    return {
        name: (
            statistics.median(taken[1:]) / TOKENS * 1e6,
            statistics.median(one / other for one, other in zip(limit[1:], taken[1:], strict=True)),
        )
        for name, taken in seconds.items()
    }


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tokens = made_tokens()
    print(f"{TOKENS} tokens of {len(tokens[0])} characters, {ROUNDS} rounds\n")
    print(f"{'':32} {'us':>8} {'ratio':>8}  to reach")
    for name, (microseconds, ratio) in measure(contenders(tokens)).items():
        print(f"{name:32} {microseconds:8.2f} {ratio:8.2f}  {GOALS.get(name, '')}")


if __name__ == "__main__":
    main()
