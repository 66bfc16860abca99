"""The ``Idempotency-Key`` of a request that is no upload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest_api.uploads.options import idempotency_key
from ingest_api.web.parameters import header_values
from ingest_api.web.responses import Refused, invalid_parameter

if TYPE_CHECKING:
    from sanic import Request


def asked_key(request: Request[Any, Any]) -> str | None:
    """The key, or None where the request has none.

    Raises:
        Refused: 400, it is repeated or no key.
    """
    try:
        return idempotency_key(header_values(request, "idempotency-key"))
    except Refused as refused:  # in the words of uploads
        raise invalid_parameter("Idempotency-Key", refused.details[0].message) from None
