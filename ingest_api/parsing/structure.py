"""The structural index of a text: where records and cells end, and its first violation."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ingest_api.parsing.file_format import Limits

    Positions = npt.NDArray[np.int64]

LF, CR, QUOTE = b'\n\r"'
_NONE: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Structure:
    """The positions of the bytes that structure a text, which begins where a record does.

    ``line_end`` is the byte that ends records: a line feed, which a carriage return may
    stand before, or in a file without any, a carriage return.
    ``line_ends`` are those that end records, ``line_ranks`` their numbers among all line
    breaks, from 0.
    ``delimiters`` and ``strays`` are those outside quotes, a stray being the other of the two
    bytes that break lines; ``quotes`` are all.
    """

    text: bytes
    codes: npt.NDArray[np.uint8]
    delimiter: int
    line_end: int
    line_ends: Positions
    line_ranks: Positions
    delimiters: Positions
    strays: Positions
    quotes: Positions

    def line_breaks(self, position: int) -> int:
        """Return how many line breaks there are before this position."""
        return line_breaks(self.text, self.line_end, position)

    def record_start(self, position: int) -> int:
        """Return where the record at this position begins."""
        before = int(np.searchsorted(self.line_ends, position))
        return int(self.line_ends[before - 1]) + 1 if before else 0

    def column_at(self, position: int) -> int:
        """Return the index of the column at this position."""
        start = self.record_start(position)
        return int(np.diff(np.searchsorted(self.delimiters, (start, position)))[0])

    def cell_quote(self, position: int) -> int:
        """Return the position of the quote that opened the quoted cell at this position."""
        openings = self.quotes[::2]
        # An opening right after a closing quote is the second half of a doubled one.
        begins = openings[(openings == 0) | (self.codes[openings - 1] != QUOTE)]
        return int(begins[np.searchsorted(begins, position, side="right") - 1])


@dataclass(frozen=True, slots=True)
class Violation:
    """A violation of RFC 4180 or of a limit: ``code`` says which, ``position`` where.

    ``noticed_at`` is the position of the byte that shows it to a reader of one
    byte after the other.
    """

    noticed_at: int
    position: int
    code: str


def line_breaks(text: bytes, line_end: int, upto: int | None = None) -> int:
    """Return how many line breaks a text has, or its bytes before a position.

    Where carriage returns end the records, a cell in quotes may still hold line feeds.
    """
    count = text.count(b"\n", 0, upto)
    if line_end == CR:
        count += text.count(b"\r", 0, upto) - text.count(b"\r\n", 0, upto)
    return count


def find_structure(text: bytes, delimiter: int, line_end: int = LF) -> Structure:
    """Return the structure of a text that begins where a record does."""
    codes = np.frombuffer(text, np.uint8)
    if QUOTE in text:
        return _quoted_structure(text, codes, delimiter, line_end)
    line_ends = np.flatnonzero(codes == line_end)
    stray = _other(line_end)
    return Structure(
        text=text,
        codes=codes,
        delimiter=delimiter,
        line_end=line_end,
        line_ends=line_ends,
        line_ranks=np.arange(len(line_ends)),
        delimiters=np.flatnonzero(codes == delimiter),
        strays=np.flatnonzero(codes == stray) if stray in text else _NONE,
        quotes=_NONE,
    )


def _quoted_structure(
    text: bytes, codes: npt.NDArray[np.uint8], delimiter: int, line_end: int
) -> Structure:
    stray = _other(line_end)
    is_mark = (codes == QUOTE) | (codes == line_end) | (codes == delimiter)
    if stray in text:
        is_mark |= codes == stray
    positions = np.flatnonzero(is_mark)
    kinds = codes[positions]
    # Only the lowest bit of the number of quotes matters, so it may overflow.
    is_outside = (np.cumsum(kinds == QUOTE, dtype=np.uint8) & 1) == 0
    is_end = kinds == line_end
    is_break = is_end
    if line_end == CR:
        is_break = is_end | ((kinds == LF) & (codes[positions - 1] != CR))
    return Structure(
        text=text,
        codes=codes,
        delimiter=delimiter,
        line_end=line_end,
        line_ends=positions[is_end & is_outside],
        line_ranks=np.flatnonzero((is_end & is_outside)[is_break]),
        delimiters=positions[(kinds == delimiter) & is_outside],
        strays=positions[(kinds == stray) & is_outside],
        quotes=positions[kinds == QUOTE],
    )


def _other(line_end: int) -> int:
    return CR if line_end == LF else LF


def first_violation(structure: Structure, limits: Limits, *, is_last: bool) -> Violation | None:
    """Return the violation that is noticed first, or None.

    What only the bytes after the text can show is left to the next text, unless
    this is the file's last.
    """
    return min(
        _violations(structure, limits, is_last=is_last), key=attrgetter("noticed_at"), default=None
    )


def _violations(structure: Structure, limits: Limits, *, is_last: bool) -> Iterator[Violation]:
    """Yield the first violation of each kind."""
    if (nul := structure.text.find(b"\0")) >= 0:
        yield Violation(nul, nul, "NUL_CHARACTER")
    yield from _stray_line_ends(structure, is_last=is_last)
    if len(structure.quotes):
        yield from _misplaced_quotes(structure)
    yield from _long_cells(structure, limits.max_cell_bytes)
    yield from _long_records(structure, limits.max_record_bytes)
    yield from _wide_records(structure, limits.max_columns)
    if is_last and len(structure.quotes) % 2:
        end = len(structure.text)
        yield Violation(end, structure.cell_quote(end), "QUOTE_NOT_CLOSED")


def _stray_line_ends(structure: Structure, *, is_last: bool) -> Iterator[Violation]:
    if structure.line_end == CR:
        if len(structure.strays):
            position = int(structure.strays[0])
            yield Violation(position, position, "MIXED_LINE_ENDS")
        return
    followers = structure.strays + 1
    is_inner = followers < len(structure.codes)
    is_bare = np.full(len(followers), is_last)
    is_bare[is_inner] = structure.codes[followers[is_inner]] != LF
    if is_bare.any():
        position = int(structure.strays[is_bare][0])
        yield Violation(position + 1, position, "BARE_CARRIAGE_RETURN")


def _misplaced_quotes(structure: Structure) -> Iterator[Violation]:
    openings, closings = structure.quotes[::2], structure.quotes[1::2]
    before = structure.codes[openings - 1]
    line_end = structure.line_end
    is_stray = (before != structure.delimiter) & (before != line_end) & (before != QUOTE)
    is_stray &= openings > 0
    if is_stray.any():
        position = int(openings[is_stray][0])
        yield Violation(position, position, "QUOTE_IN_UNQUOTED_CELL")
    closings = closings[closings + 1 < len(structure.codes)]
    after = structure.codes[closings + 1]
    is_followed = (after != structure.delimiter) & (after != LF) & (after != QUOTE) & (after != CR)
    if is_followed.any():
        position = int(closings[is_followed][0])
        yield Violation(position + 1, position, "TEXT_AFTER_CLOSING_QUOTE")


def _record_bounds(structure: Structure) -> Positions:
    """Return where records end, after -1, where the first begins; the last may be incomplete."""
    return np.concatenate(([-1], structure.line_ends, [len(structure.codes)]))


def _long_cells(structure: Structure, max_bytes: int) -> Iterator[Violation]:
    bounds = _record_bounds(structure)
    for record in np.flatnonzero(np.diff(bounds) - 1 > max_bytes).tolist():
        first, last = np.searchsorted(structure.delimiters, bounds[record : record + 2])
        inner = structure.delimiters[first:last]
        cells = np.concatenate(
            (bounds[record : record + 1], inner, bounds[record + 1 : record + 2])
        )
        is_long = np.diff(cells) - 1 > max_bytes
        if is_long.any():
            start = int(cells[:-1][is_long][0]) + 1
            noticed_at = start + max_bytes
            is_quoted = bool(np.searchsorted(structure.quotes, noticed_at) % 2)
            # A quoted cell that goes on for lines has most likely lost its closing quote.
            end = bytes([structure.line_end])
            is_open = is_quoted and structure.text.find(end, start, noticed_at) >= 0
            yield Violation(noticed_at, start, "QUOTE_NOT_CLOSED" if is_open else "CELL_TOO_LONG")
            return


def _long_records(structure: Structure, max_bytes: int) -> Iterator[Violation]:
    bounds = _record_bounds(structure)
    is_long = np.diff(bounds) - 1 > max_bytes
    if is_long.any():
        start = int(bounds[:-1][is_long][0]) + 1
        noticed_at = start + max_bytes
        if np.searchsorted(structure.quotes, noticed_at) % 2:
            yield Violation(noticed_at, structure.cell_quote(noticed_at), "QUOTE_NOT_CLOSED")
        else:
            yield Violation(noticed_at, start, "RECORD_TOO_LONG")


def _wide_records(structure: Structure, max_columns: int) -> Iterator[Violation]:
    if len(structure.delimiters) < max_columns:
        return
    inner = np.searchsorted(structure.delimiters, structure.line_ends)
    bounds = np.concatenate(([0], inner, [len(structure.delimiters)]))
    is_wide = np.diff(bounds) >= max_columns
    if is_wide.any():
        first = int(bounds[:-1][is_wide][0])
        position = int(structure.delimiters[first + max_columns - 1])
        yield Violation(position, structure.record_start(position), "TOO_MANY_COLUMNS")
