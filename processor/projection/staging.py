"""Prepares accepted rows as COPY input, for the staging table or straight for a leaf.

A key that comes several times in a batch gets a round for each time, so that
each round has a key once and whole rounds can be applied by set statements.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute

from processor.decoding.batch import rows_at
from schemas.log.positions import position_of
from schemas.read_model.attribute_json import attributes_json
from schemas.read_model.copy_binary import copy_input, is_complete, jsonb
from schemas.read_model.tables import API_SOURCE
from schemas.rules.fields import FIELDS, SUBSCRIPTIONS
from schemas.rules.modes import MODES
from schemas.rules.notes import dropped_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from processor.decoding.accept_rule import Rows
    from processor.decoding.batch import Batch
    from schemas.events import JobMode
    from schemas.rules.attributes import Attribute
    from schemas.rules.notes import Note

pc: Any = pyarrow.compute

STAGED_COLUMNS: Final = (
    "step", "id", "round", "mode", "is_complete", "present", "key",
    *(field.name for field in FIELDS),
    "attributes", "occurred_at", "job_id", "record_number", "event_id", "user_id",
)  # fmt: skip
"""The columns of the staging table; ``step`` numbers the Rows steps of a transaction."""
LEAF_COLUMNS: Final = (
    "id", "key",
    *(field.name for field in FIELDS),
    "attributes", "created_at", "modified_at", "job_id", "record_number",
)  # fmt: skip
"""The columns of a leaf that a job's rows fill; generation and partition are its defaults."""
REJECTION_COLUMNS: Final = (
    "job_id", "record_number", "line", "column", "code", "reason", "value", "raw",
    "further_faults",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """A Rows step as COPY input, with what the transaction must know of it.

    ``leaf_input``: COPY input for the leaf itself, where all rows may well be new users;
    None where they must be matched against the users that are there.
    ``modes``: what each row does, of a job's rows the job's mode; ``fills``: the fields that a
    job's rows only fill; ``keeps_opt_outs``: they never opt in who has opted out.
    ``counts`` is the number of rows by (round, is another producer's) and mode.
    ``reported``: event ids of the API's writes among the rows, by the ids of the rows.
    ``dropped``: the notes of a job's rows of which cells were left out, by the ids of the rows.
    """

    step: int
    job_id: int | None
    mode: JobMode | None
    is_filling: bool
    keeps_opt_outs: bool
    attributes: Mapping[str, Attribute]
    rows: pa.RecordBatch
    modes: pa.StringArray
    fills: int
    ids: npt.NDArray[np.int64]
    rounds: npt.NDArray[np.int32]
    is_complete: pa.BooleanArray
    counts: dict[tuple[int, bool], dict[JobMode, int]]
    reported: dict[int, str]
    dropped: dict[int, list[Note]]
    leaf_input: memoryview | None
    rejected: int
    rejected_by: Counter[str]
    rejections_input: memoryview

    @property
    def has_incomplete(self) -> bool:
        """True where some row may not add a user."""
        return self.is_complete.true_count < len(self.rows)

    def staged_input(self) -> memoryview:
        """COPY input for the staging table."""
        return _staged_input(self)

    @property
    def opts_in(self) -> bool:
        """True where some row would opt its user in."""
        rows = self.rows.select([field.name for field in SUBSCRIPTIONS])
        return any(column.true_count for column in cast("list[pa.BooleanArray]", rows.columns))

    def deletes(self, number: int) -> list[int]:
        """Return the ids of the job's rows in a round that delete users."""
        if self.mode is None or MODES[self.mode].existing != "deleted":
            return []
        is_own = np.asarray(pc.is_valid(self.rows.column("job_id")))
        ids: list[int] = self.ids[is_own & (self.rounds == number)].tolist()
        return ids

    def sources_by_id(self, wanted: list[int]) -> list[str | None]:
        """Return the sources that the rows of these ids name, in their order."""
        at = np.searchsorted(self.ids, np.array(wanted, np.int64))
        column: pa.StringArray = cast("pa.StringArray", self.rows.column("source"))
        return column.take(at).to_pylist()

    def rows_by_id(self, wanted: list[int]) -> list[dict[str, Any]]:
        """Return the rows of these ids, in their order, as dicts of columns."""
        at = np.searchsorted(self.ids, np.array(wanted, np.int64))
        return self.rows.take(at).to_pylist()


def prepare_rows(batch: Batch, step: Rows, number: int, *, expect_new: bool) -> PreparedRows:
    """Make a Rows step ready, apart from the database.

    ``number`` is its place in its transaction; ``expect_new`` says that these rows will
    most likely all be new users.
    """
    rows = rows_at(batch.rows, step.rows)
    ids = batch.row_offsets[step.rows] + position_of(batch.partition, 0)
    complete = is_complete(rows)
    rejections = rows_at(batch.rejections, step.rejections)
    row_rounds = (
        np.zeros(len(rows), np.int32)
        if step.is_filling
        else rounds(cast("pa.StringArray", rows.column("key")))
    )
    modes = _modes(rows, step.mode)
    counts = _counts(rows, modes, row_rounds)
    adds = step.mode is not None and MODES[step.mode].adds
    are_fit = list(counts) == [(0, False)] and complete.true_count == len(rows)
    return PreparedRows(
        step=number,
        job_id=step.job_id,
        mode=step.mode,
        is_filling=step.is_filling,
        keeps_opt_outs=step.keeps_opt_outs,
        attributes=step.attributes,
        rows=rows,
        modes=modes,
        fills=step.fills,
        ids=ids,
        rounds=row_rounds,
        is_complete=complete,
        counts=counts,
        reported=_reported(rows, ids),
        dropped=_dropped(rows, ids),
        leaf_input=(
            leaf_input(rows, ids, step.attributes)
            if step.is_filling or (expect_new and adds and are_fit)
            else None
        ),
        rejected=len(rejections),
        rejected_by=_by_code(rejections),
        rejections_input=copy_input({name: rejections.column(name) for name in REJECTION_COLUMNS}),
    )


def _by_code(rejections: pa.RecordBatch) -> Counter[str]:
    counted = pc.value_counts(rejections.column("code")).to_pylist()
    return Counter({each["values"]: each["counts"] for each in counted})


def rounds(keys: pa.StringArray) -> npt.NDArray[np.int32]:
    """Return how many times each key came before, in order: 0 where keys are unique."""
    codes: pa.DictionaryArray[Any, Any] = pc.dictionary_encode(keys)
    indices = codes.indices.to_numpy()
    if len(codes.dictionary) == len(keys):
        return np.zeros(len(keys), np.int32)
    order = np.argsort(indices, kind="stable")
    ordered = indices[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    run_lengths = np.diff(starts, append=len(ordered))
    nth = np.arange(len(ordered)) - np.repeat(starts, run_lengths)
    result = np.empty(len(keys), np.int32)
    result[order] = nth
    return result


def _reported(rows: pa.RecordBatch, ids: npt.NDArray[np.int64]) -> dict[int, str]:
    if rows.column("job_id").null_count == 0:
        return {}
    is_reported = pc.and_(
        pc.is_null(rows.column("job_id")),
        pc.fill_null(pc.equal(rows.column("source"), API_SOURCE), fill_value=False),
    )
    event_ids: list[str] = pc.filter(rows.column("event_id"), is_reported).to_pylist()
    return dict(zip(ids[np.asarray(is_reported)].tolist(), event_ids, strict=True))


def _dropped(rows: pa.RecordBatch, ids: npt.NDArray[np.int64]) -> dict[int, list[Note]]:
    texts = cast("Any", rows.column("dropped_cells"))
    if texts.null_count == len(rows):
        return {}
    has_any = pc.and_(pc.is_valid(texts), pc.is_valid(rows.column("job_id")))
    columns = ["job_id", "record_number", "line", "dropped_cells"]
    found: list[dict[str, Any]] = rows.select(columns).filter(has_any).to_pylist()
    return {
        row_id: list(dropped_cells(row))
        for row_id, row in zip(ids[np.asarray(has_any)].tolist(), found, strict=True)
    }


def _modes(rows: pa.RecordBatch, job_mode: JobMode | None) -> pa.StringArray:
    """Return what each row does; a job's row says less than its job, where that has a variant."""
    modes = cast("pa.StringArray", rows.column("mode"))
    if job_mode is None or MODES[job_mode].row_mode == job_mode:
        return modes
    return pc.if_else(pc.is_null(rows.column("job_id")), modes, job_mode)


def _counts(
    rows: pa.RecordBatch, modes: pa.StringArray, row_rounds: npt.NDArray[np.int32]
) -> dict[tuple[int, bool], dict[JobMode, int]]:
    table = pa.table(
        {
            "round": row_rounds,
            "is_producer_row": rows.column("job_id").is_null(),
            "mode": modes,
        }
    )
    counts: dict[tuple[int, bool], dict[JobMode, int]] = {}
    # Threads would cost more than they count: batches are small, and groups few.
    grouped = table.group_by(["round", "is_producer_row", "mode"], use_threads=False)
    for group in grouped.aggregate([([], "count_all")]).to_pylist():
        by_mode = counts.setdefault((group["round"], group["is_producer_row"]), {})
        by_mode[group["mode"]] = group["count_all"]
    return counts


def _staged_input(step: PreparedRows) -> memoryview:
    rows = step.rows
    columns: list[pa.Array[Any]] = [
        pa.repeat(pa.scalar(step.step, pa.int32()), len(rows)),
        pa.array(step.ids),
        pa.array(step.rounds),
        step.modes,
        step.is_complete,
        rows.column("present"),
        rows.column("key"),
        *(rows.column(field.name) for field in FIELDS),
        jsonb(attributes_json(rows.column("attributes"), step.attributes)),
        rows.column("occurred_at"),
        rows.column("job_id"),
        rows.column("record_number"),
        rows.column("event_id"),
        rows.column("user_id"),
    ]
    return copy_input(dict(zip(STAGED_COLUMNS, columns, strict=True)))


def leaf_input(
    rows: pa.RecordBatch, ids: npt.NDArray[np.int64], attributes: Mapping[str, Attribute]
) -> memoryview:
    """Return COPY input for a leaf; all rows are new users."""
    columns: list[pa.Array[Any]] = [
        pa.array(ids),
        rows.column("key"),
        *(
            pc.fill_null(rows.column(field.name), fill_value=True)
            if field.kind == "boolean"
            else rows.column(field.name)
            for field in FIELDS
        ),
        jsonb(attributes_json(rows.column("attributes"), attributes, clears="nothing")),
        rows.column("occurred_at"),
        rows.column("occurred_at"),
        rows.column("job_id"),
        rows.column("record_number"),
    ]
    return copy_input(dict(zip(LEAF_COLUMNS, columns, strict=True)))
