"""Parses the ``Authorization`` header; nothing is looked up.

What is not well-formed is no credentials at all, which is answered like wrong ones.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final

MOST_HEADER_CHARACTERS: Final = 16_384
MOST_NAME_CHARACTERS: Final = 128
LEAST_PASSWORD_CHARACTERS: Final = 8
MOST_PASSWORD_CHARACTERS: Final = 1024
_TOKEN: Final = re.compile(r"rct_([1-9][0-9]{0,17})_([0-9a-f]{64})", re.ASCII)
_TOKEN_BEGINS: Final = "rct_"  # noqa: S105 - how every token begins


@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """An account's name and a password: ``Basic`` (RFC 7617)."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """The parts of an API token: ``Bearer rct_<id>_<secret>``."""

    token_id: int
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The token as its holder sends it."""
        return f"{_TOKEN_BEGINS}{self.token_id}_{self.secret}"


@dataclass(frozen=True, slots=True)
class SignedToken:
    """Any other bearer token, which may be a JWT."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionSecret:
    """The secret in a session's cookie."""

    text: str = field(repr=False)


Credentials = PasswordLogin | ApiToken | SignedToken | SessionSecret


def credentials_of(authorization: str | None) -> Credentials | None:
    """Parse an ``Authorization`` header; return None where it has no known form."""
    if authorization is None or len(authorization) > MOST_HEADER_CHARACTERS:
        return None
    if not authorization.isascii():
        return None
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "basic":
        return _password_login(value.strip(" "))
    if scheme.lower() == "bearer":
        return _bearer(value.strip(" "))
    return None


def is_bearer(authorization: str | None) -> bool:
    """Return whether the header is of the scheme ``Bearer``, well-formed or not."""
    return (authorization or "").partition(" ")[0].lower() == "bearer"


def _password_login(encoded: str) -> PasswordLogin | None:
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, password = text.partition(":")
    is_name = 0 < len(name) <= MOST_NAME_CHARACTERS
    if not colon or not is_name or len(password) > MOST_PASSWORD_CHARACTERS or "\0" in text:
        return None
    return PasswordLogin(name, password)


def _bearer(text: str) -> ApiToken | SignedToken | None:
    if not text.startswith(_TOKEN_BEGINS):
        return SignedToken(text) if text else None
    parts = _TOKEN.fullmatch(text)
    return ApiToken(int(parts[1]), parts[2]) if parts else None


def name_fault(name: str) -> str | None:
    """Return why an account or a token can't have this name, or None where it can.

    A ``/`` tells accounts from tokens (``token/<name>``) and JWTs (``jwt/<subject>``), and
    a ``:`` ends the name in Basic credentials.
    """
    is_good = 1 <= len(name) <= MOST_NAME_CHARACTERS and name.isprintable()
    if is_good and not set(name) & {":", "/"}:
        return None
    return f"A name is 1 to {MOST_NAME_CHARACTERS} printable characters without : and /."


def password_fault(password: str) -> str | None:
    """Return why an account can't have this password, or None where it can.

    RFC 7617 allows no control characters; a lone surrogate is no character.
    """
    is_length = LEAST_PASSWORD_CHARACTERS <= len(password) <= MOST_PASSWORD_CHARACTERS
    if is_length and not any(unicodedata.category(char) in {"Cc", "Cs"} for char in password):
        return None
    return (
        f"A password is {LEAST_PASSWORD_CHARACTERS} to {MOST_PASSWORD_CHARACTERS} characters"
        " without control characters."
    )
