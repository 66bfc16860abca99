"""Answers as a client gets them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ingest_api.web.encoding import encoded

if TYPE_CHECKING:
    import msgspec


def sent(body: msgspec.Struct) -> dict[str, Any]:
    """What a client reads of the body."""
    return json.loads(encoded(body))
