"""Projects ``user-events`` into the tables of one schema up to given offsets, and not past them.

A replay is a worker without a group: it claims its partitions as a worker does,
so it is fenced, and after any death it goes on from where its tables are.
It reads what it has claimed by assignment, so nobody else loses a partition.

Decoding a batch overlaps with Postgres writing the one before
(:mod:`processor.pipeline.projector_thread`), and batches are large, because nobody waits for any
single one.  Where nothing has been projected yet, the empty tables' indexes are
taken away first: the rows of a log's first job then go in as a delsert's do.

Where the last offsets before a stop hold no records (markers and aborted
records of transactions), the end of the partition, or a record after the stop,
tells that there is nothing left; ``next_offset`` then moves to the stop.
"""

from __future__ import annotations

import queue
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg
import structlog
from psycopg import errors, sql

from processor.decoding.accept_rule import Indexed, indexed_names
from processor.decoding.batch import empty_batch
from processor.errors import PassedStopError, SupersededError
from processor.kafka.partition_reader import PartitionReader
from processor.kafka.row_reader import LogReader
from processor.pipeline.partition_feed import BatchPreparer, PartitionFeed
from processor.pipeline.projector_thread import (
    Broken,
    Claim,
    Claimed,
    Lost,
    Project,
    Projected,
    Projector,
)
from processor.projection.projection import PreparedBatch, Projection
from processor.projection.session import APPLICATION, ProjectionSession, connect, is_transient
from processor.tables.generations import Generations
from schemas.clients.backoff import Backoff, Pauses
from schemas.clients.errors import KafkaUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import Message

    from processor.decoding.accept_rule import PartitionState
    from processor.pipeline.projector_thread import Outcome
    from schemas.config.settings import Settings

_MAX_BATCH: Final = 30_000
_MAX_PENDING: Final = 90_000
"""Records read ahead, over all partitions; about 70 MB for ordinary rows."""
_MAX_PENDING_BYTES: Final = 48 << 20
_SCHEMA_PAUSE_S: Final = 0.05
_BACKOFF: Final = Backoff(first_s=0.2, longest_s=5.0)
_PROPERTIES: Final[dict[str, Any]] = {
    "queued.max.messages.kbytes": 32_768,
    "fetch.queue.backoff.ms": 5,
}
_SESSION_SETTINGS: Final = {"maintenance_work_mem": "512MB"}
_FILL_FIRST: LiteralString = """
UPDATE {schema}.projection_offset SET is_indexed = false
WHERE topic = %(topic)s AND partition = %(partition)s
  AND epoch = %(epoch)s AND next_offset = 0 AND is_indexed
RETURNING generation
"""


