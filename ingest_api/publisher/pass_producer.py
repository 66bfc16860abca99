"""Appends one pass of a job to `user-events`, whole or not at all in effect.

To every partition goes ``JobOpened``, then each row, all acknowledged; then to
every partition ``JobSealed``, all acknowledged.
A pass that is in doubt is no pass: its producer is thrown away and the whole
pass is made again, for the projection knows what it has had already.
A producer that failed is never used again, because what an idempotent producer
does after a gap in its sequence depends on what it does not know.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException

from ingest_api.errors import PassFailedError, UnfitJobError
from ingest_api.publisher.encode_pass import FilePass
from schemas.clients.kafka import make_producer
from schemas.clients.kafka_statistics import statistics
from schemas.codec.codec import encode
from schemas.events import JobOpened, JobSealed
from schemas.log.digests import digest_headers
from schemas.runtime.tracing import TRACES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from confluent_kafka import Message

    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.parsing.decode import Readable
    from ingest_api.publisher.pace import Pace
    from schemas.log.digests import Keyring
    from schemas.log.topics import Topic

_BATCH_ROWS: Final = 50_000
_QUEUE_ROWS: Final = 400_000
_QUEUE_KIB: Final = 1 << 20
"""Never reached: blocks are what bounds the memory of the queue."""
_BLOCKS_UNDER_WAY: Final = 8
_WAIT_S: Final = 0.005
_MESSAGE_TIMEOUT_S: Final = 120


class PassProducer:
    """Makes passes, one at a time; its connection is kept from one whole pass to the next."""

    def __init__(
        self, kafka: Mapping[str, str], topic: Topic, pace: Pace, keyring: Keyring | None = None
    ) -> None:
        """``keyring`` signs the brackets; a row counts within its brackets alone."""
        self._topic = topic
        self._pace = pace
        self._keyring = keyring
        # Not compressed unless ROLLCALL_KAFKA_COMPRESSION_TYPE says so: publisher, broker
        # and processor each save a seventh of their time, and the log is larger.
        self._kafka = {"batch.size": str(1 << 20), **kafka}
        self._properties: dict[str, Any] = {
            "linger.ms": 1,
            "message.timeout.ms": _MESSAGE_TIMEOUT_S * 1000,
            "queue.buffering.max.messages": _QUEUE_ROWS,
            "queue.buffering.max.kbytes": _QUEUE_KIB,
            # A callback a row would cost more than sending it; what fails is reported all the same.
            "delivery.report.only.error": True,
        }
        self._delivery: _Delivery | None = None

    def warm(self) -> None:
        """Connect before the first job is there, which is then published without delay."""
        if self._delivery is None:
            self._delivery = _Delivery(self._kafka, self._topic.name, self._properties)

    def poll(self) -> None:
        """Take what the producer has to report; call it also while there is nothing to publish."""
        if self._delivery is not None:
            self._delivery.poll()

    def discard(self) -> None:
        """Discard the producer, with all that it has not sent."""
        if self._delivery is not None:
            self._delivery.discard()
            self._delivery = None

    def publish(self, job: LedgerJob, file: Readable, checkpoint: Callable[[], None]) -> int:
        """Make one whole pass; return the number of its rows, all acknowledged and sealed.

        ``checkpoint`` is called every few milliseconds, and ends the pass by raising.

        Raises:
            PassFailedError: something was not acknowledged.
            UnfitJobError, FileFault: the file is not what was accepted.
        """
        with self._discarding() as delivery:
            return self._publish(delivery, job, file, checkpoint)

    def abandon(self, job: LedgerJob, checkpoint: Callable[[], None]) -> int:
        """End a job that failed in every partition, opened there or not; return 0 rows.

        Raises:
            PassFailedError: something was not acknowledged.
        """
        seal = JobSealed(job_id=job.accepted.job_id, rows=0, digest=0, is_abandoned=True)
        with self._discarding() as delivery:
            self._queue_to_each(delivery, job, [_opened(job)] * self._topic.partitions)
            self._queue_to_each(delivery, job, [encode(seal)] * self._topic.partitions)
            delivery.flush(checkpoint)
        return 0

    @contextlib.contextmanager
    def _discarding(self) -> Generator[_Delivery]:
        """Yield the producer, and discard it on any error."""
        self.warm()
        assert self._delivery is not None, "it has been made"
        try:
            yield self._delivery
        except BaseException:
            self.discard()
            raise

    def _queue_to_each(self, delivery: _Delivery, job: LedgerJob, values: list[bytes]) -> None:
        key, trace = str(job.accepted.job_id).encode(), TRACES.headers()
        for partition, value in enumerate(values):
            digest = digest_headers(self._keyring, self._topic.name, key, value)
            delivery.queue_one(partition, key, value, [*digest, *trace])

    def _publish(
        self, delivery: _Delivery, job: LedgerJob, file: Readable, checkpoint: Callable[[], None]
    ) -> int:
        partitions = self._topic.partitions
        file_pass = FilePass(file, job.accepted, partitions)
        self._queue_to_each(delivery, job, [_opened(job)] * partitions)
        for values in file_pass.blocks():
            for partition, (keys, some) in values.items():
                self._pace.wait(len(keys), delivery.under_way, checkpoint)
                delivery.queue(partition, keys, some, checkpoint)
            delivery.limit_blocks(checkpoint)
        if sum(file_pass.rows) != job.accepted.lines:
            raise UnfitJobError(
                f"the file gives {sum(file_pass.rows)} lines, {job.accepted.lines} were accepted"
            )
        # A seal that overtakes a row of another partition would be no harm there, but a
        # pass that failed must never look whole.
        delivery.flush(checkpoint)
        seals = zip(file_pass.rows, file_pass.digests, strict=True)
        self._queue_to_each(delivery, job, [_sealed(job, *seal) for seal in seals])
        delivery.flush(checkpoint)
        return sum(file_pass.rows)


def _opened(job: LedgerJob) -> bytes:
    accepted = job.accepted
    return encode(
        JobOpened(
            job_id=accepted.job_id,
            previous_job_id=job.previous_job_id,
            mode=accepted.mode,
            lines=accepted.lines,
            file_name=accepted.file_name,
            sha256=accepted.sha256,
            accepted_at=accepted.accepted_at,
            accepted_by=accepted.accepted_by,
            fills=accepted.fills,
            keeps_opt_outs=accepted.opt_ins == "keep",
        )
    )


def _sealed(job: LedgerJob, rows: int, digest: int) -> bytes:
    return encode(JobSealed(job_id=job.accepted.job_id, rows=rows, digest=digest))


class _Delivery:
    """A producer that remembers the first failed delivery."""

    def __init__(self, kafka: Mapping[str, str], topic: str, properties: dict[str, Any]) -> None:
        self._topic = topic
        self._failure: KafkaError | None = None
        self._queued = 0
        self._queued_by_block: deque[int] = deque()
        reports = statistics("publisher") | {"on_delivery": self._failed}
        self._producer = make_producer(kafka, properties | reports)

    def _failed(self, error: KafkaError | None, _message: Message) -> None:
        self._failure = self._failure or error

    def queue_one(self, partition: int, key: bytes, value: bytes, headers: Any) -> None:
        """Queue one record, with headers."""
        try:
            # produce_batch drops headers (confluent-kafka-python, issue 2320).
            self._producer.produce(self._topic, value, key, partition, headers=headers)
        except (KafkaException, BufferError) as error:
            raise PassFailedError(str(error)) from error
        self._queued += 1

    def queue(
        self,
        partition: int,
        keys: list[bytes],
        values: list[bytes],
        checkpoint: Callable[[], None],
    ) -> None:
        """Queue records to one partition, in order; wait while too many are under way."""
        for start in range(0, len(keys), _BATCH_ROWS):
            end = start + _BATCH_ROWS
            rows = zip(keys[start:end], values[start:end], strict=True)
            messages = [{"key": key, "value": value} for key, value in rows]
            # produce_batch takes some and leaves others where the queue is full,
            # and so breaks the order within a partition: it must never meet that.
            self._wait(_QUEUE_ROWS - 2 * _BATCH_ROWS, checkpoint)
            self._queue(partition, messages)

    def _queue(self, partition: int, messages: list[dict[str, Any]]) -> None:
        try:
            # Of all ways to name a partition it heeds this argument only.
            queued = self._producer.produce_batch(self._topic, messages, partition=partition)
        except (KafkaException, BufferError) as error:
            raise PassFailedError(str(error)) from error
        if queued != len(messages):
            errors = {message["_error"].code() for message in messages if "_error" in message}
            if KafkaError.MSG_SIZE_TOO_LARGE in errors:
                raise UnfitJobError("one of its rows is larger than a record may be")
            raise PassFailedError(f"{len(messages) - queued} rows were not queued")
        self._queued += queued

    def limit_blocks(self, checkpoint: Callable[[], None]) -> None:
        """End a block; wait until only the last few are under way, which bounds the memory."""
        self._queued_by_block.append(self._queued)
        if len(self._queued_by_block) > _BLOCKS_UNDER_WAY:
            self._wait(self._queued - self._queued_by_block.popleft(), checkpoint)
        else:
            self._wait(_QUEUE_ROWS, checkpoint)

    def under_way(self) -> int:
        """Return how many records are queued and not acknowledged.

        Raises:
            PassFailedError: one of them will never be.
        """
        self._producer.poll(0)
        self._check()
        return len(self._producer)

    def flush(self, checkpoint: Callable[[], None]) -> None:
        """Wait until all that was queued is acknowledged.

        Raises:
            PassFailedError: some of it will never be.
        """
        while self._producer.flush(_WAIT_S):
            checkpoint()
            self._check()
        self._check()
        self._queued_by_block.clear()

    def _wait(self, most: int, checkpoint: Callable[[], None]) -> None:
        """Wait until at most so many records are under way."""
        checkpoint()
        while self.under_way() > most:
            self._producer.poll(_WAIT_S)
            checkpoint()

    def _check(self) -> None:
        if self._failure is not None:
            raise PassFailedError(self._failure.str())

    def poll(self) -> None:
        """Serve the producer's callbacks."""
        self._producer.poll(0)

    def discard(self) -> None:
        """Forget what has not been sent; what was may still arrive, and is skipped there."""
        self._producer.purge()
        self._producer.poll(0)
