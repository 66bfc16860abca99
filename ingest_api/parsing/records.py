"""Reads the bytes of a file as blocks of whole CSV records (RFC 4180).

The text is read in blocks of fixed size and cut where records end, with numpy:
a quote that has an even number of quotes before it opens a cell, the others
close one, so a line feed or a delimiter counts where the number of quotes before
it is even (see :mod:`ingest_api.parsing.structure`).
Where text breaks the rules, the fault reported is the one that a reader going
byte by byte would have noticed first, so it does not depend on where the blocks
were cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from ingest_api.parsing.blank_cells import NAMELESS_COLUMN, first_filled, is_blank
from ingest_api.parsing.block import Block
from ingest_api.parsing.decode import FileText
from ingest_api.parsing.errors import FileFault, TextDamage
from ingest_api.parsing.file_format import DELIMITERS, Limits
from ingest_api.parsing.header import header_and_fault, is_header, nameless_column
from ingest_api.parsing.opening import read_opening
from ingest_api.parsing.structure import (
    CR,
    LF,
    Violation,
    find_structure,
    first_violation,
    line_breaks,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest_api.parsing.decode import Readable
    from ingest_api.parsing.file_format import FileFormat
    from ingest_api.parsing.header import Header
    from ingest_api.parsing.structure import Structure

_MESSAGES: Final = {
    "NUL_CHARACTER": "The line holds a NUL character: take it out, or save the file as UTF-8 text.",
    "BARE_CARRIAGE_RETURN": "The line ends with a bare carriage return:"
    " save the file with LF or CRLF.",
    "MIXED_LINE_ENDS": "The line ends with a line feed, those before it with a carriage return"
    " alone: save the file with one kind of line end.",
    "QUOTE_IN_UNQUOTED_CELL": "A quote stands inside a cell that does not begin with one:"
    " put the cell in quotes and double those inside.",
    "TEXT_AFTER_CLOSING_QUOTE": "Text follows the quote that closes the cell opened in line"
    " {opened}: close the cell where it ends, and double the quotes inside.",
    "QUOTE_NOT_CLOSED": "The quote that opens this cell is never closed: close it,"
    " and double the quotes inside.",
    "RECORD_TOO_LONG": "The record is longer than {max_record_bytes} bytes: shorten it,"
    " or look for line ends that are missing.",
    "CELL_TOO_LONG": "The cell is longer than {max_cell_bytes} bytes: shorten it,"
    " or look for a quote that is missing.",
    "TOO_MANY_ROWS": "The file has more than {max_rows} data lines: split it.",
    "TOO_MANY_COLUMNS": "The record has more than {max_columns} columns: split the file,"
    " or look for line ends that are missing.",
    "CELL_WITH_HYPHEN": "The line has more fields than the header: with the delimiter HYPHEN,"
    " put cells that hold a hyphen in quotes, or choose another delimiter.",
}
_OF_WHOLE_RECORDS: Final = frozenset(
    {"RECORD_TOO_LONG", "TOO_MANY_COLUMNS", "TOO_MANY_ROWS", "CELL_WITH_HYPHEN"}
)
_WITH_ANY_DELIMITER: Final = frozenset(
    {
        "NUL_CHARACTER",
        "BARE_CARRIAGE_RETURN",
        "MIXED_LINE_ENDS",
        "QUOTE_NOT_CLOSED",
        "RECORD_TOO_LONG",
        "TOO_MANY_ROWS",
    }
)
"""Codes that hold whatever the delimiter is, because quotes alone tell records apart."""
_LINES_OF_A_TITLE: Final = 20
_FIRST_RULES_OF_BLANK_ROWS: Final = 3
"""Under earlier rules a line of delimiters alone is one without values."""


class FileRecords:
    """The records of one file, read once.

    ``header`` and ``charset`` are known from the first block on.
    ``header_fault`` is a fault of the header where ``is_lenient``, so that the rest can be looked
    at all the same; otherwise the file is refused for it.
    """

    def __init__(
        self,
        readable: Readable,
        file_format: FileFormat,
        limits: Limits | None = None,
        *,
        is_lenient: bool = False,
    ) -> None:
        self.header_fault: FileFault | None = None
        self._is_lenient = is_lenient
        self._limits = limits or Limits()
        self._format = file_format
        self._text = FileText(readable, file_format, self._limits.max_unpacked_bytes)
        self._header: Header | None = None
        self._nameless_columns: list[int] = []
        self._delimiter = ""
        """Unknown until the file's opening has been read."""
        self._line_end = LF
        self._is_at_end = False
        self._rest = b""
        self._records = 0
        self._line = 1

    @property
    def header(self) -> Header:
        """The file's header.

        Raises:
            RuntimeError: no block has been read yet.
        """
        if self._header is None:
            raise RuntimeError("the header is known once the first block has been read")
        return self._header

    @property
    def has_header(self) -> bool:
        """Whether the header has been read."""
        return self._header is not None

    @property
    def charset(self) -> str:
        """The charset of the file."""
        return self._text.charset

    def blocks(self) -> Iterator[Block]:
        """Yield the data records in order, each block with one at least.

        Raises:
            FileFault: the file as a whole is refused.
        """
        for piece, is_last in self._pieces():
            block = self._cut(self._rest + piece, is_last=is_last)
            if block:
                self._records += len(block)
                yield block
        if self._header is None:
            raise FileFault("EMPTY_FILE", "The file is empty, or holds nothing but white space.")
        if not self._records:
            raise FileFault(
                "NO_DATA_LINE", "The file has a header and no data line.", line=self._header.line
            )

    def _pieces(self) -> Iterator[tuple[bytes, bool]]:
        """Yield the text in pieces of a block's size, and with each whether it is the last.

        Raises:
            FileFault: the file is damaged; raised after the text before the damage.
        """
        held = bytearray()
        damage: TextDamage | None = None
        try:
            for piece in _sliced(self._text.pieces(), self._limits.block_bytes):
                held += piece
                if len(held) >= self._limits.block_bytes:
                    yield bytes(held), False
                    held.clear()
        except TextDamage as error:
            damage = error
        self._is_at_end = True
        yield bytes(held), damage is None
        if damage:
            line = self._line + line_breaks(self._rest, self._line_end)
            raise FileFault(
                damage.code, damage.message, line=line, depends_on_delimiter=False
            ) from damage

    def _cut(self, text: bytes, *, is_last: bool) -> Block | None:
        """Return the data records that end in this text; keep the rest for the next call."""
        if not self._delimiter:
            opened = self._open(text)
            if opened is None:
                self._rest = text
                return None
            text = opened
        if is_last and text and not text.endswith((b"\r", bytes([self._line_end]))):
            text += bytes([self._line_end])
        structure = find_structure(text, ord(self._delimiter), self._line_end)
        violation = first_violation(structure, self._limits, is_last=is_last)
        block = self._whole_records(structure)
        if self._header is None:
            block = self._take_header(block, violation.noticed_at if violation else len(text))
        if block and not violation and self._header and self._header.added:
            block = block.without_missing_cells(len(self._header.names))
        violation = self._split_cell(block, violation) or violation
        violation = self._nameless_value(structure, block, violation) or violation
        violation = self._row_over_limit(block, violation) or violation
        if violation:
            raise self._fault(structure, violation)
        if len(structure.line_ends):
            self._rest = text[structure.line_ends[-1] + 1 :]
            self._line += int(structure.line_ranks[-1]) + 1
        else:
            self._rest = text
        return block

    def _open(self, text: bytes) -> bytes | None:
        """Find out how the file is cut; return the text of its table, None where it is too early.

        Raises:
            FileFault: its first line contradicts what its sender said.
        """
        opening = read_opening(text, self._format, self._limits, is_end=self._is_at_end)
        if opening is None:
            return None
        self._delimiter, self._line_end = opening.delimiter, opening.line_end
        self._line += opening.lines
        return text[opening.length :]

    def _whole_records(self, structure: Structure) -> Block | None:
        """Return the records that end in the text and hold anything; None if there are none."""
        nexts = structure.line_ends + 1
        starts = np.concatenate(([0], nexts[:-1]))[: len(nexts)]
        ranks = np.concatenate(([0], structure.line_ranks[:-1] + 1))[: len(nexts)]
        ends = structure.line_ends
        if len(structure.strays):
            ends = ends - ((ends > starts) & (structure.codes[ends - 1] == CR))
        counts = np.diff(np.searchsorted(structure.delimiters, nexts), prepend=0) + 1
        is_filled = ends > starts
        if self._format.rules_version >= _FIRST_RULES_OF_BLANK_ROWS:
            is_filled &= ~is_blank(structure, starts, ends)
        if not is_filled.all():
            starts, ends, nexts = starts[is_filled], ends[is_filled], nexts[is_filled]
            ranks, counts = ranks[is_filled], counts[is_filled]
        if not len(starts):
            return None
        first = int(starts[0])
        return Block(
            data=structure.text[first : nexts[-1]],
            position=first,
            starts=starts - first,
            ends=ends - first,
            nexts=nexts - first,
            lines=self._line + ranks,
            field_counts=counts,
            first_record_number=self._records + 1,
            delimiter=chr(structure.delimiter),
            has_quotes=bool(len(structure.quotes)),
            line_end=structure.line_end,
        )

    def _take_header(self, block: Block | None, noticed_at: int) -> Block | None:
        """Read the header, the first record that isn't white space; return the records after it.

        A record that doesn't end before ``noticed_at``, where a violation is, is no header.
        """
        for index in range(len(block) if block else 0):
            if not block or block.position + block.ends[index] >= noticed_at:
                return None
            raw = block.raw(index)
            if raw.strip():
                line = int(block.lines[index])
                self._check_header_size(raw, line)
                self._header, fault = header_and_fault(
                    raw, line=line, delimiter=self._delimiter, file_format=self._format
                )
                if fault:
                    self._name_a_later_header(fault, block, index + 1, noticed_at)
                    if not self._is_lenient:
                        raise fault
                self.header_fault = fault
                self._nameless_columns = self._header.nameless_columns
                return block.without_first(index + 1)
        return None

    def _name_a_later_header(
        self, fault: FileFault, block: Block, start: int, noticed_at: int
    ) -> None:
        """Add to the message which of the next lines is a header, where a title stands above it.

        A record that doesn't end before ``noticed_at`` is none.
        """
        for index in range(start, min(len(block), start + _LINES_OF_A_TITLE)):
            if block.position + block.ends[index] >= noticed_at:
                return
            raw, line = block.raw(index), int(block.lines[index])
            is_short = len(raw) <= self._limits.max_header_bytes
            if is_short and is_header(raw, self._delimiter, self._format):
                fault.message += f" Line {line} is a header: take out what stands above it."
                return

    def _check_header_size(self, raw: str, line: int) -> None:
        """Refuse a header that would not fit, with the job, in a message of Kafka."""
        most = self._limits.max_header_bytes
        if len(raw.encode()) > most:
            message = f"The header is longer than {most} bytes: shorten the names of its columns."
            raise FileFault("HEADER_TOO_LONG", message, line=line, depends_on_delimiter=False)

    def _split_cell(self, block: Block | None, violation: Violation | None) -> Violation | None:
        """Return the first record with a cell cut by its hyphen, if before the other violation.

        Dates and phone numbers hold hyphens: with this delimiter, a line with too
        many fields says that the file forgot to quote them, in the other lines too.
        """
        if self._header is None or block is None or self._delimiter != "-":
            return None
        wide = np.flatnonzero(block.field_counts > len(self._header.names))
        if not len(wide):
            return None
        start, end = (block.position + int(at[wide[0]]) for at in (block.starts, block.ends))
        if violation and violation.noticed_at <= end:
            return None
        return Violation(end, start, "CELL_WITH_HYPHEN")

    def _nameless_value(
        self, structure: Structure, block: Block | None, violation: Violation | None
    ) -> Violation | None:
        """Return the first value in a column without a name, if before the other violation."""
        if self._header is None or block is None or not self._nameless_columns:
            return None
        whole = block.field_counts == len(self._header.names)
        starts, ends = (places[whole] + block.position for places in (block.starts, block.ends))
        filled = first_filled(structure, starts, ends, self._nameless_columns)
        if filled is None or (violation and violation.noticed_at <= filled.noticed_at):
            return None
        return filled

    def _row_over_limit(self, block: Block | None, violation: Violation | None) -> Violation | None:
        """Return the first record over the limit, if it ends before the other violation."""
        over = self._limits.max_rows - self._records
        if block is None or not self._limits.max_rows or over >= len(block):
            return None
        start, end = (block.position + int(places[over]) for places in (block.starts, block.ends))
        if violation and violation.noticed_at <= end:
            return None
        return Violation(end, start, "TOO_MANY_ROWS")

    def _fault(self, structure: Structure, violation: Violation) -> FileFault:
        if violation.code == NAMELESS_COLUMN:
            column = structure.column_at(violation.position)
            line = self._line_at(structure, violation.position)
            return nameless_column(self.header, column, line)
        message = _MESSAGES[violation.code]
        if violation.code == "TEXT_AFTER_CLOSING_QUOTE":
            opened = self._line_at(structure, structure.cell_quote(violation.position))
            message = message.format(opened=opened)
        else:
            message = message.format(**msgspec.structs.asdict(self._limits))
        return FileFault(
            violation.code,
            message,
            line=self._line_at(structure, violation.position),
            column=self._column_name(structure, violation),
            depends_on_delimiter=_depends_on_delimiter(structure, violation),
        )

    def _line_at(self, structure: Structure, position: int) -> int:
        return self._line + structure.line_breaks(position)

    def _column_name(self, structure: Structure, violation: Violation) -> str | None:
        is_of_whole_record = violation.code in _OF_WHOLE_RECORDS
        if is_of_whole_record or self._header is None:
            return None
        column = structure.column_at(violation.position)
        return self._header.names[column] if column < len(self._header.names) else None


def _depends_on_delimiter(structure: Structure, violation: Violation) -> bool:
    if violation.code != "CELL_TOO_LONG":
        return violation.code not in _WITH_ANY_DELIMITER
    cell = structure.text[violation.position : violation.noticed_at]
    return not cell.startswith(b'"') and any(
        other.encode() in cell for other in DELIMITERS.values()
    )


def _sliced(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    for piece in pieces:
        if len(piece) <= size:
            yield piece
        else:
            yield from (piece[at : at + size] for at in range(0, len(piece), size))
