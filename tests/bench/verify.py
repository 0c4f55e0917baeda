"""How long it takes to verify an access token, as a multiple of `cryptography`'s RSA-2048 verification alone.

All verify the same tokens in the shape of Cognito's (1.1 KB) and check signature, issuer, expiry, client and use, as
far as they can.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jwt as pyjwt
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet
from starlette.requests import HTTPConnection

from tests.bench.measure import Section, rounds, section
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
from tests.support.servers import program

TOKENS = 500
ROUNDS = 11
LIMIT = "cryptography alone"
GOALS = {"a token, this app": 1 / 0.88, "a token, this app, seen before": 1 / 18}
"""Of the time of the limit: 0.88 of its speed, and 18 times."""
PEERS = Path(__file__).parents[1] / "node"

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
        LIMIT: bare(tokens),
        "this app": ours(tokens, seen_before=False),
        "this app, seen before": ours(tokens, seen_before=True),
        f"joserfc {version('joserfc')}": by_joserfc(tokens),
        f"PyJWT {version('pyjwt')}": by_pyjwt(tokens),
    }
    peers = {"authlib": by_authlib, "python-jose": by_python_jose, "fastapi-cognito": by_fastapi_cognito}
    return found | {f"{name} {version(name)}": make(tokens) for name, make in peers.items()}


def by_python_jose(tokens: list[str]) -> Contender:
    from jose import jwt

    keys = {one["kid"]: one for one in pool_jwks()["keys"]}

    def run() -> None:
        for text in tokens:
            kid = jwt.get_unverified_header(text)["kid"]
            claims = jwt.decode(text, keys[kid], algorithms=["RS256"], issuer=ISSUER)
            assert claims["client_id"] == CLIENT_ID and claims["token_use"] == "access"

    return run


NODE = """
import {CognitoJwtVerifier} from "aws-jwt-verify";
const {tokens, jwks, pool, client, rounds} = JSON.parse(await new Response(process.stdin).text());
const verifier = CognitoJwtVerifier.create({userPoolId: pool, tokenUse: "access", clientId: client});
verifier.cacheJwks(jwks);
const taken = [];
for (let round = 0; round <= rounds; round++) {
  const before = process.cpuUsage();
  for (const token of tokens) verifier.verifySync(token);
  const {user, system} = process.cpuUsage(before);
  taken.push((user + system) / 1e6 / tokens.length);
}
console.log(JSON.stringify(taken.slice(1)));
"""


def by_aws_jwt_verify(tokens: list[str], number: int) -> list[float]:
    """CPU seconds of a token in each round: under Node, and so in rounds of its own."""
    given = {"tokens": tokens, "jwks": pool_jwks(), "pool": POOL, "client": CLIENT_ID, "rounds": number}
    command = [program("node"), "--input-type=module", "-e", NODE]
    said = subprocess.run(command, input=json.dumps(given), cwd=PEERS, capture_output=True, text=True, check=True)
    taken: list[float] = json.loads(said.stdout)
    return taken


def measure(number: int = ROUNDS) -> Section:
    tokens = made_tokens()

    def timed(run: Contender) -> Callable[[], float]:
        def work() -> float:
            start = time.process_time()
            run()
            return (time.process_time() - start) / TOKENS

        return work

    taken = rounds({name: timed(run) for name, run in contenders(tokens).items()}, number)
    taken["aws-jwt-verify, under Node"] = by_aws_jwt_verify(tokens, number)
    return section(__doc__ or "", {"a token": taken}, limits=(LIMIT,), goals=GOALS)


if __name__ == "__main__":
    print(measure())
