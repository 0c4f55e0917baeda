"""Access tokens that are wrong in one way each, as data: none is accepted, and the error names what is wrong.

`HEADERS`, `CLAIMS`, `SIGNATURES` and `TEXTS` say where the one fault is; whatever is not said is as in a sound token,
the signature included. joserfc and PyJWT, as strict as they can be set, are asked about each token too.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from jwt.types import Options

from auth.errors import (
    BadSignature,
    ClaimMalformed,
    ClaimMissing,
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
    TokenNotYetValid,
    UnknownKey,
    WrongAlgorithm,
    WrongAudience,
    WrongClient,
    WrongIssuer,
    WrongTokenUse,
    WrongType,
)
from auth.programs.access_token import TOKEN_BYTES
from auth.programs.verifier import CognitoVerifier
from tests.support.clock import NOW
from tests.support.forge import (
    CLIENT_ID,
    HEADER,
    ID_TOKEN,
    ID_TOKEN_KID,
    ISSUER,
    KID,
    NEIGHBOUR,
    PERSON,
    POOL_KEYS,
    PROGRAM,
    UPDATED_ISSUER,
    base64url,
    encode,
    jwk,
    key,
    number,
    pool_jwks,
    rs256,
    token,
    verifier,
)

AUDIENCE = "https://api.example.com"
ABSENT: Any = object()
DEEP = 5000  # levels: more than Python 3.11 recurses, in fewer characters than a token may have

Leaf = type[TokenInvalid]


def but(sound: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**sound, **changes}.items() if value is not ABSENT}


def twice(sound: Mapping[str, Any], member: str) -> bytes:
    """The same object with a member, as JSON text, put in front of the others."""
    return b"{" + member.encode() + b"," + json.dumps(sound).encode()[1:]


def nested(sound: Mapping[str, Any]) -> bytes:
    return twice(sound, '"deep":' + "[" * DEEP + "]" * DEEP)


def with_header(make: Callable[[], Mapping[str, Any] | bytes], *, by: str = POOL_KEYS[KID]) -> Callable[[], str]:
    """A sound token with that header, signed by the key of that owner."""
    return lambda: token(header=make(), private=key(by))


# -- the header -------------------------------------------------------------------------------------------------------

ALGORITHMS: dict[str, Any] = {
    "alg is none": "none",
    "alg is None": "None",
    "alg is NONE": "NONE",
    "alg is nOnE": "nOnE",
    "alg is empty": "",
    "alg is null": None,
    "alg is missing": ABSENT,
    "alg is a list": ["RS256"],
    "alg is an object": {"RS256": "RS256"},
    "alg is a number": 256,
    "alg is true": True,
    "alg is HS256": "HS256",
    "alg is HS384": "HS384",
    "alg is HS512": "HS512",
    "alg is RS1": "RS1",
    "alg is RS384": "RS384",
    "alg is RS512": "RS512",
    "alg is PS256": "PS256",
    "alg is PS384": "PS384",
    "alg is PS512": "PS512",
    "alg is ES256": "ES256",
    "alg is EdDSA": "EdDSA",
    "alg is RSA1_5, an encryption": "RSA1_5",
    "alg is in lower case": "rs256",
    "alg begins with a space": " RS256",
    "alg ends with a space": "RS256 ",
    "alg ends with NUL": "RS256\0",
    "alg is in full-width letters": "\uff32\uff33\uff12\uff15\uff16",
}
TYPES: dict[str, Any] = {
    "typ is null": None,
    "typ is empty": "",
    "typ is a number": 1,
    "typ is a list": ["JWT"],
    "typ is JWS": "JWS",
    "typ is that of an ID token": "id_token+jwt",
    "typ is that of a logout token": "logout+jwt",
    "typ is that of a DPoP proof": "dpop+jwt",
    "typ ends with a space": "JWT ",
    "typ is application/ alone": "application/",
    "typ has application/ twice": "application/application/jwt",
}
MALFORMED_HEADERS: dict[str, Callable[[], Mapping[str, Any] | bytes]] = {
    "kid is missing": lambda: but(HEADER, kid=ABSENT),
    "kid is null": lambda: but(HEADER, kid=None),
    "kid is empty": lambda: but(HEADER, kid=""),
    "kid is a number": lambda: but(HEADER, kid=1),
    "kid is true": lambda: but(HEADER, kid=True),
    "kid is a list": lambda: but(HEADER, kid=[KID]),
    "kid is an object": lambda: but(HEADER, kid={KID: KID}),
    "kid is missing and a key is embedded": lambda: but(HEADER, kid=ABSENT, jwk=jwk(KID, key(POOL_KEYS[KID]))),
    "crit names a claim": lambda: but(HEADER, crit=["exp"]),
    "crit asks for an unencoded payload (RFC 7797)": lambda: but(HEADER, crit=["base64url"], base64url=False),
    "crit is empty": lambda: but(HEADER, crit=[]),
    "crit is null": lambda: but(HEADER, crit=None),
    "crit is a string": lambda: but(HEADER, crit="exp"),
    "alg stands twice, the last one right": lambda: twice(HEADER, '"alg":"none"'),
    "alg stands twice, the same": lambda: twice(HEADER, '"alg":"RS256"'),
    "alg stands twice, once with an escape": lambda: twice(HEADER, '"\\u0061lg":"RS256"'),
    "kid stands twice": lambda: twice(HEADER, '"kid":"another"'),
    "an unknown member stands twice": lambda: twice(HEADER, '"x":1,"x":1'),
    "a member of a member stands twice": lambda: twice(HEADER, '"jwk":{"kty":"RSA","kty":"oct"}'),
    "the header holds NaN": lambda: twice(HEADER, '"x":NaN'),
    "the header holds -Infinity": lambda: twice(HEADER, '"x":-Infinity'),
    "the header is an array": lambda: json.dumps([HEADER]).encode(),
    "the header is a string": lambda: json.dumps("RS256").encode(),
    "the header is a number": lambda: b"256",
    "the header is null": lambda: b"null",
    "the header is not JSON": lambda: b"RS256",
    "the header has single quotes": lambda: str(dict(HEADER)).encode(),
    "the header ends with a comma": lambda: json.dumps(HEADER).encode()[:-1] + b",}",
    "the header has a comment": lambda: json.dumps(HEADER).encode()[:-1] + b"/**/}",
    "the header is cut off": lambda: json.dumps(HEADER).encode()[:-1],
    "something follows the header": lambda: json.dumps(HEADER).encode() + b"{}",
    "the header begins with a byte order mark": lambda: b"\xef\xbb\xbf" + json.dumps(HEADER).encode(),
    "the header is UTF-16": lambda: json.dumps(HEADER).encode("utf-16-le"),
    "the header is not UTF-8": lambda: twice(HEADER, '"x":"?"').replace(b"?", b"\xff"),
    "the header has a control character in a string": lambda: twice(HEADER, '"x":"?"').replace(b"?", b"\0"),
}
STRANGE_KIDS = {
    "kid is one that the issuer does not publish": "another",
    "kid is in another case": KID.swapcase(),
    "kid ends with a space": f"{KID} ",
    "kid ends with NUL": f"{KID}\0",
    "kid lacks its padding": KID.rstrip("="),
    "kid is a path": "../../../../dev/null",
    "kid is an address": "https://attacker.example/key",
    "kid is SQL": "x' UNION SELECT 'x",
    "kid is a shell command": "|sleep 9",
    "kid is a lone surrogate": "\ud800",
    "kid is one of the pool's other issuer": "updated",
    "kid is as long as can be": "k" * 8000,
}

HEADERS: dict[str, tuple[Callable[[], Mapping[str, Any] | bytes], Leaf]] = {
    **{name: (partial(but, HEADER, alg=alg), WrongAlgorithm) for name, alg in ALGORITHMS.items()},
    **{name: (partial(but, HEADER, typ=typ), WrongType) for name, typ in TYPES.items()},
    **{name: (make, TokenMalformed) for name, make in MALFORMED_HEADERS.items()},
    **{name: (partial(but, HEADER, kid=kid), UnknownKey) for name, kid in STRANGE_KIDS.items()},
    "the header is an empty object": (lambda: b"{}", WrongAlgorithm),
}

# -- the claims -------------------------------------------------------------------------------------------------------

CLAIMS: dict[str, tuple[Mapping[str, Any] | bytes, Leaf]] = {
    "iss is missing": (but(PERSON, iss=ABSENT), ClaimMissing),
    "iss is null": (but(PERSON, iss=None), ClaimMalformed),
    "iss is empty": (but(PERSON, iss=""), ClaimMalformed),
    "iss is a number": (but(PERSON, iss=1), ClaimMalformed),
    "iss is a list with ours in it": (but(PERSON, iss=[ISSUER]), ClaimMalformed),
    "iss is an object": (but(PERSON, iss={ISSUER: ISSUER}), ClaimMalformed),
    "iss is the neighbouring pool": (but(PERSON, iss=NEIGHBOUR), WrongIssuer),
    "iss is the same pool id in another region": (but(PERSON, iss=ISSUER.replace("west-1.", "west-2.")), WrongIssuer),
    "iss is http": (but(PERSON, iss=ISSUER.replace("https", "http")), WrongIssuer),
    "iss ends with a slash": (but(PERSON, iss=f"{ISSUER}/"), WrongIssuer),
    "iss begins with a space": (but(PERSON, iss=f" {ISSUER}"), WrongIssuer),
    "iss is in upper case": (but(PERSON, iss=ISSUER.upper()), WrongIssuer),
    "iss begins like ours": (but(PERSON, iss=f"{ISSUER}4"), WrongIssuer),
    "iss lacks the pool": (but(PERSON, iss=ISSUER.rpartition("/")[0]), WrongIssuer),
    "iss has ours before an at sign": (but(PERSON, iss=f"{ISSUER}@attacker.example"), WrongIssuer),
    "iss is the pool's other issuer, which has other keys": (but(PERSON, iss=UPDATED_ISSUER), UnknownKey),
    "token_use is missing": (but(PERSON, token_use=ABSENT), ClaimMissing),
    "token_use is null": (but(PERSON, token_use=None), ClaimMalformed),
    "token_use is empty": (but(PERSON, token_use=""), ClaimMalformed),
    "token_use is a list": (but(PERSON, token_use=["access"]), ClaimMalformed),
    "token_use is true": (but(PERSON, token_use=True), ClaimMalformed),
    "token_use is id": (but(PERSON, token_use="id"), WrongTokenUse),
    "token_use is refresh": (but(PERSON, token_use="refresh"), WrongTokenUse),
    "token_use is in another case": (but(PERSON, token_use="Access"), WrongTokenUse),
    "token_use ends with a space": (but(PERSON, token_use="access "), WrongTokenUse),
    "it is an ID token": (ID_TOKEN, WrongTokenUse),
    "exp is missing": (but(PERSON, exp=ABSENT), ClaimMissing),
    "exp is null": (but(PERSON, exp=None), ClaimMalformed),
    "exp is a string": (but(PERSON, exp=str(NOW + 3600)), ClaimMalformed),
    "exp is true": (but(PERSON, exp=True), ClaimMalformed),
    "exp is a list": (but(PERSON, exp=[NOW + 3600]), ClaimMalformed),
    "exp is an object": (but(PERSON, exp={"exp": NOW + 3600}), ClaimMalformed),
    "exp is negative": (but(PERSON, exp=-1), ClaimMalformed),
    "exp is after the year 9999": (but(PERSON, exp=253402300800), ClaimMalformed),
    "exp is beyond all dates": (but(PERSON, exp=10**300), ClaimMalformed),
    "exp has more digits than a number bears": (twice(but(PERSON, exp=ABSENT), f'"exp":{"9" * 5000}'), ClaimMalformed),
    "exp is beyond all floats": (twice(but(PERSON, exp=ABSENT), '"exp":1e999'), ClaimMalformed),
    "exp is NaN": (twice(but(PERSON, exp=ABSENT), '"exp":NaN'), TokenMalformed),
    "exp is Infinity": (twice(but(PERSON, exp=ABSENT), '"exp":Infinity'), TokenMalformed),
    "exp is zero": (but(PERSON, exp=0), TokenExpired),
    "exp is a second ago": (but(PERSON, exp=NOW - 1), TokenExpired),
    "exp is now": (but(PERSON, exp=NOW), TokenExpired),
    "exp is a fraction of a second ago": (but(PERSON, exp=NOW - 0.25), TokenExpired),
    "nbf is null": (but(PERSON, nbf=None), ClaimMalformed),
    "nbf is a string": (but(PERSON, nbf=str(NOW)), ClaimMalformed),
    "nbf is true": (but(PERSON, nbf=True), ClaimMalformed),
    "nbf is a list": (but(PERSON, nbf=[NOW]), ClaimMalformed),
    "nbf is NaN": (twice(PERSON, '"nbf":NaN'), TokenMalformed),
    "nbf is in a minute and a second": (but(PERSON, nbf=NOW + 61), TokenNotYetValid),
    "nbf is in a fraction of a second more than a minute": (but(PERSON, nbf=NOW + 60.25), TokenNotYetValid),
    "iat is null": (but(PERSON, iat=None), ClaimMalformed),
    "iat is a string": (but(PERSON, iat=str(NOW)), ClaimMalformed),
    "iat is true": (but(PERSON, iat=True), ClaimMalformed),
    "iat is an object": (but(PERSON, iat={}), ClaimMalformed),
    "iat is Infinity": (twice(but(PERSON, iat=ABSENT), '"iat":Infinity'), TokenMalformed),
    "iat is in a minute and a second": (but(PERSON, iat=NOW + 61), TokenNotYetValid),
    "client_id is missing": (but(PERSON, client_id=ABSENT), ClaimMissing),
    "client_id is null": (but(PERSON, client_id=None), ClaimMalformed),
    "client_id is empty": (but(PERSON, client_id=""), ClaimMalformed),
    "client_id is a list with ours in it": (but(PERSON, client_id=[CLIENT_ID]), ClaimMalformed),
    "client_id is a number": (but(PERSON, client_id=1), ClaimMalformed),
    "client_id is another of the pool's": (but(PERSON, client_id="2example"), WrongClient),
    "client_id begins like ours": (but(PERSON, client_id=f"{CLIENT_ID}x"), WrongClient),
    "client_id is in another case": (but(PERSON, client_id=CLIENT_ID.upper()), WrongClient),
    "client_id is all there is of aud": (but(PERSON, client_id=ABSENT, aud=CLIENT_ID), ClaimMissing),
    "sub is missing": (but(PERSON, sub=ABSENT), ClaimMissing),
    "sub is null": (but(PERSON, sub=None), ClaimMalformed),
    "sub is empty": (but(PERSON, sub=""), ClaimMalformed),
    "sub is a number": (but(PERSON, sub=1), ClaimMalformed),
    "sub is a list": (but(PERSON, sub=["ada"]), ClaimMalformed),
    "sub is true": (but(PERSON, sub=True), ClaimMalformed),
    "username is null": (but(PERSON, username=None), ClaimMalformed),
    "username is empty": (but(PERSON, username=""), ClaimMalformed),
    "username is a number": (but(PERSON, username=1), ClaimMalformed),
    "username is a list": (but(PERSON, username=["ada"]), ClaimMalformed),
    "scope is null": (but(PERSON, scope=None), ClaimMalformed),
    "scope is a list": (but(PERSON, scope=["openid"]), ClaimMalformed),
    "scope is a number": (but(PERSON, scope=1), ClaimMalformed),
    "scope is an object": (but(PERSON, scope={"openid": True}), ClaimMalformed),
    "cognito:groups is null": (but(PERSON, **{"cognito:groups": None}), ClaimMalformed),
    "cognito:groups is a string": (but(PERSON, **{"cognito:groups": "admin"}), ClaimMalformed),
    "cognito:groups is an object": (but(PERSON, **{"cognito:groups": {"admin": True}}), ClaimMalformed),
    "cognito:groups has a number in it": (but(PERSON, **{"cognito:groups": ["admin", 1]}), ClaimMalformed),
    "cognito:groups has null in it": (but(PERSON, **{"cognito:groups": [None]}), ClaimMalformed),
    "cognito:groups has a list in it": (but(PERSON, **{"cognito:groups": [["admin"]]}), ClaimMalformed),
    "aud is null": (but(PERSON, aud=None), ClaimMalformed),
    "aud is a number": (but(PERSON, aud=1), ClaimMalformed),
    "aud is an object": (but(PERSON, aud={AUDIENCE: True}), ClaimMalformed),
    "aud has a number in it": (but(PERSON, aud=[AUDIENCE, 1]), ClaimMalformed),
    "aud is another's": (but(PERSON, aud="https://other.example.com"), WrongAudience),
    "aud are all others'": (but(PERSON, aud=["https://other.example.com", CLIENT_ID]), WrongAudience),
    "aud is empty": (but(PERSON, aud=""), WrongAudience),
    "aud is an empty list": (but(PERSON, aud=[]), WrongAudience),
    "aud begins like ours": (but(PERSON, aud=f"{AUDIENCE}/v2"), WrongAudience),
    "the payload is an array": (json.dumps([PERSON]).encode(), ClaimMalformed),
    "the payload is a string": (json.dumps(json.dumps(PERSON)).encode(), ClaimMalformed),
    "the payload is a number": (b"1", ClaimMalformed),
    "the payload is null": (b"null", ClaimMalformed),
    "the payload is an empty object": (b"{}", ClaimMissing),
    "the payload is empty": (b"", TokenMalformed),
    "the payload is not JSON": (b"ada", TokenMalformed),
    "the payload holds NaN": (twice(PERSON, '"x":NaN'), TokenMalformed),
    "the payload has single quotes": (str(dict(PERSON)).encode(), TokenMalformed),
    "the payload ends with a comma": (json.dumps(PERSON).encode()[:-1] + b",}", TokenMalformed),
    "the payload is cut off": (json.dumps(PERSON).encode()[:-1], TokenMalformed),
    "something follows the payload": (json.dumps(PERSON).encode() + b"{}", TokenMalformed),
    "the payload begins with a byte order mark": (b"\xef\xbb\xbf" + json.dumps(PERSON).encode(), TokenMalformed),
    "the payload is UTF-16": (json.dumps(PERSON).encode("utf-16-le"), TokenMalformed),
    "the payload is compressed": (zlib.compress(json.dumps(PERSON).encode()), TokenMalformed),
    "the payload is not UTF-8 in a claim": (
        json.dumps(but(PERSON, username="?")).encode().replace(b"?", b"\xff"),
        TokenMalformed,
    ),
    "the payload is not UTF-8 in a claim that nobody reads": (
        twice(PERSON, '"x":"?"').replace(b"?", b"\xff"),
        TokenMalformed,
    ),
    "the payload has half a surrogate pair": (twice(PERSON, '"x":"\\ud800"'), TokenMalformed),
}

# -- the signature ----------------------------------------------------------------------------------------------------

SIGNED = f"{encode(HEADER)}.{encode(PERSON)}"


def signed_by(make: Callable[[bytes], bytes], header: Mapping[str, Any] = HEADER) -> Callable[[], str]:
    """A sound token but for what it is signed with."""
    signed = f"{encode(header)}.{encode(PERSON)}"
    return lambda: f"{signed}.{base64url(make(signed.encode()))}"


def with_signature(change: Callable[[bytes], bytes]) -> Callable[[], str]:
    return lambda: f"{SIGNED}.{base64url(change(rs256(key(POOL_KEYS[KID]), SIGNED)))}"


def hmac_by(secret: Callable[[], bytes]) -> Callable[[bytes], bytes]:
    return lambda signed: hmac.digest(secret(), signed, hashlib.sha256)


def public(encoding: Encoding, form: PublicFormat) -> bytes:
    return key(POOL_KEYS[KID]).public_key().public_bytes(encoding, form)


def beyond_the_modulus(signature: bytes) -> bytes:
    modulus = key(POOL_KEYS[KID]).public_key().public_numbers().n
    return (int.from_bytes(signature) + modulus).to_bytes(257)


def raw(message: bytes) -> bytes:
    """RSA over a block as PKCS #1 v1.5 would pad it, with `message` in place of what names the hash."""
    numbers = key(POOL_KEYS[KID]).private_numbers()
    block = b"\0\1" + b"\xff" * (256 - 3 - len(message)) + b"\0" + message
    return pow(int.from_bytes(block), numbers.d, numbers.public_numbers.n).to_bytes(256)


