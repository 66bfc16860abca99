"""The consumer group's loop: polls, and hands prepared batches to the projector.

Kafka's committed offset tells the publisher, and whoever watches the lag, how
far the tables are, nothing else.  Where to go on from is what the claim
returned, so a partition is read only between a claim and the next loss:
records of any other time are dropped here, late ones of a revoked partition
and early ones of an unclaimed one alike.

A partition's life::

    assigned → claiming → held (seek, resume) → … → lost → (a pause) → claiming
                                                  └ revoked → gone

The pause after a loss is longer than a heartbeat: a worker that was frozen
learns from the group that its partitions went to another one before it claims
them back.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import structlog
from confluent_kafka import KafkaException, TopicPartition

from processor.kafka.log_bounds import check_log_holds, raise_if_gone
from processor.pipeline.partition_feed import BatchPreparer, PartitionFeed
from processor.pipeline.projector_thread import Broken, Claim, Claimed, Lost, Project, Projected
from processor.runtime.metrics import LAG_RECORDS, LAG_SECONDS, LOST_PARTITIONS
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.kafka import LONGEST_POLL_S, MEMBER, make_consumer
from schemas.clients.kafka_statistics import statistics
from schemas.clients.unreadable import UnreadableBatch, UnreadableBatches

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Consumer, Message

    from processor.decoding.accept_rule import PartitionState
    from processor.pipeline.projector_thread import Outcome, Projector
    from schemas.config.settings import Settings

_MAX_PENDING: Final = 40_000
"""Records read ahead, over all partitions; about 30 MB for ordinary rows."""
_MAX_PENDING_BYTES: Final = 64 << 20
_MAX_BATCH: Final = 10_000
_AFTER_LOSS_S: Final = 1.5
_COMMIT_EVERY_S: Final = 0.2
_COMMIT_AGAIN_S: Final = 10.0
_LOOK_EVERY_S: Final = 2.0
_MUST_POLL_S: Final = LONGEST_POLL_S / 4
_PROPERTIES: Final[dict[str, Any]] = MEMBER | {
    # So long a partition that was given or resumed may wait for its first records.
    "fetch.wait.max.ms": 250,
    "queued.max.messages.kbytes": 32_768,
}


class GroupConsumer:
    """Feeds the projector until told to stop."""

    def __init__(self, settings: Settings, projector: Projector) -> None:
        self._settings = settings
        self._topic = settings.topics.user_events.name
        self._projector = projector
        self._consumer = make_consumer(
            settings.kafka, settings.group, _PROPERTIES | statistics("processor")
        )
        self._unreadable = UnreadableBatches(settings.kafka, self._consumer)
        self._paused: set[int] = set()
        self._held: dict[int, PartitionFeed] = {}
        self._claim_after: dict[int, float] = {}
        self._claiming: set[int] = set()
        self._applied: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._preparer = BatchPreparer(projector.projection)
        self._last_commit = self._last_poll = self._last_look = time.monotonic()
        self._last_lag = 0.0
        self._log = structlog.stdlib.get_logger("rollcall.processor")

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Consume until ``should_stop``.

        Raises:
            RefusedToStartError: the log no longer holds what comes next.
            Exception: what the projector found to be permanent.
        """
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )
        try:
            while not should_stop():
                self._turn()
        finally:
            self._preparer.close()
            self._unreadable.close()
            self._consumer.close()

    def _turn(self) -> None:
        for outcome in self._outcomes(0.0):
            self._act_on(outcome)
        self._claim_due()
        self._read_on_where_known()
        self._hand_over()
        self._commit_offsets()
        self._note_lag(time.monotonic())
        if self._has_room():
            self._poll()
        elif time.monotonic() - self._last_poll > _MUST_POLL_S:
            self._poll_paused()
        else:
            for outcome in self._outcomes(0.05):
                self._act_on(outcome)

    def _poll(self) -> None:
        """Wait for a first record, then take what else is there: low latency, large batches."""
        is_busy = self._projector.tasks.full()
        first = self._consumer.poll(0.005 if is_busy else 0.05)
        self._last_poll = time.monotonic()
        if first is not None:
            self._take([first, *self._consumer.consume(_MAX_BATCH, 0.005)])

    def _poll_paused(self) -> None:
        """Postgres is slow: keep the membership without taking more records."""
        paused = [self._at(partition) for partition in self._held]
        self._consumer.pause(paused)
        late = self._consumer.poll(0)
        self._consumer.resume([self._at(p) for p in self._held if p not in self._paused])
        self._last_poll = time.monotonic()
        if late is not None:
            self._take([late])

    def _take(self, messages: list[Message]) -> None:
        by_partition: defaultdict[int, list[Message]] = defaultdict(list)
        for message in messages:
            error = message.error()
            if error is None:
                by_partition[message.partition() or 0].append(message)
                continue
            raise_if_gone(error, message)
            self._log.warning("kafka", reason=error.str())
            found = self._unreadable.stepped_over(message)
            if found.error() is None:
                by_partition[found.partition() or 0].append(found)
        for partition, records in by_partition.items():
            if (held := self._held.get(partition)) and partition not in self._paused:
                self._append(partition, held, records)

    def _append(self, partition: int, held: PartitionFeed, records: list[Message]) -> None:
        """Add the records that come next; what is not next was fetched for another position."""
        offsets = [record.offset() or 0 for record in records]
        if offsets[0] == held.next_fetch and offsets[-1] - offsets[0] == len(offsets) - 1:
            held.add(records)
            return
        for record, offset in zip(records, offsets, strict=True):
            is_known = isinstance(record, UnreadableBatch) and record.first <= held.next_fetch
            if offset > held.next_fetch and held.hole_at != held.next_fetch and not is_known:
                held.hole_at = held.next_fetch
                self._seek_again(partition, held.next_fetch)
                return
            if offset >= held.next_fetch:
                if offset > held.next_fetch:
                    # Fetched twice from the same position with the same answer: these
                    # offsets hold no records (aborted or marker records of transactions).
                    self._log.warning(
                        "offsets without records", partition=partition, first=held.next_fetch,
                        next=offset,
                    )  # fmt: skip
                held.add([record])

    def _seek_again(self, partition: int, offset: int) -> None:
        self._unreadable.read_anew(self._topic, partition)
        try:
            self._consumer.seek(self._at(partition, offset))
        except KafkaException as error:
            self._lose([partition], error)

    def _hand_over(self) -> None:
        """Give the projector what is pending, if it has no task waiting."""
        if self._projector.tasks.full() or not self._pending():
            return
        batches = self._preparer.prepare(self._held.values(), _MAX_BATCH)
        for batch in batches:  # the next turn is the others', however much has come of these
            self._held[batch.after.partition] = self._held.pop(batch.after.partition)
        self._pause_waiting()
        if batches:
            self._projector.tasks.put(Project(batches))

    def _pause_waiting(self) -> None:
        """Let a partition that waits for a schema give up what was read ahead, for others."""
        for partition, held in self._held.items():
            if held.is_waiting and partition not in self._paused:
                self._paused.add(partition)
                self._consumer.pause([self._at(partition)])
                held.forget_pending()

    def _read_on_where_known(self) -> None:
        for partition in list(self._paused):
            held = self._held.get(partition)
            if held is None:
                self._paused.discard(partition)
            elif not held.is_waiting:
                self._paused.discard(partition)
                self._seek_again(partition, held.next_fetch)
                if partition in self._held:
                    self._consumer.resume([self._at(partition)])

    def _outcomes(self, timeout_s: float) -> list[Outcome]:
        try:
            return [self._projector.outcomes.get(timeout=timeout_s or None, block=timeout_s > 0)]
        except queue.Empty:
            return []

    def _act_on(self, outcome: Outcome) -> None:
        match outcome:
            case Claimed(states):
                self._hold(states)
            case Projected(next_offsets):
                # Not of a partition that was revoked: another member tells Kafka of it now.
                self._applied |= {p: at for p, at in next_offsets.items() if p in self._held}
            case Lost(partitions, reason):
                self._lose(partitions, reason)
            case Broken(error):
                raise error

    def _hold(self, states: dict[int, PartitionState]) -> None:
        """Read on from where the claim says; a partition revoked meanwhile stays out."""
        for partition, state in states.items():
            if partition not in self._claiming:
                continue
            self._claiming.discard(partition)
            self._unreadable.read_anew(self._topic, partition)
            self._applied[partition] = state.next_offset
            try:
                needed = range(state.next_offset, state.next_offset)
                check_log_holds(self._consumer, self._topic, partition, needed)
                self._consumer.seek(self._at(partition, state.next_offset))
                self._consumer.resume([self._at(partition)])
            except (KafkaException, KafkaUnreachableError) as error:
                self._log.warning("cannot seek yet", partition=partition, reason=str(error))
                self._claim_after[partition] = time.monotonic() + _AFTER_LOSS_S
                continue
            self._held[partition] = PartitionFeed(state=state, next_fetch=state.next_offset)

    def _lose(self, partitions: list[int], reason: BaseException) -> None:
        self._log.warning(
            "partitions lost", partitions=partitions, reason=f"{type(reason).__name__}: {reason}"
        )
        again = time.monotonic() + _AFTER_LOSS_S
        LOST_PARTITIONS.inc(len(partitions))
        for partition in partitions:
            self._forget_lag(partition)
            was_ours = self._held.pop(partition, None) or partition in self._claiming
            self._claiming.discard(partition)
            if was_ours:
                self._consumer.pause([self._at(partition)])
                self._claim_after[partition] = again

    def _claim_due(self) -> None:
        now = time.monotonic()
        due = sorted(p for p, after in self._claim_after.items() if after <= now)
        # Without a batch nothing else would tell an idle worker of a switch.
        looks = now - self._last_look > _LOOK_EVERY_S
        if (due or looks) and not self._projector.tasks.full():
            self._projector.tasks.put(Claim(due))
            self._last_look = now
            for partition in due:
                del self._claim_after[partition]
            self._claiming.update(due)

    def _assigned(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        # Paused until the claim says where to go on from. The offset is a number, not
        # OFFSET_END: that would be looked up, and the answer could come after the seek
        # and override it (librdkafka 2.16: seeks within 10 ms of such an assign are lost).
        parts = [self._at(part.partition, 0) for part in assigned]
        consumer.incremental_assign(parts)
        consumer.pause(parts)
        now = time.monotonic()
        self._claim_after |= dict.fromkeys((part.partition for part in assigned), now)
        self._log.info("partitions assigned", partitions=[part.partition for part in assigned])

    def _revoked(self, _consumer: Consumer, revoked: list[TopicPartition]) -> None:
        for part in revoked:
            self._held.pop(part.partition, None)
            self._claim_after.pop(part.partition, None)
            self._forget_lag(part.partition)
            self._claiming.discard(part.partition)
        self._log.info("partitions revoked", partitions=[part.partition for part in revoked])

    def _commit_offsets(self) -> None:
        """Tell Kafka how far the tables are, whoever moved them; never read back.

        The publisher waits for it where a job is overdue, so what Kafka may have lost comes again.
        """
        now = time.monotonic()
        is_news = self._applied != self._committed
        pause_s = _COMMIT_EVERY_S if is_news else _COMMIT_AGAIN_S
        if not self._applied or now - self._last_commit < pause_s:
            return
        if self._preparer.repeats:
            self._log.info("repeats skipped", records=self._preparer.repeats)
            self._preparer.repeats = 0
        self._committed = dict(self._applied)
        offsets = [self._at(p, offset) for p, offset in self._committed.items()]
        self._last_commit = now
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self._log.warning("offsets not committed to Kafka", reason=str(error))

    def _note_lag(self, now_s: float) -> None:
        """Set the lag of each partition held: records not applied yet, and the age of the next."""
        if now_s - self._last_lag < _COMMIT_EVERY_S:
            return
        self._last_lag = now_s
        for partition, held in self._held.items():
            _, end = self._consumer.get_watermark_offsets(self._at(partition), cached=True)
            waiting = max(0, end - self._applied[partition])
            LAG_RECORDS.labels(partition).set(waiting)
            next_ms = held.pending[0].timestamp()[1] if held.pending else held.taken_ms
            age_s = time.time() - next_ms / 1000 if waiting and next_ms else 0.0
            LAG_SECONDS.labels(partition).set(max(0.0, age_s))

    def _forget_lag(self, partition: int) -> None:
        """Leave the lag of a partition to whoever has it now."""
        self._applied.pop(partition, None)
        for gauge in (LAG_RECORDS, LAG_SECONDS):
            with contextlib.suppress(KeyError):
                gauge.remove(partition)

    def _has_room(self) -> bool:
        pending_bytes = sum(held.pending_bytes for held in self._held.values())
        return self._pending() < _MAX_PENDING and pending_bytes < _MAX_PENDING_BYTES

    def _pending(self) -> int:
        return sum(len(held.pending) for held in self._held.values())

    def _at(self, partition: int, offset: int | None = None) -> TopicPartition:
        if offset is None:
            return TopicPartition(self._topic, partition)
        return TopicPartition(self._topic, partition, offset)
