"""Where a text's records and cells end, and the first place where it breaks RFC 4180."""

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
class Marks:
    """The bytes of a text that structure it; the text begins where a record does.

    ``line_ends`` are the line feeds that end records, ``line_ranks`` their
    numbers among all line feeds, from 0.
    ``delimiters`` and ``returns`` (CR) are those outside quotes; ``quotes`` are all.
    """

    text: bytes
    codes: npt.NDArray[np.uint8]
    delimiter: int
    line_ends: Positions
    line_ranks: Positions
    delimiters: Positions
    returns: Positions
    quotes: Positions

    def record_start(self, position: int) -> int:
        """Where the record that holds this position begins."""
        before = int(np.searchsorted(self.line_ends, position))
        return int(self.line_ends[before - 1]) + 1 if before else 0

    def column_at(self, position: int) -> int:
        """The index of the column that holds this position."""
        start = self.record_start(position)
        return int(np.diff(np.searchsorted(self.delimiters, (start, position)))[0])

    def cell_quote(self, position: int) -> int:
        """The quote that opened the quoted cell which holds this position."""
        openings = self.quotes[::2]
        # An opening right after a closing quote is the second half of a doubled one.
        begins = openings[(openings == 0) | (self.codes[openings - 1] != QUOTE)]
        return int(begins[np.searchsorted(begins, position, side="right") - 1])


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule broken: ``code`` says which, ``position`` where.

    ``noticed_at`` is the position of the byte that shows it to a reader of one
    byte after the other.
    """

    noticed_at: int
    position: int
    code: str


def find_marks(text: bytes, delimiter: int) -> Marks:
    """The marks of a text that begins where a record does."""
    codes = np.frombuffer(text, np.uint8)
    if QUOTE in text:
        return _marks_between_quotes(text, codes, delimiter)
    line_ends = np.flatnonzero(codes == LF)
    return Marks(
        text=text,
        codes=codes,
        delimiter=delimiter,
        line_ends=line_ends,
        line_ranks=np.arange(len(line_ends)),
        delimiters=np.flatnonzero(codes == delimiter),
        returns=np.flatnonzero(codes == CR) if CR in text else _NONE,
        quotes=_NONE,
    )


def _marks_between_quotes(text: bytes, codes: npt.NDArray[np.uint8], delimiter: int) -> Marks:
    is_mark = (codes == QUOTE) | (codes == LF) | (codes == delimiter)
    if CR in text:
        is_mark |= codes == CR
    marks = np.flatnonzero(is_mark)
    kinds = codes[marks]
    # Only the lowest bit of the number of quotes matters, so it may overflow.
    is_outside = (np.cumsum(kinds == QUOTE, dtype=np.uint8) & 1) == 0
    is_line_feed = kinds == LF
    return Marks(
        text=text,
        codes=codes,
        delimiter=delimiter,
        line_ends=marks[is_line_feed & is_outside],
        line_ranks=np.flatnonzero(is_outside[is_line_feed]),
        delimiters=marks[(kinds == delimiter) & is_outside],
        returns=marks[(kinds == CR) & is_outside],
        quotes=marks[kinds == QUOTE],
    )


def first_breach(marks: Marks, limits: Limits, *, is_last: bool) -> Breach | None:
    """The breach that is noticed first, or None.

    What the bytes after the text must show is left to the next text, unless
    this is the file's last.
    """
    return min(
        _breaches(marks, limits, is_last=is_last), key=attrgetter("noticed_at"), default=None
    )


def _breaches(marks: Marks, limits: Limits, *, is_last: bool) -> Iterator[Breach]:
    """The first breach of each kind."""
    if (nul := marks.text.find(b"\0")) >= 0:
        yield Breach(nul, nul, "NUL_CHARACTER")
    yield from _bare_returns(marks, is_last=is_last)
    if len(marks.quotes):
        yield from _misplaced_quotes(marks)
    yield from _long_cells(marks, limits.max_cell_bytes)
    yield from _long_records(marks, limits.max_record_bytes)
    yield from _wide_records(marks, limits.max_columns)
    if is_last and len(marks.quotes) % 2:
        end = len(marks.text)
        yield Breach(end, marks.cell_quote(end), "QUOTE_NOT_CLOSED")


def _bare_returns(marks: Marks, *, is_last: bool) -> Iterator[Breach]:
    followers = marks.returns + 1
    is_inner = followers < len(marks.codes)
    is_bare = np.full(len(followers), is_last)
    is_bare[is_inner] = marks.codes[followers[is_inner]] != LF
    if is_bare.any():
        position = int(marks.returns[is_bare][0])
        yield Breach(position + 1, position, "BARE_CARRIAGE_RETURN")


def _misplaced_quotes(marks: Marks) -> Iterator[Breach]:
    openings, closings = marks.quotes[::2], marks.quotes[1::2]
    before = marks.codes[openings - 1]
    is_stray = (before != marks.delimiter) & (before != LF) & (before != QUOTE) & (openings > 0)
    if is_stray.any():
        position = int(openings[is_stray][0])
        yield Breach(position, position, "QUOTE_IN_UNQUOTED_CELL")
    closings = closings[closings + 1 < len(marks.codes)]
    after = marks.codes[closings + 1]
    is_followed = (after != marks.delimiter) & (after != LF) & (after != QUOTE) & (after != CR)
    if is_followed.any():
        position = int(closings[is_followed][0])
        yield Breach(position + 1, position, "TEXT_AFTER_CLOSING_QUOTE")


def _record_bounds(marks: Marks) -> Positions:
    """Where records end; the first begins after -1, the last may go on after the text."""
    return np.concatenate(([-1], marks.line_ends, [len(marks.codes)]))


def _long_cells(marks: Marks, max_bytes: int) -> Iterator[Breach]:
    bounds = _record_bounds(marks)
    for record in np.flatnonzero(np.diff(bounds) - 1 > max_bytes).tolist():
        first, last = np.searchsorted(marks.delimiters, bounds[record : record + 2])
        inner = marks.delimiters[first:last]
        cells = np.concatenate(
            (bounds[record : record + 1], inner, bounds[record + 1 : record + 2])
        )
        is_long = np.diff(cells) - 1 > max_bytes
        if is_long.any():
            start = int(cells[:-1][is_long][0]) + 1
            noticed_at = start + max_bytes
            is_quoted = bool(np.searchsorted(marks.quotes, noticed_at) % 2)
            # A quoted cell that goes on for lines has most likely lost its closing quote.
            is_open = is_quoted and marks.text.find(b"\n", start, noticed_at) >= 0
            yield Breach(noticed_at, start, "QUOTE_NOT_CLOSED" if is_open else "CELL_TOO_LONG")
            return


def _long_records(marks: Marks, max_bytes: int) -> Iterator[Breach]:
    bounds = _record_bounds(marks)
    is_long = np.diff(bounds) - 1 > max_bytes
    if is_long.any():
        start = int(bounds[:-1][is_long][0]) + 1
        noticed_at = start + max_bytes
        if np.searchsorted(marks.quotes, noticed_at) % 2:
            yield Breach(noticed_at, marks.cell_quote(noticed_at), "QUOTE_NOT_CLOSED")
        else:
            yield Breach(noticed_at, start, "RECORD_TOO_LONG")


def too_wide_record(marks: Marks, max_columns: int) -> Breach | None:
    """The first record with more than so many columns, or None."""
    return next(_wide_records(marks, max_columns), None)


def _wide_records(marks: Marks, max_columns: int) -> Iterator[Breach]:
    if len(marks.delimiters) < max_columns:
        return
    inner = np.searchsorted(marks.delimiters, marks.line_ends)
    bounds = np.concatenate(([0], inner, [len(marks.delimiters)]))
    is_wide = np.diff(bounds) >= max_columns
    if is_wide.any():
        first = int(bounds[:-1][is_wide][0])
        position = int(marks.delimiters[first + max_columns - 1])
        yield Breach(position, marks.record_start(position), "TOO_MANY_COLUMNS")
