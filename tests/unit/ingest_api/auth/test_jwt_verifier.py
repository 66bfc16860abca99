"""JWTs of the configured issuer, and the keys that may verify them."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import PyJWTError

from ingest_api.auth.jwks import KeySetError, find_key, read_key_set
from ingest_api.auth.jwt_verifier import name_of, role_of, signing_key_of, verified_claims
from ingest_api.auth.settings import IssuerSettings
from tests.support.servers.jwt_issuer import (
    AUDIENCE,
    ISSUER,
    claims,
    private_key,
    public_jwk,
    signed,
)

if TYPE_CHECKING:
    from tests.support.servers.jwt_issuer import Jwk

SETTINGS = IssuerSettings(
    issuer=ISSUER, audience=AUDIENCE, jwks_url="", role_claim="role", name_claim="sub"
)
NOW = int(time.time())
ODD_HEADS = [
    {},
    {"alg": None},
    {"alg": ["RS256"]},
    {"alg": {"RS256": 1}},
    *[{"alg": "RS256", "kid": kid} for kid in (None, 1, ["one"], {"one": 1}, "one\0", "x" * 9999)],
    {"alg": "RS256", "kid": "one", "b64": False, "crit": ["b64"]},
    {"alg": "RS256", "kid": "one", "zip": "DEF", "crit": ["zip"]},
]


def key_set(*keys: Any) -> bytes:
    """A JWKS as the issuer shows it."""
    return json.dumps({"keys": keys}).encode()


def verify(text: str, *keys: Jwk) -> dict[str, Any] | None:
    """The claims, where the service would take the JWT with these keys."""
    try:
        found = find_key(read_key_set(key_set(*keys)), *signing_key_of(text))
        return None if found is None else verified_claims(text, found, SETTINGS)
    except PyJWTError:
        return None


def part(value: object) -> str:
    """A part of a JWT by hand."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("RSA", "RS256"),
        ("RSA", "RS512"),
        ("RSA", "PS256"),
        ("P-256", "ES256"),
        ("P-384", "ES384"),
        ("P-521", "ES512"),
        ("Ed25519", "EdDSA"),
        ("Ed448", "EdDSA"),
    ],
)
def test_every_usual_kind_of_key_verifies(kind: str, algorithm: str) -> None:
    """Whether or not the key names its algorithm."""
    text = signed(kind=kind, algorithm=algorithm)
    named = public_jwk(kind, kid="one", alg=algorithm, use="sig")
    for jwk in (public_jwk(kind, kid="one"), named):
        found = verify(text, jwk)
        assert found is not None
        assert found["sub"] == "ada"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"exp": NOW - 60},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"nbf": NOW + 3600},
        {"nbf": "soon"},
        {"iat": NOW + 3600},
    ],
)
def test_a_jwt_that_does_not_count_here_and_now_is_refused(changed: dict[str, object]) -> None:
    """Wrong issuer or audience, expired, not yet valid, or no word of it."""
    assert verify(signed(claims(**changed)), public_jwk("RSA", kid="one")) is None


def test_clocks_may_differ_a_little() -> None:
    """Half a minute in either direction."""
    jwk = public_jwk("RSA", kid="one")
    now = int(time.time())
    assert verify(signed(claims(exp=now - 10)), jwk) is not None
    assert verify(signed(claims(nbf=now + 10, iat=now + 10)), jwk) is not None
    assert verify(signed(claims(aud=["another", AUDIENCE])), jwk) is not None


def test_none_is_no_algorithm_and_a_public_key_is_no_secret() -> None:
    """The two classic forgeries (RFC 8725, 2.1)."""
    jwk = public_jwk("RSA", kid="one")
    for name in ("none", "None", "nOnE", "", "HS256"):
        for signature in ("", part("x")):
            forged = f"{part({'alg': name, 'kid': 'one'})}.{part(claims())}.{signature}"
            assert verify(forged, jwk) is None
    pem = (
        private_key("RSA")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    head = part({"alg": "HS256", "kid": "one"})
    mac = jwt.get_algorithm_by_name("HS256")
    signature = mac.sign(f"{head}.{part(claims())}".encode(), pem)
    forged = f"{head}.{part(claims())}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    assert verify(forged, jwk) is None


def test_a_key_in_the_jwt_itself_is_never_looked_at() -> None:
    """Nor are a URL or a path in its key id."""
    jwk = public_jwk("RSA", kid="one")
    mine = public_jwk("RSA", 1)
    forged = [
        signed(number=1, jwk=mine),
        signed(number=1, jku="http://127.0.0.1:1/keys", x5u="http://127.0.0.1:1/keys"),
        signed(number=1, kid="../../../dev/null"),
        signed(number=1, kid="' OR true --"),
        signed(number=1),
    ]
    assert [verify(text, jwk) for text in forged] == [None] * 5


def test_a_key_verifies_with_its_own_algorithm_only() -> None:
    """And a key for another use verifies nothing."""
    text = signed(algorithm="RS256")
    assert verify(text, public_jwk("RSA", kid="one", alg="RS256")) is not None
    refused: list[Jwk] = [
        {"alg": "PS256"},
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"alg": "HS256"},
    ]
    for members in refused:
        good = public_jwk("P-256", kid="other")
        assert verify(text, {**public_jwk("RSA", kid="one"), **members}, good) is None


