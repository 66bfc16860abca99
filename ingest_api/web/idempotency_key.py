"""Reads the ``Idempotency-Key`` of a request, and makes the id of a job of it."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, Final

from ingest_api.errors import invalid_parameter
from ingest_api.web.parameters import header_values
from schemas.events import NO_JOB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sanic import Request

    from ingest_api.errors import InvalidRequestError


_MOST_CHARACTERS: Final = 255


def idempotency_key(
    values: Sequence[str], refuse: Callable[[str, str], InvalidRequestError] = invalid_parameter
) -> str | None:
    """Return the key among the header's values, or None where there are none.

    ``refuse`` makes the refusal of the parameter's name and what it must be.

    Raises:
        InvalidRequestError: it is repeated or no key.
    """
    if not values:
        return None
    key = values[0].strip()
    if len(values) > 1 or not 1 <= len(key) <= _MOST_CHARACTERS or not key.isprintable():
        raise refuse("Idempotency-Key", "It is one printable text of 1 to 255 characters.")
    return key


def idempotency_key_of(request: Request[Any, Any]) -> str | None:
    """Return the key of a request that is no upload, or None where it has none.

    Raises:
        InvalidRequestError: it is repeated or no key.
    """
    return idempotency_key(header_values(request, "idempotency-key"))


def job_id_of(account: str, key: str | None) -> int:
    """Return the id of a new job, 63 bits, never 0; a random one without an ``Idempotency-Key``.

    With a key it is derived, so that retries get the same id on every instance.
    """
    digest = (
        secrets.token_bytes(8)
        if key is None
        else hashlib.sha256(f"{account}\0{key}".encode()).digest()
    )
    return (int.from_bytes(digest[:8], "big") >> 1) or NO_JOB + 1
