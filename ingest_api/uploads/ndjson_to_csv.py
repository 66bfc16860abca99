"""Turn NDJSON, an object a line, into CSV as it comes: members become columns (pure).

The columns are the members of the first lines; what is kept is the CSV, so a line of the file is
one line further down in it, below the header.
"""

from __future__ import annotations

import csv
import io
from typing import Any, Final, cast

import msgspec

from ingest_api.errors import Detail, invalid_file
from ingest_api.uploads.workbook_to_csv import text_of

_FIRST_LINES: Final = 1000
_FIRST_BYTES: Final = 1 << 20
_MOST_LINE_BYTES: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"
_NESTED: Final = "attributes"
_Record = dict[str, Any]


class NdjsonToCsv:
    """Converts one file: :meth:`feed` it in pieces cut anywhere, then :meth:`finish`."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines = 0
        self._names: dict[str, None] = {}
        self._first: list[_Record | None] | None = []
        self._first_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """Return the lines that are complete, as CSV, once the columns are known.

        Raises:
            InvalidRequestError: a line is no JSON object, too long, or has a new member too late.
        """
        text = self._rest + data
        end = text.rfind(b"\n") + 1
        self._rest = text[end:]
        self._check_length(self._rest, self._lines + text.count(b"\n", 0, end) + 1)
        return self._converted(text[:end].split(b"\n")[:-1])

    def finish(self) -> bytes:
        """Return what is left.

        Raises:
            InvalidRequestError: as :meth:`feed`.
        """
        last = self._converted([self._rest] if self._rest else [])
        return last + self._first_rows()

    def _converted(self, lines: list[bytes]) -> bytes:
        first, later = b"", list[_Record | None]()
        for line in lines:
            record = self._record(line)
            if self._first is None:
                later.append(record)
                continue
            self._first.append(record)
            self._first_bytes += len(line)
            if len(self._first) == _FIRST_LINES or self._first_bytes >= _FIRST_BYTES:
                first = self._first_rows()
        return first + self._rows(later)

    def _first_rows(self) -> bytes:
        """Return the header and the rows below it, where they have not been returned yet."""
        first, self._first = self._first, None
        if first is None or not any(first):
            return b""
        header: _Record = {name: name for name in self._names}
        return self._rows([header, *first])

    def _record(self, line: bytes) -> _Record | None:
        """Parse a line; None where it is blank."""
        line = line if self._lines else line.removeprefix(_BOM)
        self._lines += 1
        self._check_length(line, self._lines)
        if not line.strip():
            return None
        try:
            record = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
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

    def _rows(self, records: list[_Record | None]) -> bytes:
        made = io.StringIO(newline="")
        rows = csv.writer(made, lineterminator="\r\n")
        for record in records:
            # A blank line is written, too, so that lines keep their distance.
            rows.writerow(
                [] if record is None else [_cell(record.get(name)) for name in self._names]
            )
        return made.getvalue().encode()

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