def unhashed(signed: bytes) -> bytes:
    return raw(hashlib.sha256(signed).digest())


def trailing(signed: bytes) -> bytes:
    """What a verifier that stops reading after the hash takes for a signature (Bleichenbacher 2006)."""
    named = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(signed).digest()
    numbers = key(POOL_KEYS[KID]).private_numbers()
    block = b"\0\1" + b"\xff" * 8 + b"\0" + named
    return pow(int.from_bytes(block.ljust(256, b"\x5a")), numbers.d, numbers.public_numbers.n).to_bytes(256)


PKCS1 = padding.PKCS1v15()
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
EMBEDDED: dict[str, Callable[[], Mapping[str, Any]]] = {
    "jwk": lambda: {**HEADER, "jwk": jwk(KID, key("an intruder"))},
    "jku": lambda: {**HEADER, "jku": "https://attacker.example/jwks.json"},
    "x5u": lambda: {**HEADER, "x5u": "https://attacker.example/chain.pem"},
    "x5c": lambda: {**HEADER, "x5c": ["MIIB"]},
}

SIGNATURES: dict[str, tuple[Callable[[], str], Leaf]] = {
    "signed by a stranger": (lambda: token(private=key("an intruder")), BadSignature),
    "signed by a neighbouring pool": (lambda: token(private=key("the neighbour's")), BadSignature),
    "signed by the key of the pool's ID tokens": (lambda: token(private=key(POOL_KEYS[ID_TOKEN_KID])), BadSignature),
    "kid is that of the pool's ID tokens": (lambda: token(header=but(HEADER, kid=ID_TOKEN_KID)), BadSignature),
    **{
        f"signed by a stranger whose key is embedded as {name}": (
            with_header(make, by="an intruder"),
            BadSignature,
        )
        for name, make in EMBEDDED.items()
    },
    **{
        f"HS256 keyed with the public key, {name}": (
            signed_by(hmac_by(secret), but(HEADER, alg="HS256")),
            WrongAlgorithm,
        )
        for name, secret in {
            "as PEM": lambda: public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "as PEM without its last line feed": lambda: public(
                Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
            ).strip(),
            "as PKCS #1 PEM": lambda: public(Encoding.PEM, PublicFormat.PKCS1),
            "as DER": lambda: public(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "as its modulus": lambda: number(key(POOL_KEYS[KID]).public_key().public_numbers().n).encode(),
            "as JWK": lambda: json.dumps(jwk(KID, key(POOL_KEYS[KID]))).encode(),
            "by its kid": lambda: KID.encode(),
            "by nothing": lambda: b"",
        }.items()
    },
    "an HMAC under RS256": (
        signed_by(hmac_by(lambda: public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))),
        BadSignature,
    ),
    "none and unsigned": (lambda: f"{encode(but(HEADER, alg='none'))}.{encode(PERSON)}.", WrongAlgorithm),
    "SHA-1 under RS256": (signed_by(lambda signed: rsa(signed, hashes.SHA1())), BadSignature),
    "SHA-384 under RS256": (signed_by(lambda signed: rsa(signed, hashes.SHA384())), BadSignature),
    "SHA-512 under RS256": (signed_by(lambda signed: rsa(signed, hashes.SHA512())), BadSignature),
    "SHA-256 twice under RS256": (
        signed_by(lambda signed: rsa(hashlib.sha256(signed).digest(), hashes.SHA256())),
        BadSignature,
    ),
    "PSS under RS256": (
        signed_by(lambda signed: key(POOL_KEYS[KID]).sign(signed, PSS, hashes.SHA256())),
        BadSignature,
    ),
    "ES256 under RS256": (
        signed_by(lambda signed: ec.generate_private_key(ec.SECP256R1()).sign(signed, ec.ECDSA(hashes.SHA256()))),
        BadSignature,
    ),
    "the hash is not named in the padding": (signed_by(unhashed), BadSignature),
    "garbage follows the hash in the padding": (signed_by(trailing), BadSignature),
    "the signature is empty": (with_signature(lambda _: b""), BadSignature),
    "the signature is all zeros": (with_signature(lambda _: bytes(256)), BadSignature),
    "the signature is one": (with_signature(lambda _: (1).to_bytes(256)), BadSignature),
    "the signature is all ones": (with_signature(lambda _: b"\xff" * 256), BadSignature),
    "the signature lacks its last octet": (with_signature(lambda s: s[:-1]), BadSignature),
    "the signature lacks its first octet": (with_signature(lambda s: s[1:]), BadSignature),
    "a zero follows the signature": (with_signature(lambda s: s + b"\0"), BadSignature),
    "a zero precedes the signature": (with_signature(lambda s: b"\0" + s), BadSignature),
    "the signature stands twice": (with_signature(lambda s: s + s), BadSignature),
    "the signature is reversed": (with_signature(lambda s: s[::-1]), BadSignature),
    "the signature has its modulus added": (with_signature(beyond_the_modulus), BadSignature),
    "the first bit of the signature is changed": (with_signature(lambda s: bytes([s[0] ^ 128]) + s[1:]), BadSignature),
    "the last bit of the signature is changed": (with_signature(lambda s: s[:-1] + bytes([s[-1] ^ 1])), BadSignature),
    "the signature is that of another token": (
        lambda: f"{SIGNED}.{token(but(PERSON, username='eve')).rpartition('.')[2]}",
        BadSignature,
    ),
    "the header was written anew after signing": (
        lambda: f"{encode(but(HEADER, typ='JWT'))}.{encode(PERSON)}.{base64url(rs256(key(POOL_KEYS[KID]), SIGNED))}",
        BadSignature,
    ),
    "only the payload is signed": (
        with_signature(lambda _: rs256(key(POOL_KEYS[KID]), encode(PERSON))),
        BadSignature,
    ),
    "the decoded parts are signed": (
        with_signature(lambda _: rs256(key(POOL_KEYS[KID]), json.dumps(PERSON))),
        BadSignature,
    ),
}


