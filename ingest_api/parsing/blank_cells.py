"""Finds in a text the records without a value, and values where there should be none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest_api.parsing.structure import QUOTE, Violation

if TYPE_CHECKING:
    import numpy.typing as npt

    from ingest_api.parsing.structure import Positions, Structure

NAMELESS_COLUMN: Final = "NAMELESS_COLUMN"
_BLANK_CELL: Final = re.compile(r'\s*|"\s*"')
_FIRST_NOT_ASCII: Final = 0x80
_MAYBE_WHITE: Final = np.array(
    [chr(code).isspace() or code >= _FIRST_NOT_ASCII for code in range(256)]
)
"""Bytes of which white space consists, and other characters too."""
_EMPTY_QUOTES: Final = len('""')


def is_blank(structure: Structure, starts: Positions, ends: Positions) -> npt.NDArray[np.bool_]:
    """Return which of these records hold nothing but delimiters, quotes and white space."""
    is_nothing = _MAYBE_WHITE.copy()
    is_nothing[[QUOTE, structure.delimiter]] = True
    codes, last = structure.codes, max(len(structure.codes) - 1, 0)
    is_found = np.zeros(len(starts), np.bool_)
    suspects = np.arange(len(starts))
    # A few bytes of a record tell nearly always that it holds something.
    for places in (starts, ends - 1, (starts + ends) // 2):
        suspects = suspects[is_nothing[codes[np.minimum(places[suspects], last)]]]
    pattern = _blank_record(chr(structure.delimiter))
    for row in suspects.tolist():
        text = structure.text[starts[row] : ends[row]].decode()
        is_found[row] = pattern.fullmatch(text) is not None
    return is_found


def _blank_record(delimiter: str) -> re.Pattern[str]:
    mark = re.escape(delimiter)
    cell = rf'(?:[^\S{mark}]*+(?:"\s*+")?+[^\S{mark}]*+)'
    return re.compile(f"{cell}(?:{mark}{cell})*+")


def first_filled(
    structure: Structure, starts: Positions, ends: Positions, columns: list[int]
) -> Violation | None:
    """Return the first cell of these columns, in these records, that holds a value.

    Each record has all the columns; it is noticed once its record is whole.
    """
    firsts = np.searchsorted(structure.delimiters, starts)
    # A record's last cell ends where the next one's delimiters begin, but for its line end.
    bounds = np.append(structure.delimiters, len(structure.text))
    found = [
        violation
        for column in columns
        if (violation := _filled_in(structure, column, (firsts, bounds, starts, ends)))
    ]
    return min(found, key=lambda violation: violation.position, default=None)


def _filled_in(
    structure: Structure, column: int, records: tuple[Positions, Positions, Positions, Positions]
) -> Violation | None:
    firsts, bounds, starts, ends = records
    begins = bounds[firsts + column - 1] + 1 if column else starts
    stops = np.minimum(bounds[firsts + column], ends)
    lengths = stops - begins
    is_quoted = structure.codes[np.minimum(begins, len(structure.codes) - 1)] == QUOTE
    is_suspect = (lengths > 0) & ~(is_quoted & (lengths == _EMPTY_QUOTES))
    for row in np.flatnonzero(is_suspect).tolist():
        text = structure.text[begins[row] : stops[row]].decode()
        if not _BLANK_CELL.fullmatch(text):
            return Violation(int(ends[row]), int(begins[row]), NAMELESS_COLUMN)
    return None
