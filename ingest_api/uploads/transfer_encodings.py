"""Decodes parts of a form that came in base64 or quoted-printable, and names in RFC 8187."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final
from urllib.parse import unquote_to_bytes

_MOST_LINE_BYTES: Final = 4096
"""Of quoted-printable that are kept back for the line's end; RFC 2045 has 76 at most."""
_WRONG_ESCAPE: Final = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*\r?\n|[ \t\r]*\Z)")
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_EXTENDED: Final = rb"(?i);\s*%s\*\s*=\s*([!#$&+\-\w^`{}~]+)'[^']*'([^;\s\"']*)"
_CHARSETS: Final = frozenset({"utf-8", "iso-8859-1", "us-ascii"})


class Base64:
    """Decodes base64 that comes in pieces (RFC 2045, 6.8)."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_over = False

    def feed(self, data: bytes) -> bytes:
        """Return the bytes that these stand for, as far as they are complete.

        Raises:
            ValueError: it is no base64.
        """
        packed = self._rest + data.translate(None, b" \t\r\n")
        whole = len(packed) // 4 * 4
        self._rest = packed[whole:]
        if packed and self._is_over:
            raise ValueError("it goes on after its end")
        self._is_over = packed[:whole].endswith(b"=")
        return base64.b64decode(packed[:whole], validate=True)

    def finish(self) -> bytes:
        """Return what is left, which is nothing.

        Raises:
            ValueError: it is cut off.
        """
        if self._rest:
            raise ValueError("it is cut off")
        return b""


class QuotedPrintable:
    """Decodes quoted-printable that comes in pieces (RFC 2045, 6.7)."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the bytes that these stand for, as far as their line is complete.

        Raises:
            ValueError: it is no quoted-printable.
        """
        text = self._rest + data
        end = text.rfind(b"\n") + 1
        if not end and len(text) > _MOST_LINE_BYTES:
            # An escape may go on after the last bytes.
            at = text.find(b"=", len(text) - 3)
            end = len(text) if at < 0 else at
        self._rest = text[end:]
        return self._decoded(text[:end])

    def finish(self) -> bytes:
        """Return what is left.

        Raises:
            ValueError: it is no quoted-printable.
        """
        return self._decoded(self._rest)

    def _decoded(self, text: bytes) -> bytes:
        if _WRONG_ESCAPE.search(text):
            raise ValueError("an equals sign stands for nothing")
        return binascii.a2b_qp(text)


def extended_value(header: bytes, name: bytes) -> str | None:
    """Return a parameter of a header in its extended form: ``name*=UTF-8''…`` (RFC 8187).

    None where there is none, or one that can't be read.
    """
    plain = _QUOTED.sub(b'""', header)
    found = re.search(_EXTENDED % re.escape(name), plain)
    charset = found[1].decode("latin-1").lower() if found else ""
    if found is None or charset not in _CHARSETS:
        return None
    try:
        return unquote_to_bytes(found[2]).decode(charset) or None
    except UnicodeDecodeError:
        return None