def rsa(signed: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    if isinstance(algorithm, hashes.SHA1):  # not every OpenSSL signs with it any more
        named = bytes.fromhex("3021300906052b0e03021a05000414")
        return raw(named + hashlib.sha1(signed).digest())
    digest = hashlib.new(algorithm.name, signed).digest()
    return key(POOL_KEYS[KID]).sign(digest, PKCS1, Prehashed(algorithm))


# -- the text ---------------------------------------------------------------------------------------------------------


def in_segment(number: int, change: Callable[[str], str]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        segments = text.split(".")
        segments[number] = change(segments[number])
        return ".".join(segments)

    return changed


def with_spare_bits(segment: str) -> str:
    """The same octets, with one of the bits set that a last character has to spare."""
    alphabet = f"{ascii_uppercase}{ascii_lowercase}{digits}-_"
    assert len(segment) % 4 in (2, 3)
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) + 1]


def as_json(*, flattened: bool) -> Callable[[str], str]:
    def serialized(text: str) -> str:
        protected, payload, signature = text.split(".")
        one = {"protected": protected, "signature": signature}
        return json.dumps({"payload": payload} | (one if flattened else {"signatures": [one]}))

    return serialized


SEGMENTS = {0: "header", 1: "payload", 2: "signature"}
IN_A_SEGMENT: dict[str, Callable[[str], str]] = {
    "is padded": lambda s: s + "=" * (-len(s) % 4 or 4),
    "has a spare bit set": with_spare_bits,
    "has one character too many": lambda s: s + "A" * (5 - len(s) % 4),
    "ends with a line feed": lambda s: f"{s}\n",
    "begins with a space": lambda s: f" {s}",
    "has a tab inside": lambda s: f"{s[:9]}\t{s[9:]}",
    "has NUL inside": lambda s: f"{s[:9]}\0{s[9:]}",
    "has a plus sign inside": lambda s: f"{s[:9]}+{s[10:]}",
    "has a slash inside": lambda s: f"{s[:9]}/{s[10:]}",
    "has a letter written as a JSON escape": lambda s: f"{s[:9]}\\u{ord(s[9]):04x}{s[10:]}",
    "has a quotation mark inside": lambda s: f'{s[:9]}"{s[9:]}',
    "has a character outside ASCII": lambda s: f"{s[:9]}é{s[9:]}",
    "has a percent escape": lambda s: f"{s[:9]}%{ord(s[9]):02X}{s[10:]}",
}
TEXTS: dict[str, tuple[Callable[[str], str], Leaf]] = {
    **{
        f"the {name} {fault}": (in_segment(number, change), TokenMalformed)
        for number, name in SEGMENTS.items()
        for fault, change in IN_A_SEGMENT.items()
    },
    "there is nothing": (lambda _: "", TokenMalformed),
    "there are dots alone": (lambda _: "..", TokenMalformed),
    "the header is missing": (in_segment(0, lambda _: ""), TokenMalformed),
    "the payload is missing": (in_segment(1, lambda _: ""), TokenMalformed),
    "the signature is missing with its dot": (lambda text: text.rpartition(".")[0], TokenMalformed),
    "the header is missing with its dot": (lambda text: text.partition(".")[2], TokenMalformed),
    "a dot precedes it": (lambda text: f".{text}", TokenMalformed),
    "a dot follows it": (lambda text: f"{text}.", TokenMalformed),
    "a dot stands twice": (lambda text: text.replace(".", "..", 1), TokenMalformed),
    "a fourth segment follows": (lambda text: f"{text}.AAAA", TokenMalformed),
    "it has the five segments of a JWE": (lambda text: f"{text}.AAAA.AAAA", TokenMalformed),
    "it stands twice": (lambda text: f"{text}.{text}", TokenMalformed),
    "its dots are percent escapes": (lambda text: text.replace(".", "%2E"), TokenMalformed),
    "its dots are commas": (lambda text: text.replace(".", ","), TokenMalformed),
    "its dots are other dots": (lambda text: text.replace(".", "\u2024"), TokenMalformed),
    "it is in the JSON serialization": (as_json(flattened=False), TokenMalformed),
    "it is in the flattened JSON serialization": (as_json(flattened=True), TokenMalformed),
    "it is quoted": (lambda text: f'"{text}"', TokenMalformed),
    "its scheme is still before it": (lambda text: f"Bearer {text}", TokenMalformed),
    "it is in lower case": (str.lower, TokenMalformed),
    "it is encoded once more": (lambda text: base64url(text.encode()), TokenMalformed),
    "half a surrogate pair is in it": (lambda text: f"{text}\udcff", TokenMalformed),
    "it is longer than 16 KB": (lambda _: token(but(PERSON, x="x" * TOKEN_BYTES)), TokenMalformed),
}


