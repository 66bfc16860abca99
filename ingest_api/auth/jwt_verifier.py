"""Verifies JWTs of the configured issuer, and reads the name and the role from their claims.

The algorithm is one of an allow-list of asymmetric ones and the key's own, and
keys come from the configured URL alone: what a JWT says of keys (``jku``, ``jwk``,
``x5u``, ``x5c``) is never looked at (RFC 8725).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, cast

import jwt
from jwt.exceptions import InvalidAlgorithmError, InvalidTokenError, PyJWTError

from ingest_api.auth.credential_cache import AuthResult
from ingest_api.auth.jwks import ALGORITHMS, KeySet
from ingest_api.errors import RoleTooLowError
from ingest_api.web.roles import ROLES, Account

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwt import PyJWK

    from ingest_api.auth.credentials import SignedToken
    from ingest_api.auth.jwks import KeyId
    from ingest_api.auth.settings import IssuerSettings
    from ingest_api.web.roles import Role

Claims = dict[str, Any]
PREFIX: Final = "jwt/"
_LEEWAY_S: Final = 30
"""How much the issuer's clock and ours may differ."""
_MOST_SUBJECT_CHARACTERS: Final = 255
_TYPES: Final = (None, "jwt", "at+jwt", "application/jwt", "application/at+jwt")
"""RFC 9068; a JWT of another type was made for something else (RFC 8725, 3.11)."""


class JwtVerifier:
    """Verifies the JWTs of one issuer."""

    def __init__(self, settings: IssuerSettings) -> None:
        self._settings = settings
        self._keys = KeySet(settings.jwks_url)

    def start(self) -> None:
        """Begin to fetch the issuer's keys."""
        self._keys.start()

    async def stop(self) -> None:
        """Stop fetching keys."""
        await self._keys.stop()

    async def check(self, token: SignedToken) -> AuthResult:
        """Verify the JWT.

        Raises:
            RoleTooLowError: it is valid but names no role.
            UnavailableError: the issuer's keys are needed and it doesn't answer.
        """
        checked_at_s = time.monotonic()
        claims = await self._claims(token.text)
        name = None if claims is None else name_of(claims, self._settings.name_claim)
        if claims is None or name is None:
            return AuthResult(None, checked_at_s)
        role = role_of(claims, self._settings.role_claim)
        if role is None:
            raise RoleTooLowError(
                f"The role {', '.join(ROLES[:-1])} or {ROLES[-1]} is needed for this request,"
                f" and the JWT's claim {self._settings.role_claim} names none of them",
            )
        return AuthResult(Account(PREFIX + name, role), checked_at_s)

    async def _claims(self, text: str) -> Claims | None:
        try:
            key = await self._keys.key(*signing_key_of(text))
            return None if key is None else verified_claims(text, key, self._settings)
        except PyJWTError:
            return None


def signing_key_of(text: str) -> tuple[KeyId, str]:
    """Return the key id and the algorithm in a JWT's header; only allowed algorithms.

    Raises:
        PyJWTError: it is no JWT, or no such one.
    """
    head = jwt.get_unverified_header(text)
    algorithm, kind = head.get("alg"), head.get("typ")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidAlgorithmError("the algorithm is not allowed")
    if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
        raise InvalidTokenError("a JWT of this type is no access token")
    return head.get("kid"), algorithm


def verified_claims(text: str, key: PyJWK, settings: IssuerSettings) -> Claims:
    """Verify a JWT's signature, issuer, audience and times; return its claims.

    Raises:
        PyJWTError: it is not valid here and now.
    """
    claims = jwt.decode(
        text,
        key,
        algorithms=sorted(ALGORITHMS),
        issuer=settings.issuer,
        audience=settings.audience,
        leeway=_LEEWAY_S,
        options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
    )
    for name in ("exp", "nbf", "iat"):  # the library takes texts and booleans for times
        value: object = claims.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidTokenError(f"{name} is no time")
    return claims


def name_of(claims: Claims, claim: str) -> str | None:
    """Return the name in the claim, or None where it has none that is printable."""
    value = _claim(claims, claim)
    if not isinstance(value, str) or not 1 <= len(value) <= _MOST_SUBJECT_CHARACTERS:
        return None
    return value if value.isprintable() else None


def role_of(claims: Claims, claim: str) -> Role | None:
    """Return the highest role in the claim: a text, several separated by spaces, or a list."""
    value = _claim(claims, claim)
    named = value.split() if isinstance(value, str) else value
    if not isinstance(named, list):
        return None
    return next((role for role in reversed(ROLES) if role in cast("list[object]", named)), None)


def _claim(claims: Claims, name: str) -> object:
    """Return the claim of this name, or the value at this path of names with dots between."""
    if name in claims:
        return claims[name]
    value: object = claims
    for part in name.split("."):
        value = cast("Mapping[str, object]", value).get(part) if isinstance(value, dict) else None
    return value
