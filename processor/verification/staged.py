"""The rows of a batch that count, as columns of numbers for the fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute

from processor.decoding.batch import PRODUCER_ROW
from processor.verification.user_columns import NONE
from schemas.log.positions import position_of
from schemas.read_model.column_hashes import hashes
from schemas.read_model.copy_binary import is_complete
from schemas.rules import modes as rules
from schemas.rules.fields import FIELDS

if TYPE_CHECKING:
    import numpy.typing as npt

    from processor.decoding.accept_rule import Rows
    from processor.decoding.batch import Batch
    from schemas.events import JobMode

    Numbers = npt.NDArray[np.int64]
    Hashes = npt.NDArray[np.uint64]
    Flags = npt.NDArray[np.bool_]

pc: Any = pyarrow.compute
INSERT, UPSERT, DELETE, UPDATE, IGNORE = range(5)
ANY_USER: Final = -1
"""Stands for the user of a row that does not say which one it means."""
MODES: Final[dict[JobMode, int]] = {
    "insert": INSERT,
    "upsert": UPSERT,
    "delsert": INSERT,
    "update": UPDATE,
    "ignore": IGNORE,
    "delete": DELETE,
}
"""What a job's rows do; a delsert's insert into its own generation."""
_ROW_MODES: Final = {"insert": INSERT, "upsert": UPSERT, "delsert": INSERT, "delete": DELETE}


@dataclass(frozen=True, slots=True)
class Staged:
    """One entry a row; ``rows`` are the rows themselves.

    ``values`` has a column for each field.  ``meant`` is the only user that a row may
    concern.  ``rounds``: how often its key came before.
    """

    rows: pa.RecordBatch
    id: Numbers
    key: Hashes
    rounds: Numbers
    values: Hashes
    present: Numbers
    fills: Numbers
    modes: Numbers
    is_complete: Flags
    is_producer_row: Flags
    has_attributes: Flags
    meant: Numbers
    job_id: Numbers
    record_number: Numbers
    event_id: Hashes
    occurred_at: Numbers


def stage(batch: Batch, step: Rows) -> Staged:
    """Return a Rows step as columns of numbers."""
    is_whole = len(step.rows) == len(batch.rows)
    rows = batch.rows if is_whole else batch.rows.take(step.rows)
    job_ids = _numbers(rows.column("job_id"), PRODUCER_ROW)
    is_producer_row = job_ids == PRODUCER_ROW
    keys = hashes(rows.column("key"))
    return Staged(
        rows=rows,
        id=batch.row_offsets[step.rows] + position_of(batch.partition, 0),
        key=keys,
        rounds=rounds(keys),
        values=np.stack([_hashes_beside(rows, field.name, keys) for field in FIELDS], axis=1),
        present=_numbers(rows.column("present"), 0),
        fills=np.where(is_producer_row, 0, step.fills),
        modes=_mode_numbers(rows.column("mode"), is_producer_row, step.mode),
        is_complete=np.asarray(is_complete(rows)),
        is_producer_row=is_producer_row,
        has_attributes=np.diff(cast("Any", rows.column("attributes")).offsets.to_numpy()) > 0,
        meant=np.where(is_producer_row, _numbers(rows.column("user_id"), ANY_USER), ANY_USER),
        job_id=np.where(is_producer_row, NONE, job_ids),
        record_number=_numbers(rows.column("record_number"), NONE),
        event_id=hashes(rows.column("event_id")),
        occurred_at=_numbers(rows.column("occurred_at"), 0),
    )


def _hashes_beside(rows: pa.RecordBatch, name: str, keys: Hashes) -> Hashes:
    """Return the hashes of keys; most keys are a column's very values."""
    column = cast("Any", rows.column(name))
    return keys if column.equals(rows.column("key")) else hashes(column)


def rounds(keys: Hashes) -> Numbers:
    """Return how many times each key came before, in order."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(keys)])
    found = np.zeros(len(keys), np.int64)
    if len(starts) < len(keys):
        lengths = np.diff(starts, append=len(keys))
        found[order] = np.arange(len(keys)) - np.repeat(starts, lengths)
    return found


def _numbers(column: Any, null: int) -> Numbers:
    numbers = pc.cast(column, pa.int64())
    filled = pc.fill_null(numbers, null) if numbers.null_count else numbers
    return cast("Numbers", np.asarray(filled))


def _mode_numbers(column: Any, is_producer_row: Flags, job_mode: JobMode | None) -> Numbers:
    """Number the modes of rows; of a job whose rows say less than it does, its own."""
    names, numbers = list(_ROW_MODES), np.array(list(_ROW_MODES.values()), np.int64)
    modes = numbers[np.asarray(pc.index_in(column, value_set=pa.array(names)))]
    if job_mode is None or rules.MODES[job_mode].row_mode == job_mode:
        return modes
    return np.where(is_producer_row, modes, MODES[job_mode])
