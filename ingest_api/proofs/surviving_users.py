"""Users that a job was the last to set, in the order of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from schemas.read_model.copy_csv import FIELD_TYPES, TIME

if TYPE_CHECKING:
    from collections.abc import Iterator

SURVIVING_USER_TYPES: Final[dict[str, pa.DataType]] = {
    "position": pa.int64(),
    "id": pa.int64(),
    "key": pa.string(),
    "kept": pa.int64(),
    **FIELD_TYPES,
    "attributes": pa.string(),
    "created_at": TIME,
    "modified_at": TIME,
    "record_number": pa.int64(),
}
"""Columns; ``position`` is the log position of the event that set the user last, ``kept`` has the
bits of the opt-outs that it met, as in ``UserRow.present``."""


class SurvivingUsers:
    """Cuts a stream of tables, ascending by log position, at one position after another."""

    def __init__(self, parts: Iterator[pa.Table]) -> None:
        self._parts = parts
        self._ahead: pa.Table | None = None

    def up_to(self, position: int) -> Iterator[pa.Table]:
        """Yield the next users, up to this position."""
        while (part := self._next()) is not None:
            positions: Any = part.column("position").to_numpy()
            count = int(np.searchsorted(positions, position, side="right"))
            if count:
                yield part.slice(0, count)
            if count < len(part):
                self._ahead = part.slice(count)
                return

    def rest(self) -> Iterator[pa.Table]:
        """Yield the users that are left."""
        while (part := self._next()) is not None:
            yield part

    def _next(self) -> pa.Table | None:
        part, self._ahead = self._ahead, None
        return part if part is not None else next(self._parts, None)
