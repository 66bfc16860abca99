"""Every body that is sent as JSON is encoded here."""

from __future__ import annotations

import json

import msgspec


def encoded(body: msgspec.Struct) -> bytes:
    """Return the body as JSON in UTF-8; a lone surrogate, which UTF-8 has not, becomes a ``?``."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(body), ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace")