class Replay:
    """A replay of some partitions; it may go on to a later stop again and again."""

    def __init__(
        self,
        settings: Settings,
        schema: str,
        *,
        reverted: frozenset[int],
        is_silent: bool = True,
        partitions: Sequence[int] | None = None,
    ) -> None:
        """``partitions`` are all of them unless said otherwise; ``settings`` know how many."""
        count = settings.topics.user_events.partitions
        self._settings = settings
        self._topic = settings.topics.user_events.name
        self._partitions = list(range(count) if partitions is None else partitions)
        self._schema = schema
        self._reverted = reverted
        self._generations = Generations(schema, count)
        projection = Projection(
            settings,
            generations=self._generations,
            read_rows=LogReader(settings).read_rows,
            reverted=reverted,
            is_silent=is_silent,
        )
        self._preparer = BatchPreparer(projection)
        session = ProjectionSession(
            settings, schema, is_live=False, session_settings=_SESSION_SETTINGS
        )
        self._projector = Projector(session, projection)
        self._reader = self._make_reader()
        self._feeds: dict[int, PartitionFeed] = {}
        self._projected: dict[int, int] = {}
        self._stops: dict[int, int] = {}
        self._unanswered = 0
        self._pauses = Pauses(_BACKOFF)
        self._log = structlog.stdlib.get_logger("rollcall.replay").bind(schema=schema)
        self._projector.start()

    def close(self) -> None:
        """End the sessions; what was not committed is rolled back."""
        self._preparer.close()
        self._projector.stop()
        self._reader.close()

    def run(
        self,
        stop_at: Sequence[int],
        on_progress: Callable[[int], None],
        should_stop: Callable[[], bool],
    ) -> bool:
        """Project up to ``stop_at``, a ``next_offset`` for each partition of the topic.

        Blocks; waits out whatever of Kafka and Postgres passes.
        ``on_progress`` is told after each transaction how many offsets lie behind, over the
        partitions of this replay.  When it returns, every leaf that readers would see has
        its indexes.

        Returns:
            Whether it got there; else ``should_stop`` said so.

        Raises:
            SupersededError: another one has claimed a partition.
            PassedStopError: the tables are further than a stop already.
            RefusedToStartError: the log does not hold what comes next.
            DiskFull: Postgres has no room for more; nothing waits for it here.
            Exception: a permanent error of Postgres.
        """
        self._stops = {partition: stop_at[partition] for partition in self._partitions}
        self._check_stops()
        while not should_stop():
            if not self._feeds and not self._begin():
                self._pause()
                continue
            self._hand_over()
            self._read()
            self._take_outcomes(on_progress)
            if self._is_done():
                return True
        return False

    def _begin(self) -> bool:
        """Claim, and read from there; False where the surroundings are not fit for it yet."""
        try:
            states = self._claim()
            if states is None:
                return False
            for partition, state in states.items():
                needed = range(state.next_offset, max(state.next_offset, self._stops[partition]))
                self._reader.check_holds(partition, needed)
        except (KafkaUnreachableError, psycopg.Error) as error:
            if isinstance(error, psycopg.Error) and not _is_waited_out(error):
                raise
            self._log.warning("cannot begin yet", reason=str(error).strip())
            return False
        self._feeds = {p: PartitionFeed(state, state.next_offset) for p, state in states.items()}
        self._projected = {p: state.next_offset for p, state in states.items()}
        self._reader.ends.clear()
        self._check_stops()
        return True

    def _claim(self) -> dict[int, PartitionState] | None:
        self._projector.tasks.put(Claim(self._partitions))
        match self._projector.outcomes.get():
            case Claimed(states):
                return self._filled_first(states)
            case Lost(_, errors.DiskFull() as error):
                raise error
            case Lost(_, reason):
                self._log.warning("cannot claim yet", reason=str(reason).strip())
            case Broken(error):
                raise error
            case Projected():
                raise AssertionError("nothing was handed over")
        return None

    def _filled_first(self, states: dict[int, PartitionState]) -> dict[int, PartitionState]:
        """Take the indexes of untouched leaves away, until their rows are there."""
        untouched = [p for p, state in states.items() if not state.next_offset and state.is_indexed]
        if not untouched:
            return states
        statement = sql.SQL(_FILL_FIRST).format(schema=sql.Identifier(self._schema))
        with connect(self._settings, APPLICATION) as connection, connection.cursor() as cursor:
            for partition in untouched:
                parameters = {"topic": self._topic, "partition": partition}
                # Behind the claim and by its epoch: whoever wrote here before cannot any more.
                with connection.transaction():
                    cursor.execute(statement, parameters | {"epoch": states[partition].epoch})
                    if row := cursor.fetchone():
                        self._generations.unindex(cursor, row[0], partition)
                        states[partition] = replace(states[partition], is_indexed=False)
        return states

    def _check_stops(self) -> None:
        for partition, next_offset in self._projected.items():
            if next_offset > self._stops[partition]:
                raise PassedStopError(
                    f"schema {self._schema}, partition {partition}: projected up to "
                    f"{next_offset}, and it was to stop at {self._stops[partition]}"
                )

    def _hand_over(self) -> None:
        """Give the projector a batch, a full one while it is at work on another."""
        if self._projector.tasks.full():
            return
        waiting = {p: feed.count_before(self._stops[p]) for p, feed in self._feeds.items()}
        if self._unanswered and sum(waiting.values()) < _MAX_BATCH and self._unread():
            return
        longest_first = sorted(self._feeds.values(), key=lambda feed: -waiting[_partition_of(feed)])
        batches = self._preparer.prepare(longest_first, _MAX_BATCH, self._stops)
        batches = batches or [last for feed in longest_first if (last := self._last_batch(feed))]
        if batches:
            self._unanswered += 1
            self._projector.tasks.put(Project(batches))
        elif any(feed.is_waiting for feed in longest_first):
            time.sleep(_SCHEMA_PAUSE_S)

    def _last_batch(self, feed: PartitionFeed) -> PreparedBatch | None:
        """Return what a partition needs after its last record: next_offset at the stop, indexes."""
        state, partition = feed.state, feed.state.partition
        if not self._is_read(partition) or feed.count_before(self._stops[partition]):
            return None
        needs_index = self._needs_index(state)
        if state.next_offset == self._stops[partition] and not needs_index:
            return None
        after = replace(
            state,
            next_offset=self._stops[partition],
            is_indexed=state.is_indexed or needs_index,
        )
        steps = [Indexed(indexed_names(state.attributes))] if needs_index else []
        feed.state = after
        return PreparedBatch(
            batch=empty_batch(partition, after.next_offset), before=state, after=after, steps=steps
        )

    def _read(self) -> None:
        """Wait for a first record, then take what else is there."""
        unread = self._unread()
        self._reader.read_only(
            {partition: self._feeds[partition].next_fetch for partition in unread}
        )
        if unread and self._has_room():
            records, reports = self._reader.read(_MAX_BATCH, 0.005 if self._unanswered else 0.05)
            self._take(records)
            for reason in reports:
                self._log.warning("kafka", reason=reason)

    def _take(self, messages: list[Message]) -> None:
        partitions = [message.partition() for message in messages]
        by_partition: dict[int | None, list[Message]] = {each: [] for each in set(partitions)}
        for message, partition in zip(messages, partitions, strict=True):
            by_partition[partition].append(message)
        for partition, records in by_partition.items():
            self._feeds[partition or 0].add(records)

    def _make_reader(self) -> PartitionReader:
        return PartitionReader(self._settings.kafka, self._topic, "replay", _PROPERTIES)

    def _take_outcomes(self, on_progress: Callable[[int], None]) -> None:
        """Act on what the projector has done; waits for it where there is nothing else to do."""
        may_read = bool(self._unread()) and self._has_room()
        waits = bool(self._unanswered) and not may_read
        while self._unanswered and self._feeds:
            try:
                outcome = self._projector.outcomes.get(block=waits, timeout=0.05)
            except queue.Empty:
                return
            self._unanswered -= 1
            self._act_on(outcome, on_progress)
            waits = False

    def _act_on(self, outcome: Outcome, on_progress: Callable[[int], None]) -> None:
        match outcome:
            case Projected(next_offsets):
                self._projected |= next_offsets
                self._pauses.reset()
                on_progress(sum(self._projected.values()))
            case Lost(_, reason):
                self._lose(reason)
            case Broken(error):
                raise error
            case Claimed():
                raise AssertionError("claims are waited for where they are made")

    def _lose(self, reason: BaseException) -> None:
        """Forget all that was not committed; whatever else was handed over fails with it."""
        for _ in range(self._unanswered):
            self._projector.outcomes.get()
        self._unanswered = 0
        self._feeds = {}
        # A new one: no record that the old one has read ahead can follow the next claim.
        self._reader.close()
        self._reader = self._make_reader()
        if isinstance(reason, (SupersededError, errors.DiskFull)):
            raise reason
        self._log.warning("batch lost", reason=f"{type(reason).__name__}: {reason}")
        self._pause()

    def _pause(self) -> None:
        time.sleep(self._pauses.next_s())

    def _is_done(self) -> bool:
        return bool(self._feeds) and not self._unanswered and not self._rest()

    def _rest(self) -> bool:
        return any(
            self._projected[partition] != self._stops[partition] or self._needs_index(feed.state)
            for partition, feed in self._feeds.items()
        )

    def _needs_index(self, state: PartitionState) -> bool:
        """Return whether readers would see a leaf without indexes, which no delsert still fills."""
        is_filled = state.open_mode == "delsert" and state.open_job_id not in self._reverted
        return not state.is_indexed and not is_filled

    def _unread(self) -> set[int]:
        return {partition for partition in self._feeds if not self._is_read(partition)}

    def _is_read(self, partition: int) -> bool:
        """Return whether everything that comes before the stop was read."""
        reached = max(self._feeds[partition].next_fetch, self._reader.ends.get(partition, 0))
        return reached >= self._stops[partition]

    def _has_room(self) -> bool:
        feeds = self._feeds.values()
        return (
            sum(len(feed.pending) for feed in feeds) < _MAX_PENDING
            and sum(feed.pending_bytes for feed in feeds) < _MAX_PENDING_BYTES
        )


def _is_waited_out(error: psycopg.Error) -> bool:
    """Return whether it passes; a full disk doesn't, for the live tables need that room back."""
    return is_transient(error) and not isinstance(error, errors.DiskFull)


def _partition_of(feed: PartitionFeed) -> int:
    return feed.state.partition
