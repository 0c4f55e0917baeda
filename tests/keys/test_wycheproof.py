"""Project Wycheproof's JWS vectors (github.com/C2SP/wycheproof): every RSA case, RS256 alone accepted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest
from joserfc import jws as joserfc_jws
from joserfc.jwk import RSAKey

from auth.errors import TokenInvalid
from auth.keys.jwk import rs256_key, unbase64url
from auth.programs.access_token import read_kid
from tests.support.forge import ISSUER, loaded, verifier

FOLDER = Path(__file__).parent / "wycheproof"
FILES = ("json_web_signature_test.json", "json_web_crypto_test.json")
ROCA = "rejectsKeyWithRocaVulnerability"
"""The one that may pass: a key whose primes a faulty smart card made (CVE-2017-15361). No issuer of ours uses one."""


@dataclass(frozen=True, kw_only=True)
class Vector:
    name: str
    jwk: Mapping[str, Any]
    jws: str
    valid: bool


def vectors() -> Iterator[Vector]:
    for file in FILES:
        for number, group in enumerate(json.loads((FOLDER / file).read_text())["testGroups"]):
            jwk = group.get("public", {})
            if jwk.get("kty") != "RSA":
                continue
            for test in group["tests"]:
                yield Vector(
                    name=f"{file.partition('_test')[0]}-{number}-{group['comment']}-{test['tcId']}-{test['comment']}",
                    jwk=jwk,
                    jws=test["jws"],
                    valid=test["result"] == "valid" and jwk.get("alg") == "RS256",
                )


@pytest.fixture(params=vectors(), ids=lambda vector: vector.name)
def vector(request: pytest.FixtureRequest) -> Vector:
    found: Vector = request.param
    return found


def accepts(jwk: Mapping[str, Any], text: str) -> bool:
    """Whether the signature would do: the payloads of the vectors are no claims."""
    described = rs256_key(jwk)
    if described is None:
        return False
    kid, key = described
    signed, _, signature = text.rpartition(".")
    header, _, payload = signed.partition(".")
    try:
        unbase64url(payload)
        signs = key.has_signed(hashlib.sha256(signed.encode()).digest(), unbase64url(signature))
        return signs and read_kid(header) == kid
    except (TokenInvalid, ValueError):
        return False


def test_a_vector_is_accepted_if_it_is_valid_and_rs256(vector: Vector) -> None:
    assert accepts(vector.jwk, vector.jws) is vector.valid or vector.name.endswith(ROCA)


def test_no_vector_is_a_token_or_an_accident(vector: Vector) -> None:
    keys = loaded(ISSUER, {"keys": [vector.jwk, {**vector.jwk, "kid": "a second key, so that none is the only one"}]})

    with pytest.raises(TokenInvalid):
        verifier(key_sets={ISSUER: keys}).verify_now(vector.jws)


def test_a_vector_that_is_accepted_here_is_accepted_by_others_too(vector: Vector) -> None:
    if accepts(vector.jwk, vector.jws):
        joserfc_jws.deserialize_compact(vector.jws, RSAKey.import_key(dict(vector.jwk)), algorithms=["RS256"])
        pyjwt.PyJWS().decode(vector.jws, pyjwt.PyJWK(dict(vector.jwk)), algorithms=["RS256"])


def test_a_key_that_is_not_for_rs256_signatures_is_not_taken_from_a_set(vector: Vector) -> None:
    fit = vector.jwk.get("alg") == "RS256" or "alg" not in vector.jwk
    for_signatures = vector.jwk.get("use") != "enc" and vector.jwk.get("key_ops", ["verify"]) == ["verify"]

    assert (rs256_key(vector.jwk) is not None) is (fit and for_signatures)