def with_bits_to_spare() -> str:
    """A sound token whose three segments all end in a character with bits to spare."""
    header, claims = twice(HEADER, '"typ":"JWT"'), json.dumps(PERSON).encode()
    header += b" " * (len(header) % 3 == 0)
    claims += b" " * (len(claims) % 3 == 0)
    return token(claims, header)


def changed(change: Callable[[str], str]) -> Callable[[], str]:
    return lambda: change(with_bits_to_spare())


HOSTILE: dict[str, tuple[Callable[[], str], Leaf]] = {
    **{name: (with_header(make), leaf) for name, (make, leaf) in HEADERS.items()},
    **{name: (partial(token, claims), leaf) for name, (claims, leaf) in CLAIMS.items()},
    **SIGNATURES,
    **{name: (changed(change), leaf) for name, (change, leaf) in TEXTS.items()},
}

NESTED: dict[str, Callable[[], str]] = {
    "the header is nested deep": with_header(lambda: nested(HEADER)),
    "the payload is nested deep": lambda: token(nested(PERSON)),
    "the payload is nested deep in a claim that is looked at": lambda: token(
        nested(PERSON).replace(b'"deep"', b'"name"')
    ),
}
PYTHON_READS_THEM = sys.version_info >= (3, 12)
if not PYTHON_READS_THEM:
    HOSTILE |= {name: (make, TokenMalformed) for name, make in NESTED.items()}

