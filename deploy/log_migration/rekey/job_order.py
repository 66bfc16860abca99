"""Merges the records that count of all partitions into one order, job by job.

Partitions have no order among each other, but jobs have, and within a job its
file.  The merged order keeps

- the order of each partition;
- of a job's lines, the order of the file;
- of records without a job, their place among the lines of their own partition, and
  beyond that the order of their times.

Pure but for the reading.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from deploy.log_migration import MoveRefusedError
from deploy.log_migration.log_copy import CountedPartition
from processor.decoding.accept_rule import Erased, Opened, Rows, Sealed
from schemas.codec.codec import decode
from schemas.events import (
    AttributeDefined,
    JobOpened,
    JobSealed,
    LogConfigured,
    RowErased,
    RowRejected,
    UserRow,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from deploy.log_migration.records import CopiedRecord
    from processor.decoding.accept_rule import Accepted
    from processor.decoding.batch import Batch
    from schemas.config.settings import Settings
    from schemas.events import Event

Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class CountedRecord:
    """A record that counts; ``event`` is None where it counts as a dead letter or a refusal.

    ``place``, its sort key: the greatest record number of the job so far in its partition, the
    greatest time since, the partition.  It never decreases within a section of a job.
    """

    record: CopiedRecord
    event: Event | None
    partition: int
    place: Place


class OrderTracker:
    """Assigns sort keys to the records of one partition, which come in their order."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._number = self._time_ms = 0

    def place(self, record: CopiedRecord, event: Event | None) -> CountedRecord:
        """Return the record with its sort key."""
        number = _number_of(event)
        if isinstance(event, JobOpened | JobSealed):
            self._number = self._time_ms = 0
        elif number is None:
            self._time_ms = max(self._time_ms, record.timestamp_ms)
        elif number > self._number:
            self._number, self._time_ms = number, 0
        place = (self._number, self._time_ms, self._partition)
        return CountedRecord(record, event, self._partition, place)


def _number_of(event: Event | None) -> int | None:
    is_line = isinstance(event, UserRow | RowRejected | RowErased)
    return event.record_number if is_line and event.job_id is not None else None


def in_order(sections: Iterable[Iterator[CountedRecord]]) -> Iterator[CountedRecord]:
    """Merge the records of one section of every partition."""
    return heapq.merge(*sections, key=attrgetter("place"))


class PartitionReader:
    """Reads the records that count of one partition, section by section, up to an end offset.

    A bracket is the opening or the seal of a job; a section is what stands between two brackets.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        self._topic = settings.topics.user_events
        self._partition = CountedPartition(settings, partition)
        self._tracker = OrderTracker(partition)
        self._ahead: list[CountedRecord] = []
        """The next one last."""
        self._batches: Iterator[list[CopiedRecord]] = iter(())

    def read_up_to(self, end: int) -> None:
        """Read on up to this offset."""
        self._batches = self._partition.batches(end)

    def section(self) -> Iterator[CountedRecord]:
        """Yield the records before the next bracket of a job, or the end."""
        while (counted := self._next()) and not isinstance(counted.event, JobOpened | JobSealed):
            yield self._ahead.pop()

    def bracket(self) -> CountedRecord:
        """Return the next record, which is a bracket of a job.

        Raises:
            MoveRefusedError: it is not.
        """
        counted = self._next()
        if counted is None or not isinstance(counted.event, JobOpened | JobSealed):
            raise MoveRefusedError(
                f"{self._topic.name}, partition {self._partition.state.partition} has not all"
                " records of its jobs"
            )
        return self._ahead.pop()

    def _next(self) -> CountedRecord | None:
        while not self._ahead:
            records = next(self._batches, None)
            if records is None:
                return None
            self._ahead = self._counted(records)[::-1]
        return self._ahead[-1]

    def _counted(self, records: list[CopiedRecord]) -> list[CountedRecord]:
        batch, accepted = self._partition.take(records)
        good, dead = _offsets(batch, accepted)
        return [
            self._tracker.place(record, decode(record.value()) if record.offset() in good else None)
            for record in records
            if record.offset() in good or record.offset() in dead
        ]


def _offsets(batch: Batch, accepted: Accepted) -> tuple[set[int], set[int]]:
    """Return the offsets of records that count, and of those that count as refused."""
    rejection_offsets = batch.offsets[np.flatnonzero(batch.is_rejection)]
    good = {
        control.offset
        for control in batch.controls
        if isinstance(control.event, AttributeDefined | LogConfigured)
    }
    for step in accepted.steps:
        if isinstance(step, Opened | Sealed | Erased):
            good.add(step.offset)
        elif isinstance(step, Rows):
            good.update(batch.row_offsets[step.rows].tolist())
            good.update(rejection_offsets[step.rejections].tolist())
    dead = {dead_letter.offset for dead_letter in batch.dead_letters}
    dead |= {refused.offset for refused in batch.refused_writes}
    return good, dead


def brackets(readers: Sequence[PartitionReader]) -> list[CountedRecord]:
    """Return the next bracket of every partition, all of one job.

    Raises:
        MoveRefusedError: they are not.
    """
    found = [reader.bracket() for reader in readers]
    kinds = {(type(one.event), getattr(one.event, "job_id", None)) for one in found}
    if len(kinds) != 1:
        raise MoveRefusedError(f"the partitions have jobs in different orders: {kinds}")
    return found
