"""Decodes the bytes of a file to pieces of UTF-8 text.

Detects the charset, removes the byte order mark, and checks every byte.
Of a damaged file all text before the damage comes first, so that the reader knows the
line of the damage and meets an earlier fault of another kind first, however the stream
was cut.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, Protocol

from ingest_api.parsing.charsets import marked_charset
from ingest_api.parsing.errors import TextDamage
from ingest_api.parsing.unpack import refuse_packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest_api.parsing.file_format import FileFormat

_READ_BYTES: Final = 1 << 18
_HEAD_BYTES: Final = 512
_MARK: Final = "\ufeff".encode()
_CUT_OFF: Final = frozenset(
    {"unexpected end of data", "truncated data", "incomplete multibyte sequence"}
)
"""How Python's decoders say that a character goes on after the last byte."""
_OTHER_FILES: Final = (
    (b"\x89PNG", "a PNG image"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook (.xlsx)"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\xff\xd8\xff", "a JPEG image"),
)


class Readable(Protocol):
    """A binary stream that can be read."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, and none only at the end."""
        ...


class FileText:
    """The text of a file, read once; ``charset`` is known from the first piece on."""

    def __init__(self, readable: Readable, file_format: FileFormat, max_bytes: int) -> None:
        self.charset = file_format.charset or "utf-8"
        self._readable = readable
        self._format = file_format
        self._max_bytes = max_bytes

    def pieces(self) -> Iterator[bytes]:
        """Yield non-empty pieces of well-formed UTF-8, each of whole characters.

        Raises:
            TextDamage: after the last piece before the damage.
        """
        pieces = iter(lambda: self._readable.read(_READ_BYTES), b"")
        if self._format.compression != "none":
            pieces = unpacked(pieces, self._format.compression, self._max_bytes)
        head, pieces = _with_head(pieces)
        _refuse_other_files(head)
        self.charset, skipped = _charset_of(head, self._format.charset)
        data = chain(_filled(head[skipped:]), pieces)
        yield from _without_marks(_decoded(data, self.charset, skipped))


def _filled(piece: bytes) -> tuple[bytes, ...]:
    return (piece,) if piece else ()


def _with_head(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes of the stream, enough to tell what it is, and those after them."""
    head = b""
    try:
        while len(head) < _HEAD_BYTES and (piece := next(pieces, b"")):
            head += piece
    except TextDamage as damage:
        return head, _raising(damage)
    return head, pieces


def _raising(damage: TextDamage) -> Iterator[bytes]:
    raise damage
    yield b""


def _refuse_other_files(head: bytes) -> None:
    for magic, what in _OTHER_FILES:
        if head.startswith(magic):
            raise TextDamage("NOT_CSV", f"This is {what}: save it as CSV and upload that.")
    refuse_packed(head)


def _charset_of(head: bytes, declared: str | None) -> tuple[str, int]:
    """Return the charset, and the length of its byte order mark in bytes.

    A mark counts for more than the declared charset: no text of another one begins with it.
    """
    marked, length = marked_charset(head)
    if marked:
        return marked, length
    is_without_order = declared in {"utf-16", "utf-32"}
    if is_without_order or (declared in {None, "utf-8"} and _looks_like_utf16(head)):
        what = declared.upper() if declared and is_without_order else "UTF-16"
        raise TextDamage(
            f"{what.replace('-', '')}_WITHOUT_BOM",
            f"This is {what} without a byte order mark: save it as UTF-8, or as Unicode text.",
        )
    return declared or "utf-8", 0


def _without_marks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the text from its first character on that is no byte order mark.

    A program that puts a mark before what it was given doesn't see that one was there.
    """
    for piece in pieces:
        text = piece
        while text.startswith(_MARK):
            text = text[len(_MARK) :]
        if text:
            yield text
            yield from pieces


def _looks_like_utf16(head: bytes) -> bool:
    """Return whether the first two characters are ASCII, each beside a zero byte."""
    first = head[:4]
    return first[1::2] == b"\0\0" != first[::2] or first[::2] == b"\0\0" != first[1::2]


def _decoded(pieces: Iterator[bytes], charset: str, offset: int) -> Iterator[bytes]:
    """Yield the pieces as UTF-8; a character that two pieces share goes with the later."""
    rest = b""
    for piece in pieces:
        data = rest + piece
        good, taken, is_damaged = _as_utf8(data, charset)
        yield from _filled(good)
        offset += taken
        if is_damaged:
            raise _invalid(charset, offset)
        rest = data[taken:]
    if rest:
        raise _invalid(charset, offset)


def _as_utf8(data: bytes, charset: str) -> tuple[bytes, int, bool]:
    """Return the characters before any damage, how many bytes they took, and if any is damaged."""
    if charset == "utf-8" and data.isascii():
        return data, len(data), False
    taken, is_damaged = len(data), False
    try:
        text = data.decode(charset)
    except UnicodeDecodeError as error:
        taken = error.start
        is_damaged = error.reason not in _CUT_OFF
        text = data[:taken].decode(charset)
    return data[:taken] if charset == "utf-8" else text.encode(), taken, is_damaged


def _invalid(charset: str, offset: int) -> TextDamage:
    return TextDamage(
        "INVALID_BYTES",
        f"The byte at offset {offset} is not {charset}: save the file as UTF-8,"
        " or name its charset in the part's Content-Type.",
    )
