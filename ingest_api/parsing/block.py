"""Whole records of a file that were cut from its text together, and are checked together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest_api.parsing.header import cells_of
from ingest_api.parsing.structure import CR, LF
from schemas.rules.fields import MISSING_CELL

if TYPE_CHECKING:
    from ingest_api.parsing.structure import Positions

_MISSING_CELL: Final = MISSING_CELL.encode()


@dataclass(frozen=True, slots=True)
class Block:
    """Whole data records that follow each other in a file.

    ``data`` begins with the first record and ends with the line end of the
    last; lines without a value may stand between. ``line_end`` is the byte that ends each.
    ``starts`` and ``ends`` are the records' places in it, without line ends; ``nexts`` is
    where their line ends are over; ``lines`` are the physical lines where they begin; the
    records are numbered from ``first_record_number``.
    ``field_counts`` are the records' numbers of fields.
    ``position`` is where ``data`` begins in the text that it was cut from.
    """

    data: bytes
    position: int
    starts: Positions
    ends: Positions
    nexts: Positions
    lines: Positions
    field_counts: Positions
    first_record_number: int
    delimiter: str
    has_quotes: bool
    line_end: int = LF

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def is_contiguous(self) -> bool:
        """Whether each record begins right after the one before it."""
        return bool((self.nexts[:-1] == self.starts[1:]).all())

    @property
    def uniform_line_end(self) -> bytes | None:
        """The line end of every record; None where it varies or lines stand between."""
        if self.is_contiguous:
            for line_end in (b"\r",) if self.line_end == CR else (b"\n", b"\r\n"):
                if (self.nexts - self.ends == len(line_end)).all():
                    return line_end
        return None

    def raw(self, index: int) -> str:
        """Return the record at this index of the block, as uploaded."""
        return self.data[self.starts[index] : self.ends[index]].decode()

    def without_missing_cells(self, columns: int) -> Block:
        """Return the block of an error file with the fields that its lines had when uploaded.

        A line with more fields than there are columns has them all: a cell was put in beside one
        that says that it is missing.
        """
        if _MISSING_CELL not in self.data:
            return self
        counts = self.field_counts.copy()
        is_short = [self.has_missing_cell(row) for row in range(len(self))]
        for index in np.flatnonzero(is_short & (counts <= columns)):
            cells = cells_of(self.raw(int(index)), self.delimiter)
            counts[index] -= sum(cell.strip() == MISSING_CELL for cell in cells)
        return replace(self, field_counts=counts)

    def has_missing_cell(self, index: int) -> bool:
        """Return whether the record at this index says that it lacks a cell."""
        return self.data.find(_MISSING_CELL, self.starts[index], self.ends[index]) >= 0

    def without_first(self, count: int) -> Block | None:
        """Return the records after the first ones; None where none is left."""
        if count == len(self):
            return None
        first = int(self.starts[count])
        return replace(
            self,
            data=self.data[first:],
            position=self.position + first,
            starts=self.starts[count:] - first,
            ends=self.ends[count:] - first,
            nexts=self.nexts[count:] - first,
            lines=self.lines[count:],
            field_counts=self.field_counts[count:],
        )
