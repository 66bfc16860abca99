"""Decodes the bytes of a file to pieces of UTF-8 text.

Detects the charset, removes the byte order mark, and checks every byte.
Of a damaged file all text before the damage comes first, so that the reader knows the
line of the damage and meets an earlier fault of another kind first, however the stream
was cut.
"""

from __future__ import annotations

import codecs
import re
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
_OTHER_FILES: Final = tuple(
    (re.compile(beginning, re.IGNORECASE), what)
    for beginning, what in (
        (rb"\x89PNG", "a PNG image"),
        (rb"%PDF", "a PDF document"),
        (rb"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)"),
        (rb"PK\x03\x04", "a ZIP archive or an Excel workbook (.xlsx)"),
        (rb"PK\x05\x06", "a ZIP archive"),
        (rb"\xff\xd8\xff", "a JPEG image"),
        (rb"7z\xbc\xaf", "a 7z archive"),
        (rb"Rar!\x1a", "a RAR archive"),
        (rb"BZh\d1AY&SY", "a bzip2 file"),
        (rb"\xfd7zXZ\0", "an xz file"),
        (rb"[^\0]{1,99}\0[\s\S]{157,256}ustar", "a tar archive"),
        (rb"PAR1", "a Parquet file"),
        (rb"SQLite format 3\0", "an SQLite database"),
        (rb"\{\\rtf", "an RTF document"),
        (rb"\s*<(!doctype|html|head|body|table|script|style|meta)\b", "a web page (HTML)"),
        (rb"\s*<\?xml\b", "an XML document"),
        (rb"\s*(\[\s*)?\{\s*\"", "JSON; a file with an object a line has a name ending in .ndjson"),
        (rb"BEGIN:VCARD\b", "a file of vCards (.vcf)"),
    )
)
"""By how they begin. Most would be refused all the same, for something that tells nobody why."""
_LATIN: Final = "\u00c3"
"""What the byte C3, with which UTF-8 of most accented letters begins, is in Latin charsets."""
_FIRST_RULES_OF_WINDOWS: Final = 3
"""Under earlier rules the bytes 80 to 9F of Latin-1 are control characters."""
_ON_WINDOWS: Final = {"iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874"}
"""What is meant by these names (WHATWG, Encoding Standard, 4.2): it has characters at 80 to 9F."""


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
        self.charset, skipped = _charset_of(head, self._format.charset)
        _refuse_other_files(head[skipped:], self._format.compression)
        data = chain(_filled(head[skipped:]), pieces)
        if self._format.rules_version >= _FIRST_RULES_OF_WINDOWS:
            if _is_latin(self.charset):
                data = _not_utf8(data, self.charset)
            charset = _ON_WINDOWS.get(self.charset, self.charset)
        else:
            charset = self.charset
        yield from _without_marks(_decoded(data, charset, skipped))


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


def _refuse_other_files(head: bytes, compression: str) -> None:
    for beginning, what in _OTHER_FILES:
        if beginning.match(head):
            raise TextDamage("NOT_CSV", f"This is {what}: save it as CSV and upload that.")
    refuse_packed(head, compression)


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


def _is_latin(charset: str) -> bool:
    return _LATIN.encode(charset, "ignore") == b"\xc3"


def _not_utf8(pieces: Iterator[bytes], charset: str) -> Iterator[bytes]:
    """Yield the pieces of a file that is said to be in this charset.

    Many clients say so of every file.

    Raises:
        TextDamage: all of it is UTF-8, and not ASCII.
    """
    utf8 = codecs.getincrementaldecoder("utf-8")()
    is_utf8, is_ascii = True, True
    for piece in pieces:
        is_ascii = is_ascii and piece.isascii()
        if is_utf8 and not is_ascii:
            is_utf8 = _goes_on(utf8, piece)
        yield piece
    if not is_ascii and is_utf8 and _goes_on(utf8, b"", is_end=True):
        message = f"The file is said to be {charset}, and all of it is UTF-8: send it as UTF-8."
        raise TextDamage("CHARSET_CONTRADICTED", message)


def _goes_on(decoder: codecs.IncrementalDecoder, piece: bytes, *, is_end: bool = False) -> bool:
    """Return whether the piece is of the decoder's charset too."""
    try:
        decoder.decode(piece, is_end)
    except UnicodeDecodeError:
        return False
    return True


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
