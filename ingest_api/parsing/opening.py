"""What the beginning of a file says of the rest: how its lines end, what stands between cells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import AUTO, DELIMITERS, USUAL_DELIMITER
from ingest_api.parsing.header import delimiter_of_error_file, fitting_delimiter
from ingest_api.parsing.structure import CR, LF

if TYPE_CHECKING:
    from ingest_api.parsing.file_format import FileFormat, Limits

_RECORD: Final = re.compile(rb'([^"\r\n]*+(?:"[^"]*+"[^"\r\n]*+)*+)(\r\n|\r|\n)')
"""A whole record; as everywhere, a line ends where the number of quotes before it is even."""
_SEPARATOR_LINE: Final = re.compile(r'\s*("?)sep=(\\t|[^\\"])\1(?:\2|[^\S\t])*+', re.IGNORECASE)
"""By which Excel tells itself, and does not show: ``sep=;``."""
_BLANK: Final = re.compile(r'[\s",;|-]*')


@dataclass(frozen=True, slots=True)
class Opening:
    """How a file is cut into records and cells.

    ``line_end`` is the byte that ends records.
    The first ``length`` bytes, of ``lines`` lines, are no part of the table.
    """

    line_end: int
    delimiter: str
    length: int = 0
    lines: int = 0


def read_opening(
    text: bytes, file_format: FileFormat, limits: Limits, *, is_end: bool
) -> Opening | None:
    """Return what the first records of a text say; None where more of it must be known.

    ``is_end`` says that no more comes.

    Raises:
        FileFault: its first line names a delimiter that is not taken, or not the one named.
    """
    first = _record_at(text, 0, is_end=is_end)
    if first is None:
        if not is_end and len(text) <= limits.max_record_bytes:
            return None
        header = text if len(text) <= limits.max_header_bytes else b""
        return Opening(LF, _delimiter_of(header, file_format))
    line_end = CR if first[2] == b"\r" else LF
    if found := _SEPARATOR_LINE.fullmatch(first[1].decode()):
        delimiter = _separator_named(found[2], file_format.delimiter)
        return Opening(line_end, delimiter, len(first[0]), 1)
    if file_format.delimiter not in {None, AUTO}:
        return Opening(line_end, file_format.delimiter or USUAL_DELIMITER)
    header = _header(text, limits, is_end=is_end)
    return None if header is None else Opening(line_end, _delimiter_of(header, file_format))


def _record_at(text: bytes, start: int, *, is_end: bool) -> re.Match[bytes] | None:
    found = _RECORD.match(text, start)
    # After a carriage return at the end, a line feed may still come.
    is_open = found is not None and found[2] == b"\r" and found.end() == len(text)
    return None if is_open and not is_end else found


def _header(text: bytes, limits: Limits, *, is_end: bool) -> bytes | None:
    """Return the first record that isn't blank; None where it is not whole yet.

    It is empty where that one, or what is before it, is longer than a header may be.
    """
    start, most = 0, limits.max_header_bytes
    while start <= most:
        found = _record_at(text, start, is_end=is_end)
        end = found.end(1) if found else len(text)
        if end - start > most:
            return b""
        if found is None:
            return text[start:] if is_end else None
        if not _BLANK.fullmatch(found[1].decode()):
            return found[1]
        start = found.end()
    return b""


def _delimiter_of(header: bytes, file_format: FileFormat) -> str:
    if file_format.delimiter == AUTO:
        return fitting_delimiter(header.decode(), file_format)
    if file_format.delimiter is None:
        return delimiter_of_error_file(header.decode()) or USUAL_DELIMITER
    return file_format.delimiter


def _separator_named(text: str, delimiter: str | None) -> str:
    named = "\t" if text == "\\t" else text
    names = {character: name for name, character in DELIMITERS.items()}
    if named not in names:
        message = f'The first line says that "{named}" stands between cells, which is not taken: '
        message += f"use one of {' '.join(DELIMITERS.values())} or a tab."
        raise FileFault("DELIMITER_UNKNOWN", message)
    if delimiter not in {None, AUTO, named}:
        message = f"The first line says that the delimiter is {names[named]}, and the upload says"
        message += f" {names[delimiter or '']}: send DELIMITER {names[named]}, or take it out."
        raise FileFault("DELIMITER_CONTRADICTED", message)
    return named