# -- sound ones -------------------------------------------------------------------------------------------------------


def as_long_as_can_be() -> str:
    around = f"{encode(HEADER)}..{base64url(bytes(256))}"
    room = (TOKEN_BYTES - len(around)) * 3 // 4 - len(json.dumps(but(PERSON, x=""), separators=(",", ":")))
    return token(but(PERSON, x="x" * room))


VALID: dict[str, Callable[[], str]] = {
    "a person's": token,
    "a program's": lambda: token(PROGRAM),
    "typ is JWT": lambda: token(header=but(HEADER, typ="JWT")),
    "typ is jwt": lambda: token(header=but(HEADER, typ="jwt")),
    "typ is at+jwt": lambda: token(header=but(HEADER, typ="at+jwt")),
    "typ is application/at+jwt": lambda: token(header=but(HEADER, typ="application/at+jwt")),
    "typ is AT+JWT": lambda: token(header=but(HEADER, typ="AT+JWT")),
    "the header has members that nobody knows": lambda: token(header=but(HEADER, x={"y": [1, None]})),
    "the header has white space": lambda: token(header=json.dumps(HEADER, indent=2).encode()),
    **{f"a stranger's key is embedded as {name} and not used": with_header(make) for name, make in EMBEDDED.items()},
    "exp is a second ahead": lambda: token(but(PERSON, exp=NOW + 1)),
    "exp is a fraction": lambda: token(but(PERSON, exp=NOW + 0.5)),
    "nbf is now": lambda: token(but(PERSON, nbf=NOW)),
    "iat is now": lambda: token(but(PERSON, iat=NOW)),
    "iat is in a second": lambda: token(but(PERSON, iat=NOW + 1)),
    "iat is in a minute": lambda: token(but(PERSON, iat=NOW + 60)),
    "nbf is in a minute": lambda: token(but(PERSON, nbf=NOW + 60)),
    "iat is missing": lambda: token(but(PERSON, iat=ABSENT)),
    "scope is missing": lambda: token(but(PERSON, scope=ABSENT)),
    "scope is empty": lambda: token(but(PERSON, scope="")),
    "cognito:groups are missing": lambda: token(but(PERSON, **{"cognito:groups": ABSENT})),
    "cognito:groups are none": lambda: token(but(PERSON, **{"cognito:groups": []})),
    "username is in another script": lambda: token(but(PERSON, username="Ада")),
    "username is UTF-8 unescaped": lambda: token(json.dumps(but(PERSON, username="Ада"), ensure_ascii=False).encode()),
    "aud is ours": lambda: token(but(PERSON, aud=AUDIENCE)),
    "aud has ours in it": lambda: token(but(PERSON, aud=["https://other.example.com", AUDIENCE])),
    "claims that nobody reads are of every type": lambda: token(but(PERSON, a=[1, [2]], b={"c": None}, d=1.5, e=True)),
    "a claim stands twice, and the last counts (RFC 7519 section 4)": lambda: token(twice(PERSON, '"username":"eve"')),
    "it is as long as can be": as_long_as_can_be,
    "its segments have bits to spare, all zero": with_bits_to_spare,
    **(NESTED if PYTHON_READS_THEM else {}),
}


