"""Copies records between topics: reads a partition in order, writes with the records' own times."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from deploy.log_migration import MoveFailedError
from schemas.clients.event_schemas import EventSchemas
from schemas.clients.kafka import make_producer, make_reader
from schemas.codec.codec import UndecodableError
from schemas.codec.framing import unknown_ids
from schemas.codec.registry_protocol import RegistryUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from confluent_kafka import Message

    from schemas.config.settings import Settings
    from schemas.log.topics import Topic

_BATCH: Final = 5_000
"""Records; a move may hold one batch of each partition in memory, decoded."""
_QUIET_S: Final = 60.0
_POLL_S: Final = 0.2
_FLUSH_S: Final = 120.0
_QUEUED: Final = 200_000
_EVERY: Final = 1000
_MAX_BYTES: Final = 64 << 20
_READING: Final[dict[str, Any]] = {
    "enable.partition.eof": True,
    "queued.max.messages.kbytes": 16_384,
}

Headers = list[tuple[str, str | bytes | None]]


@dataclass(frozen=True, slots=True)
class CopiedRecord:
    """A Kafka record read from one log, or to be written to the next."""

    record_key: bytes | None
    record_value: bytes | None
    record_offset: int
    timestamp_ms: int
    headers: Headers

    def key(self) -> bytes | None:
        """Return its key."""
        return self.record_key

    def value(self) -> bytes | None:
        """Return its value."""
        return self.record_value

    def offset(self) -> int:
        """Return its offset in its partition."""
        return self.record_offset

    def timestamp(self) -> tuple[int, int]:
        """Return kind and milliseconds, as a Kafka message does; the kind means nothing here."""
        return 1, self.timestamp_ms

    def __len__(self) -> int:
        return len(self.record_value or b"")


def read_records(
    settings: Settings, topic: str, partition: int, begin: int, end: int
) -> Iterator[list[CopiedRecord]]:
    """Yield the records of a partition between two offsets, in batches; block for them.

    Offsets without records (markers and aborted records of transactions) are left out.
    The schemas of a yielded batch are known, so that its values can be decoded.

    Raises:
        MoveFailedError: Kafka delivered none for a minute, or a schema cannot be fetched.
    """
    schemas = EventSchemas(settings.schema_registry)
    consumer = make_reader(settings.kafka, "log-move", _READING)
    try:
        consumer.assign([TopicPartition(topic, partition, begin)])
        quiet_until_s = time.monotonic() + _QUIET_S
        while begin < end:
            messages = consumer.consume(min(_BATCH, end - begin), _POLL_S)
            records, reached = _copied_records(messages, end)
            if reached > begin:
                begin = reached
                quiet_until_s = time.monotonic() + _QUIET_S
            if records:
                _learn(schemas, records)
                yield records
                # The time that the caller spent on the batch is no silence of Kafka's.
                quiet_until_s = time.monotonic() + _QUIET_S
            if time.monotonic() > quiet_until_s:
                raise MoveFailedError(
                    f"{topic}, partition {partition} stands at offset {begin} of {end}: a"
                    " transaction of another producer hangs there, or Kafka doesn't answer"
                )
    finally:
        consumer.close()


def _learn(schemas: EventSchemas, records: Sequence[CopiedRecord]) -> None:
    if not schemas.has_registry:
        return  # to the projection they are no events either
    for at in unknown_ids(record.value() for record in records).values():
        try:
            schemas.decode(records[at].value())
        except UndecodableError:
            continue  # it has a known schema, and is none of its values
        except RegistryUnreachableError as error:
            raise MoveFailedError(str(error)) from error


def _copied_records(messages: Sequence[Message], end: int) -> tuple[list[CopiedRecord], int]:
    """Return the records before the end, and the next offset."""
    records: list[CopiedRecord] = []
    reached = 0
    for message in messages:
        error, offset = message.error(), message.offset() or 0
        if error is None:
            reached = offset + 1
            if offset < end:
                records.append(_copied(message))
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            reached = max(reached, offset)
        elif error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:  # noqa: SLF001
            raise MoveFailedError(f"{message.topic()}: {error.str()}")
    return records, reached


def _copied(message: Message) -> CopiedRecord:
    headers: Any = message.headers() or []
    return CopiedRecord(
        message.key(), message.value(), message.offset() or 0, message.timestamp()[1], list(headers)
    )


class RecordWriter:
    """Appends records to a topic, in order by partition, each once.

    After an error it is never used again: the whole copy is made anew.
    """

    def __init__(self, kafka: Mapping[str, str], topic: Topic) -> None:
        self._topic = topic.name
        self._failures: list[str] = []
        self._queued = 0
        self._producer = make_producer(
            {"batch.size": str(1 << 20), "message.max.bytes": str(_MAX_BYTES), **kafka},
            {
                "linger.ms": 20,
                "message.timeout.ms": int(_FLUSH_S * 1000),
                "queue.buffering.max.messages": _QUEUED,
                "delivery.report.only.error": True,
                "on_delivery": self._note,
            },
        )

    def _note(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failures.append(error.str())

    def write(self, partition: int, records: Sequence[CopiedRecord]) -> None:
        """Queue these records; block while too many are in flight."""
        for record in records:
            while True:
                try:
                    self._produce(partition, record)
                    break
                except BufferError:
                    self._producer.poll(_POLL_S)
            self._queued += 1
            if self._queued % _EVERY == 0:
                self._producer.poll(0)
        self._check()

    def _produce(self, partition: int, record: CopiedRecord) -> None:
        try:
            self._producer.produce(
                self._topic,
                record.record_value,
                record.record_key,
                partition,
                timestamp=record.timestamp_ms,
                headers=record.headers,
            )
        except KafkaException as error:
            raise MoveFailedError(f"{self._topic}: {error}") from error

    def flush(self) -> None:
        """Wait until all records are acknowledged.

        Raises:
            MoveFailedError: some are not.
        """
        left = self._producer.flush(_FLUSH_S)
        self._check()
        if left:
            raise MoveFailedError(f"{self._topic}: Kafka does not acknowledge {left} records")

    def _check(self) -> None:
        if self._failures:
            raise MoveFailedError(f"{self._topic}: {self._failures[0]}")
