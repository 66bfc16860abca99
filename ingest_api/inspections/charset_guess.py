"""Guesses the charset of text that is not UTF-8: a suggestion, never a decision."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final

from ingest_api.parsing.charsets import charset_named, marked_charset

if TYPE_CHECKING:
    from ingest_api.parsing.decode import Readable

HEAD_BYTES: Final = 1 << 18
_GZIP_WINDOW: Final = 31
_MOST_BYTES_OF_A_CHARACTER: Final = 4
_CANDIDATES: Final = (
    ("windows-1251", re.compile(r"[\u0401\u0410-\u0451]{3,}")),
    ("shift_jis", re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]{2,}")),
    ("windows-1252", re.compile(r"[\u00c0-\u024f\u2018-\u201d\u20ac]{1,2}(?![\u0080-\uffff])")),
)
"""With what text in it has many of; the first that decodes the whole, and fits most of it."""
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


class PeekedFile:
    """A file whose first bytes are looked at before it is read from its beginning."""

    def __init__(self, readable: Readable) -> None:
        self._readable = readable
        self._head = b""
        while len(self._head) < HEAD_BYTES and (piece := readable.read(HEAD_BYTES)):
            self._head += piece
        self._rest = self._head

    def read(self, size: int, /) -> bytes:
        """Return the file's next bytes."""
        if not self._rest:
            return self._readable.read(size)
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def guessed_charset(self, compression: str) -> str | None:
        """Return what the first bytes may be in; None for UTF-8, and without a guess."""
        head = self._head
        if compression == "gzip":
            try:
                head = zlib.decompressobj(_GZIP_WINDOW).decompress(head, HEAD_BYTES)
            except zlib.error:
                return None
        elif compression != "none":
            return None
        if marked_charset(head)[0] or b"\0" in head or _is(head, "utf-8"):
            return None
        found = (name for name, usual in _CANDIDATES if _fits(head, name, usual))
        return charset_named(next(found, ""))


def _is(head: bytes, charset: str) -> bool:
    try:
        head.decode(charset)
    except UnicodeDecodeError as error:
        # The last character may go on after the head.
        return len(head) == HEAD_BYTES and error.start >= len(head) - _MOST_BYTES_OF_A_CHARACTER
    return True


def _fits(head: bytes, charset: str, usual: re.Pattern[str]) -> bool:
    if not _is(head, charset):
        return False
    text = head.decode(charset, "ignore")
    return 2 * sum(map(len, usual.findall(text))) > len(_NOT_ASCII.findall(text))
