"""What is wrong with values and lines, collected while a block is validated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ingest_api.parsing.columns import Mask, Positions, TextColumn
    from schemas.rules.fields import Rule


@dataclass(frozen=True, slots=True)
class ValueFault:
    """What is wrong with these rows' values of a column, in words that follow its name."""

    rows: Positions
    detail: str


@dataclass(frozen=True, slots=True)
class LineFault:
    """Why these rows are refused: rule, name of the column in this file, and its cells if any."""

    rule: Rule
    column: str
    reason: str
    cells: TextColumn | None
    rows: Positions

    @property
    def values(self) -> Sequence[str | None]:
        """The cells of the rows, None for each where the file has no such column."""
        if self.cells is None:
            return [None] * len(self.rows)
        is_wanted = np.zeros(len(self.cells.starts), np.bool_)
        is_wanted[self.rows] = True
        return self.cells.values_where(is_wanted)


def value_faults(is_odd: Mask, details: Iterable[str | None]) -> list[ValueFault]:
    """Return the faults of the odd rows, given what is wrong with each; None is nothing."""
    by_detail: dict[str, list[int]] = {}
    for row, detail in zip(np.flatnonzero(is_odd).tolist(), details, strict=True):
        if detail is not None:
            by_detail.setdefault(detail, []).append(row)
    return [ValueFault(np.array(rows), detail) for detail, rows in by_detail.items()]