def test_a_weak_key_verifies_nothing() -> None:
    """RSA with fewer than 2048 bits (RFC 7518, 3.3)."""
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        text = signed(kind="RSA-1024")
    assert verify(text, public_jwk("RSA-1024", kid="one")) is None


def test_a_jwt_without_a_key_id_means_the_only_key() -> None:
    """Where there are several, it means none."""
    text = jwt.encode(claims(), private_key("RSA"), "RS256")
    assert verify(text, public_jwk("RSA")) is not None
    assert verify(text, public_jwk("RSA", kid="any"), public_jwk("P-256", kid="b")) is not None
    assert verify(text, public_jwk("RSA", kid="a"), public_jwk("RSA", 1, kid="b")) is None
    assert verify(signed(kid="two"), public_jwk("RSA", kid="one")) is None


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
def test_an_access_token_may_say_what_it_is(kind: str | None) -> None:
    """RFC 9068."""
    assert verify(signed(typ=kind), public_jwk("RSA", kid="one")) is not None


@pytest.mark.parametrize(
    "kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", 5, ["JWT"], {"JWT": 1}]
)
def test_a_jwt_made_for_something_else_is_refused(kind: object) -> None:
    """RFC 8725, 3.11."""
    assert verify(signed(typ=kind), public_jwk("RSA", kid="one")) is None


def test_a_changed_jwt_is_refused() -> None:
    """Whichever part is changed, cut or doubled."""
    jwk = public_jwk("RSA", kid="one")
    head, payload, signature = signed().split(".")
    better = part(claims(role="admin"))
    for text in (
        f"{head}.{better}.{signature}",
        f"{head}.{payload}.{signature[:-4]}",
        f"{head}.{payload}.",
        f"{head}.{payload}",
        f"{head}.{payload}.{signature}.{signature}",
        f"{part({'alg': 'RS256', 'kid': 'one', 'crit': ['x'], 'x': 1})}.{payload}.{signature}",
        f"{part(['RS256'])}.{payload}.{signature}",
        *[f"{part(odd)}.{payload}.{signature}" for odd in ODD_HEADS],
    ):
        assert verify(text, jwk) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": []}',
        b'{"keys": {"kty": "RSA"}}',
        key_set({"kty": "oct", "k": "c2VjcmV0", "kid": "one", "alg": "HS256"}),
        key_set("RSA", None, 5, [], {"kty": ["RSA"]}, {"kty": "RSA", "crv": {}}),
        key_set({"kty": "RSA", "n": 5, "e": "AQAB"}),
        key_set({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        b"[" * 100_000,
    ],
)
def test_what_is_no_set_of_verifying_keys_is_refused(body: bytes) -> None:
    """Then the keys from before go on being used."""
    with pytest.raises(KeySetError):
        read_key_set(body)


def test_a_key_that_is_not_understood_leaves_the_others_usable() -> None:
    """Issuers add new kinds of keys beside the old ones."""
    good = public_jwk("RSA", kid="one")
    odd: list[Any] = [
        {"kty": "AKP", "kid": "one"},
        None,
        {"kty": "RSA", "kid": "one", "n": "!", "e": ""},
    ]
    assert verify(signed(), *odd, good) is not None


def test_a_private_key_shown_by_mistake_is_read_as_the_public_one() -> None:
    """It verifies, and nothing fails."""
    shown: Jwk = RSAAlgorithm.to_jwk(private_key("RSA"), as_dict=True)
    shown.pop("key_ops", None)
    assert verify(signed(), {**shown, "kid": "one"}) is not None


@pytest.mark.parametrize(
    ("value", "role"),
    [
        ("reader", "reader"),
        ("admin", "admin"),
        (["reader", "importer", "unrelated"], "importer"),
        ("openid reader importer", "importer"),
        ("", None),
        ("Admin", None),
        ("administrator", None),
        (["", 5, None, ["admin"]], None),
        ({"admin": True}, None),
        (True, None),
        (None, None),
    ],
)
def test_the_highest_known_role_counts(value: object, role: str | None) -> None:
    """Roles of other services in the same claim are no matter."""
    assert role_of({"role": value}, "role") == role


def test_a_claim_is_found_by_its_name_or_by_a_path() -> None:
    """A claim with a dot in its name comes before a path."""
    nested = {"realm_access": {"roles": ["importer"]}}
    assert role_of(nested, "realm_access.roles") == "importer"
    url = "https://example.org/roles"
    assert role_of({url: "admin"}, url) == "admin"
    assert role_of({"a.b": "reader", "a": {"b": "admin"}}, "a.b") == "reader"
    assert role_of(nested, "realm_access.roles.x") is None


@pytest.mark.parametrize("value", [None, "", 5, ["ada"], "a\nb", "x" * 256, "\x1b[31m"])
def test_a_name_that_cannot_be_shown_is_none(value: object) -> None:
    """It would stand in logs and in answers."""
    assert name_of({"sub": value}, "sub") is None
    assert name_of({"sub": "auth0|ada"}, "sub") == "auth0|ada"


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
def test_no_text_makes_the_check_fail_in_another_way(text: str) -> None:
    """It is a good JWT or it is none."""
    assert verify(text, public_jwk("RSA", kid="one")) is None
