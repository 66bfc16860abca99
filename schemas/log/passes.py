"""Decides which rows that name a job can be of its pass, by what producer rows alone have.

A pass writes its rows with their places in the file and in the partition, and
without what tells events of other producers apart.  So a row that names a job and
is otherwise is nobody's line, whatever jobs there are: it is no repeat, and takes
no line's place in the sequence.
A row that imitates a pass in every field is told by the sequence and by the digest alone.
Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute

if TYPE_CHECKING:
    import numpy.typing as npt

    from schemas.events import UserRow

pc: Any = pyarrow.compute
_NEVER: Final = ("event_id", "source", "user_id")
"""Columns that no row of a pass has set."""
_ALWAYS: Final = ("record_number", "line", "sequence")
"""Columns that every row of a pass has set."""
_NO_MODE: Final = "delete"
"""The mode that no row of a pass has: a job deletes nobody line by line."""
_AS_SCALAR: Final = pa.scalar(_NO_MODE, pa.string())


def misattributed_rows(rows: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Return which rows name a job that cannot be their own, ascending."""
    count = len(rows)
    named = cast("Any", rows.column("job_id"))
    if named.null_count == count or _are_all_of_passes(rows):
        return np.empty(0, np.int64)
    is_odd = pc.equal(rows.column("mode"), _AS_SCALAR)
    for name in _NEVER:
        is_odd = pc.or_(is_odd, pc.is_valid(rows.column(name)))
    for name in _ALWAYS:
        is_odd = pc.or_(is_odd, pc.is_null(rows.column(name)))
    return np.flatnonzero(np.asarray(pc.and_(is_odd, pc.is_valid(named))))


def is_misattributed(row: UserRow) -> bool:
    """Return the same of one row."""
    return row.job_id is not None and (
        row.mode == _NO_MODE
        or any(getattr(row, name) is not None for name in _NEVER)
        or any(getattr(row, name) is None for name in _ALWAYS)
    )


def _are_all_of_passes(rows: pa.RecordBatch) -> bool:
    """Nearly always: then little is looked at but how many nulls each column has."""
    is_plain = all(rows.column(name).null_count == len(rows) for name in _NEVER)
    is_whole = not any(rows.column(name).null_count for name in _ALWAYS)
    if not (is_plain and is_whole):
        return False
    return not pc.any(pc.equal(rows.column("mode"), _AS_SCALAR)).as_py()
