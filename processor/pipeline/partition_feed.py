"""Feeds of claimed partitions: records wait, are taken in batches, and are prepared.

The consumer group and a replay differ in who gives them partitions, and in when
they end.  In between they do the same: records wait, are taken in batches, and
each batch is decoded, judged by the accept rule and made ready for Postgres.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from processor.kafka.schema_cache import WriterSchemas
from processor.pipeline.prepare_batch import prepare_batch
from processor.runtime.metrics import BATCH_SECONDS
from schemas.clients.metrics import FORGED_RECORDS
from schemas.codec import framing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import Message

    from processor.decoding.accept_rule import PartitionState
    from processor.projection.projection import PreparedBatch, Projection

_MAX_BATCH_BYTES: Final = 16 << 20


@dataclass(slots=True)
class PartitionFeed:
    """A claimed partition: the state after all that was handed over, and what waits."""

    state: PartitionState
    next_fetch: int
    pending: list[Message] = field(default_factory=list["Message"])
    pending_bytes: int = 0
    """About what is pending: what is taken counts by the mean."""
    taken_ms: int = 0
    """The time in the log of the record that was taken last."""
    hole_at: int | None = None
    unknown_id: int | None = None
    """The id of the next record's schema: until it is known, nothing is taken."""

    @property
    def is_waiting(self) -> bool:
        """True while what comes next is in a schema that is not known yet."""
        return self.unknown_id is not None and not framing.is_known(self.unknown_id)

    def put_back(self, records: list[Message], schema_id: int) -> None:
        """Put records back to come next, once the schema of the first of them is known."""
        self.pending = records + self.pending
        self.pending_bytes += sum(map(len, records))
        self.unknown_id = schema_id

    def forget_pending(self) -> None:
        """Drop what is pending, to be fetched again."""
        if self.pending:
            self.next_fetch = _offset(self.pending[0])
        self.pending, self.pending_bytes = [], 0

    def add(self, records: list[Message]) -> None:
        """Add records that come next."""
        self.pending += records
        self.pending_bytes += sum(map(len, records))
        self.next_fetch = (records[-1].offset() or 0) + 1

    def take(self, room: int, stop: int | None = None) -> list[Message]:
        """Take the next records before ``stop``: at most ``room``, and about a batch's bytes."""
        if not self.pending or self.is_waiting:
            return []
        mean_bytes = max(1, self.pending_bytes // len(self.pending))
        room = min(room, max(1, _MAX_BATCH_BYTES // mean_bytes), self.count_before(stop))
        taken, self.pending = self.pending[:room], self.pending[room:]
        if taken:  # none where the stop is reached
            self.taken_ms = taken[-1].timestamp()[1]
        self.pending_bytes = (
            self.pending_bytes * len(self.pending) // (len(self.pending) + len(taken))
        )
        return taken

    def count_before(self, stop: int | None) -> int:
        """Return how many records wait that come before ``stop``."""
        if stop is None or self.next_fetch <= stop:
            return len(self.pending)
        return bisect_left(self.pending, stop, key=_offset)


class BatchPreparer:
    """Prepares batches of records for the projector; counts the repeats among them."""

    def __init__(self, projection: Projection) -> None:
        self.repeats = 0
        self._projection = projection
        FORGED_RECORDS.labels(projection.settings.topics.user_events.name)  # is 0 from the start
        self._schemas = WriterSchemas(projection.settings.schema_registry)
        self._log = structlog.stdlib.get_logger("rollcall.processor")

    def prepare(
        self, feeds: Iterable[PartitionFeed], room: int, stops: dict[int, int] | None = None
    ) -> list[PreparedBatch]:
        """Prepare a transaction: at most ``room`` records of these feeds, the first ones first.

        ``stops`` are the offsets, by partition, from which on nothing is taken.
        """
        begin_s = time.monotonic()
        batches: list[PreparedBatch] = []
        steps = 0
        for feed in feeds:
            stop = stops[feed.state.partition] if stops else None
            if records := self._decodable(feed, feed.take(room, stop)):
                batches.append(self._prepare(feed, records, steps))
                steps += len(batches[-1].steps)
                room -= len(records)
            if room <= 0:
                break
        if batches:
            BATCH_SECONDS.labels("prepare").observe(time.monotonic() - begin_s)
        return batches

    def _decodable(self, feed: PartitionFeed, records: list[Message]) -> list[Message]:
        """Return the records before the first in an unknown schema; there the partition waits."""
        unknown = self._schemas.unknown(record.value() for record in records)
        if not unknown:
            return records
        schema_id, first = min(unknown.items(), key=lambda item: item[1])
        feed.put_back(records[first:], schema_id)
        self._schemas.want(unknown, feed.state.partition)
        self._log.warning(
            "partition waits for a schema",
            partition=feed.state.partition,
            schema_id=schema_id,
            next_offset=_offset(records[first]),
        )
        return records[:first]

    def close(self) -> None:
        """Wait for schemas no more."""
        self._schemas.stop()

    def _prepare(
        self, feed: PartitionFeed, records: list[Message], first_step: int
    ) -> PreparedBatch:
        prepared, repeats = prepare_batch(
            self._projection, feed.state, records, first_step=first_step
        )
        self.repeats += repeats
        feed.state = prepared.after
        return prepared


def _offset(record: Message) -> int:
    return record.offset() or 0
