"""Turn NDJSON, an object a line, into CSV as it comes: members become columns (pure).

The columns are the members of the first lines; what is kept is the CSV, so a line of the file is
one line further down in it, below the header.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from ingest_api.errors import Detail, invalid_file
from ingest_api.uploads.workbook_to_csv import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_LINES: Final = 1000
_FIRST_BYTES: Final = 1 << 20
_MOST_LINE_BYTES: Final = 1 << 20
_PIECE_CHARACTERS: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"
_NESTED: Final = "attributes"
_Record = dict[str, Any]


class NdjsonToCsv:
    """Converts one file: :meth:`feed` it in pieces cut anywhere, then :meth:`finish`.

    A line may be a few bytes and its row many columns wide, so the CSV comes in pieces, too, and
    counts towards ``most_bytes``.
    """

    def __init__(self, *, most_columns: int, most_bytes: int) -> None:
        self._most_columns = most_columns
        self._most_bytes = most_bytes
        self._made_bytes = 0
        self._made = io.StringIO(newline="")
        self._rows = csv.writer(self._made, lineterminator="\r\n")
        self._rest = b""
        self._lines = 0
        self._names: dict[str, None] = {}
        self._first: list[_Record | None] | None = []
        self._first_bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines that are complete, as CSV, once the columns are known.

        Raises:
            InvalidRequestError: a line is no JSON object, too long, or has a new member too late;
                or there are more columns or bytes than may be.
        """
        text = self._rest + data
        end = text.rfind(b"\n") + 1
        self._rest = text[end:]
        self._check_length(self._rest, self._lines + text.count(b"\n", 0, end) + 1)
        yield from self._converted(text[:end].split(b"\n")[:-1])

    def finish(self) -> Iterator[bytes]:
        """Yield what is left.

        Raises:
            InvalidRequestError: as :meth:`feed`.
        """
        yield from self._converted([self._rest] if self._rest else [])
        yield from self._first_rows()

    def _converted(self, lines: list[bytes]) -> Iterator[bytes]:
        for line in lines:
            record = self._record(line)
            if self._first is None:
                yield from self._row(record)
                continue
            self._first.append(record)
            self._first_bytes += len(line)
            if len(self._first) == _FIRST_LINES or self._first_bytes >= _FIRST_BYTES:
                yield from self._first_rows()
        yield from self._taken()

    def _first_rows(self) -> Iterator[bytes]:
        """Yield the header and the rows below it, where they have not been yielded yet."""
        first, self._first = self._first, None
        if first is not None and any(first):
            header: _Record = {name: name for name in self._names}
            for record in (header, *first):
                yield from self._row(record)
        yield from self._taken()

    def _record(self, line: bytes) -> _Record | None:
        """Parse a line; None where it is blank."""
        line = line if self._lines else line.removeprefix(_BOM)
        self._lines += 1
        self._check_length(line, self._lines)
        if not line.strip():
            return None
        try:
            record = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._refused(self._lines, f"is no JSON: {error}") from error
        if not isinstance(record, dict):
            raise self._refused(self._lines, "is no JSON object")
        found = _flat(cast("_Record", record))
        if found.keys() - self._names.keys():
            self._take_names(found)
        return found

    def _take_names(self, record: _Record) -> None:
        for name in record:
            if self._first is None and name not in self._names:
                why = f'has the member "{name[:100]}", which none of the first lines has'
                raise self._refused(self._lines, why)
            self._names[name] = None
        if len(self._names) > self._most_columns:
            why = f"has members that make it more than {self._most_columns} columns"
            raise self._refused(self._lines, why)

    def _row(self, record: _Record | None) -> Iterator[bytes]:
        # A blank line is written, too, so that lines keep their distance.
        self._rows.writerow(
            [] if record is None else [_cell(record.get(name)) for name in self._names]
        )
        if self._made.tell() >= _PIECE_CHARACTERS:
            yield from self._taken()

    def _taken(self) -> Iterator[bytes]:
        """Yield the CSV that has been made since."""
        made = self._made.getvalue().encode()
        self._made.seek(0)
        self._made.truncate()
        self._made_bytes += len(made)
        if self._made_bytes > self._most_bytes:
            raise self._refused(self._lines, f"makes the file more than {self._most_bytes} bytes")
        if made:
            yield made

    def _check_length(self, line: bytes, number: int) -> None:
        if len(line) > _MOST_LINE_BYTES:
            raise self._refused(number, f"is longer than {_MOST_LINE_BYTES} bytes")

    def _refused(self, number: int, why: str) -> Exception:
        message = f"Line {number} of the NDJSON file {why}."
        return invalid_file(Detail("NDJSON_INVALID", message, line=number + 1))


def _flat(record: _Record) -> _Record:
    """Return the record with custom attributes as members of their own, which exports nest."""
    attributes = record.get(_NESTED)
    if not isinstance(attributes, dict):
        return record
    return {name: value for name, value in record.items() if name != _NESTED} | attributes


def _cell(value: object) -> str:
    """Return a value as an import reads it; what is nested stays JSON."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return text_of(value)
