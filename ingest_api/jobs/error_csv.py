"""Writes the rejected lines of a job as a CSV file that can be corrected and uploaded again.

Each line stands as it was uploaded, with what is wrong in three columns after
it, which an upload ignores.
What a spreadsheet would run as a formula begins with an apostrophe, which an
upload of a file with these columns takes off again; one that stood there
already is doubled, so that every cell comes back as it was.
The file begins with a byte order mark: without one Excel takes it for another
encoding, and an upload accepts it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from ingest_api.parsing.header import ADDED_NAMES, cells_of, plain_header
from ingest_api.validation.validated_rows import is_shortened
from schemas.rules.fields import ADDED_COLUMNS, MISSING_CELL, TOO_FEW_FIELDS
from schemas.rules.rejections import faults_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ingest_api.web.dates import Row

_BOM: Final = "\ufeff"
_LINE_END: Final = "\r\n"
_FORMULA: Final = r"[=+\-@\t\r]"
_FORMULA_OR_NEUTRALISED: Final = f"'*{_FORMULA}"
_CUT: Final = "The line was too long to be kept whole: its end is missing here."
_MOST_NAME_CHARACTERS: Final = 100


class ErrorFile:
    """Writes the rejected lines of one job.

    ``header`` is the file's header record as uploaded, ``delimiter`` the character.
    """

    def __init__(self, header: str, delimiter: str) -> None:
        names = cells_of(header, delimiter)
        self._delimiter = delimiter
        self._header = header
        self._columns = len(names)
        self._kept = [
            column for column, name in enumerate(names) if plain_header(name) not in ADDED_NAMES
        ]
        self._is_first_round = len(self._kept) == self._columns
        # A file that has been round before is neutralised already.
        formula = _FORMULA_OR_NEUTRALISED if self._is_first_round else _FORMULA
        self._formula = re.compile(formula)
        self._suspicious = re.compile(rf"(?:^|{re.escape(delimiter)}){formula}")
        self._special = re.compile(rf'["\r\n{re.escape(delimiter)}]|^\s|\s$')
        self._why = lru_cache(256)(self._quoted_why)

    def head(self) -> bytes:
        """Return the byte order mark and the header."""
        cells = split(self._header, self._delimiter)
        added = [self._quoted(name) for name in ADDED_COLUMNS]
        return self._text([*(cells[column] for column in self._kept), *added], _BOM)

    def lines(self, rows: Iterable[Row]) -> bytes:
        """Return these lines; ``rows`` as :meth:`.errors.ErrorReader.select_lines` has them.

        A line with too few fields is filled up with cells that say so, for it is refused again
        until somebody has put them right.
        One with too many keeps those after the added columns, so it is refused again until
        somebody has put them right; so is one whose end is missing.
        """
        return "".join(map(self._line, rows)).encode()

    def _line(self, row: Row) -> str:
        raw: str = row["raw"]
        faults = faults_of(row.get("further_faults"))
        codes = ", ".join([row["code"], *(fault.code for fault in faults)])
        why = self._why(codes, " ".join([row["reason"], *(fault.reason for fault in faults)]))
        if self._is_plain(raw):
            return f"{raw}{self._delimiter}{row['line']}{self._delimiter}{why}{_LINE_END}"
        is_cut = is_shortened(raw)
        cells = split(raw[:-1] if is_cut else raw, self._delimiter)
        cells = [self._neutralised(cell) for cell in cells]
        surplus = [*cells[self._columns :], *([self._quoted(_CUT)] if is_cut else ())]
        is_short = row["code"] == TOO_FEW_FIELDS.code and not is_cut
        cells += [MISSING_CELL if is_short else ""] * (self._columns - len(cells))
        kept = [cells[column] for column in self._kept]
        if is_short and MISSING_CELL not in kept:
            surplus.append(MISSING_CELL)  # it lacked a cell that isn't kept: another has its place
        return self._delimiter.join([*kept, str(row["line"]), why, *surplus]) + _LINE_END

    def _is_plain(self, raw: str) -> bool:
        """Return whether the line can stand as it is."""
        return (
            self._is_first_round
            and '"' not in raw
            and not is_shortened(raw)
            and raw.count(self._delimiter) + 1 == self._columns
            and not self._suspicious.search(raw)
        )

    def _neutralised(self, cell: str) -> str:
        """Return the cell, still quoted if it was, so that no spreadsheet runs it as a formula."""
        quote_mark = '"' if cell.startswith('"') else ""
        if self._formula.match(cell, len(quote_mark)):
            return f"{quote_mark}'{cell[len(quote_mark) :]}"
        return cell

    def _quoted_why(self, code: str, reason: str) -> str:
        return f"{self._quoted(code)}{self._delimiter}{self._quoted(reason)}"

    def _quoted(self, value: str) -> str:
        """Return a value of our own as a cell."""
        value = self._neutralised(value)
        return '"' + value.replace('"', '""') + '"' if self._special.search(value) else value

    def _text(self, cells: list[str], before: str) -> bytes:
        return (before + self._delimiter.join(cells) + _LINE_END).encode()


def split(raw: str, delimiter: str) -> list[str]:
    """Return the cells of a record as they are in the file, quotes included.

    A quote that is never closed, because the record's end is missing, is closed.
    """
    if '"' not in raw:
        return raw.split(delimiter)
    cells: list[str] = []
    at = 0
    while True:
        end = _end_of_cell(raw, at, delimiter)
        if end > len(raw):
            return [*cells, raw[at:] + '"']
        cells.append(raw[at:end])
        if end == len(raw):
            return cells
        at = end + 1


def _end_of_cell(raw: str, start: int, delimiter: str) -> int:
    """Return the end of the cell that begins here; beyond the record if a quote isn't closed."""
    at = start
    if raw.startswith('"', start):
        at = raw.find('"', start + 1)
        while at >= 0 and raw.startswith('"', at + 1):
            at = raw.find('"', at + 2)
        if at < 0:
            return len(raw) + 1
    end = raw.find(delimiter, at)
    return len(raw) if end < 0 else end


def disposition(file_name: str | None, job_id: int) -> str:
    """Return the ``Content-Disposition`` of the error file of a job (RFC 6266)."""
    name = (file_name or "").replace("\\", "/").rpartition("/")[2]
    name = re.sub(r"(?i)(\.(csv|txt|tsv))?(\.gz|\.zst)?$", "", name, count=1)
    name = "".join(character for character in name if character.isprintable())
    name = f"{name.strip(' .')[:_MOST_NAME_CHARACTERS] or f'job-{job_id}'}-errors.csv"
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