# -- the three verifiers ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ours() -> CognitoVerifier:
    return verifier(audiences=[AUDIENCE])


def by_joserfc(text: str) -> bool:
    keys: Any = pool_jwks()
    header_rules = JWSRegistry(algorithms=["RS256"], strict_check_header=False)  # RFC 7515 section 4: to be ignored
    header_rules.max_header_length = TOKEN_BYTES
    claims_rules = joserfc_jwt.JWTClaimsRegistry(
        now=NOW,
        leeway=60,  # the issuer's clock may be a minute ahead
        iss={"essential": True, "value": ISSUER},
        exp={"essential": True},
        sub={"essential": True},
        client_id={"essential": True, "value": CLIENT_ID},
        token_use={"essential": True, "value": "access"},
        aud={"value": AUDIENCE},
    )
    try:
        claims_rules.validate(joserfc_jwt.decode(text, KeySet.import_key_set(keys), registry=header_rules).claims)
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        return False
    return True


def by_pyjwt(text: str) -> bool:
    """PyJWT has no clock to hand in: the times are left to the other two."""
    options: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    options["require"] = ["iss", "exp", "sub", "client_id", "token_use"]
    try:
        public_key = pyjwt.PyJWKSet.from_dict(pool_jwks())[pyjwt.get_unverified_header(text)["kid"]]
        claims = pyjwt.decode(text, public_key, ["RS256"], options, issuer=ISSUER)
    except (pyjwt.PyJWTError, LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return False
    return bool(claims["client_id"] == CLIENT_ID and claims["token_use"] == "access")


LAXER = (
    *("typ ", "alg stands twice", "kid stands twice", "an unknown member stands twice", "a member of a member stands"),
    *("crit is empty", "the header holds", "the header begins with a byte order mark", "the header is UTF-16"),
    *("token_use is a list", "client_id is a list", "exp is after", "exp is beyond all dates", "sub is empty"),
    *("username ", "scope ", "cognito:groups ", "the payload holds NaN", "the payload begins with a byte order mark"),
    *(
        "the payload is UTF-16",
        "the payload has half a surrogate",
        "the signature is padded",
        "it is longer than 16 KB",
    ),
)
"""How the names of the faults begin that joserfc or PyJWT let pass: here they are refused."""
NOT_ASKED: dict[Callable[[str], bool], tuple[str, ...]] = {
    by_joserfc: ("exp is now", "exp is a second ago", "exp is a fraction of a second ago"),
    by_pyjwt: ("exp ", "nbf ", "iat ", "aud "),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_token_with_one_fault_is_refused_and_the_error_names_it(name: str, ours: CognitoVerifier) -> None:
    make, leaf = HOSTILE[name]
    text = make()

    with pytest.raises(TokenInvalid) as caught:
        ours.verify_now(text)

    assert isinstance(caught.value, leaf), caught.value
    line = str(caught.value)
    assert len(line) < 500
    assert not text or text not in line
    assert caught.value.status == 401


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("peer", NOT_ASKED)
def test_others_let_no_fault_pass_that_is_not_listed(name: str, peer: Callable[[str], bool]) -> None:
    if peer(HOSTILE[name][0]()):
        assert name.startswith(LAXER + NOT_ASKED[peer])


@pytest.mark.parametrize("name", VALID)
def test_a_sound_token_is_accepted(name: str, ours: CognitoVerifier) -> None:
    identity = ours.verify_now(VALID[name]())

    assert identity.issuer == ISSUER
    assert identity.username


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("peer", NOT_ASKED)
def test_what_is_accepted_here_is_accepted_by_others_too(name: str, peer: Callable[[str], bool]) -> None:
    assert peer(VALID[name]())


ALPHABET = f"{ascii_letters}{digits}-_"


@pytest.mark.parametrize("number", SEGMENTS)
def test_no_segment_has_a_character_that_base64url_has_not(number: int, ours: CognitoVerifier) -> None:
    text = token()
    for character in set(map(chr, range(256))) - set(ALPHABET):
        for change in (lambda s, c=character: f"{s[:8]}{c}{s[9:]}", lambda s, c=character: f"{s[:8]}{c}{s[8:]}"):
            assert not ours.is_still_valid(in_segment(number, change)(text)), repr(character)


def test_a_token_may_be_long_enough_to_be_nested_deep() -> None:
    assert max(len(token(nested(PERSON))), len(token(header=nested(HEADER)))) < TOKEN_BYTES


def test_the_longest_token_accepted_has_16_kb() -> None:
    assert TOKEN_BYTES - 1 <= len(as_long_as_can_be()) <= TOKEN_BYTES == 16 * 1024
