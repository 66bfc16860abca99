"""The decoded batch of one partition, which the accept rule and the projection go through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from processor.decoding.producer_rules import RefusedWrite
from schemas.codec import columnar
from schemas.events import AttributeDefined, JobOpened, JobSealed, LogConfigured, RowErased

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import numpy.typing as npt

    from processor.decoding.records import Record

Control = JobOpened | JobSealed | AttributeDefined | RowErased | LogConfigured
"""Events that are taken one by one: most change how a partition takes what comes after them.

Only who holds a key of a signed log sends them.
"""
PRODUCER_ROW: Final = -1
"""Stands for the job of a producer row."""


@dataclass(frozen=True, slots=True)
class ControlRecord:
    """A control and its place: ``at`` is its position in the batch, ``offset`` in the log."""

    at: int
    offset: int
    recorded_at: datetime
    event: Control


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that is not applied: an exact copy and why.

    ``source`` is whom it names as its producer, None where that can't be read; ``job_id`` the
    job of which it would have been a record, None where it is no such event.
    """

    offset: int
    key: bytes | None
    value: bytes | None
    code: str
    detail: str
    source: str | None = None
    job_id: int | None = None


@dataclass(slots=True)
class Batch:
    """Records of one partition, decoded; arrays have one entry a record.

    ``job_ids``: the row's job, PRODUCER_ROW where it has none, 0 where the record is no row.
    ``index``: which row of ``rows`` or ``rejections`` the record became.
    """

    partition: int
    offsets: npt.NDArray[np.int64]
    next_offset: int
    records: Sequence[Record]
    values: list[bytes]
    rows: pa.RecordBatch
    rejections: pa.RecordBatch
    row_offsets: npt.NDArray[np.int64]
    job_ids: npt.NDArray[np.int64]
    sequences: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    is_rejection: npt.NDArray[np.bool_]
    controls: list[ControlRecord] = field(default_factory=list[ControlRecord])
    dead_letters: list[DeadLetter] = field(default_factory=list[DeadLetter])
    refused_writes: list[RefusedWrite] = field(default_factory=list[RefusedWrite])

    def record(self, offset: int) -> Record:
        """Return the record at this offset, as it stands in the log."""
        return self.records[int(np.searchsorted(self.offsets, offset))]


def rows_at(rows: pa.RecordBatch, indexes: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """Return the rows at these ascending indexes; nothing is copied where they are neighbours."""
    if len(indexes) and indexes[-1] - indexes[0] == len(indexes) - 1:
        return rows.slice(int(indexes[0]), len(indexes))
    return rows.take(indexes)


def empty_batch(partition: int, next_offset: int) -> Batch:
    """Return a batch of offsets that hold no records, up to ``next_offset``."""
    none = np.empty(0, np.int64)
    return Batch(
        partition=partition,
        offsets=none,
        next_offset=next_offset,
        records=[],
        values=[],
        rows=pa.RecordBatch.from_pylist([], schema=columnar.ROW_SCHEMA),
        rejections=pa.RecordBatch.from_pylist([], schema=columnar.REJECTION_SCHEMA),
        row_offsets=none,
        job_ids=none,
        sequences=none,
        index=none,
        is_rejection=np.empty(0, np.bool_),
    )
