"""Copies records between topics: reads a partition in order, writes with the records' own times."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaException

from deploy.log_migration import MoveFailedError
from schemas.clients.errors import KafkaUnreachableError, RecordsGoneError
from schemas.clients.event_schemas import EventSchemas
from schemas.clients.kafka import make_producer
from schemas.clients.ranges import Range, RangeReader
from schemas.clients.unreadable import UnreadableBatch
from schemas.codec.codec import UndecodableError
from schemas.codec.framing import unknown_ids
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.log.digests import HEADER, digest_headers
from schemas.log.record_headers import headers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from confluent_kafka import KafkaError, Message

    from schemas.config.settings import Settings
    from schemas.log.digests import Keyring
    from schemas.log.topics import Topic

_BATCH: Final = 5_000
"""Records; a move may hold one batch of each partition in memory, decoded."""
_POLL_S: Final = 0.2
_FLUSH_S: Final = 120.0
_QUEUED: Final = 200_000
_EVERY: Final = 1000
_MAX_BYTES: Final = 64 << 20
FIRST_MS: Final = 1
"""The time of a record that has none."""
_READING: Final = {"queued.max.messages.kbytes": 16_384}

Headers = list[tuple[str, str | bytes | None]]


@dataclass(frozen=True, slots=True)
class CopiedRecord:
    """A Kafka record read from one log, or to be written to the next."""

    record_key: bytes | None
    record_value: bytes | None
    record_offset: int
    timestamp_ms: int
    record_headers: Headers = field(default_factory=list[tuple[str, "str | bytes | None"]])

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

    def headers(self) -> Headers:
        """Return its headers."""
        return self.record_headers

    def __len__(self) -> int:
        return len(self.record_value or b"")


def is_signed(record: CopiedRecord, keyring: Keyring | None, topic: str) -> bool:
    """Return whether the record has a right digest in this topic."""
    headers = record.headers()
    return (
        bool(headers)
        and keyring is not None
        and keyring.is_right(topic, record.key(), record.value(), headers)
    )


def signed(record: CopiedRecord, keyring: Keyring | None, topic: str) -> CopiedRecord:
    """Return the record with a digest for this topic, and no other; with none where no key is."""
    headers = [header for header in record.headers() if header[0] != HEADER]
    headers += digest_headers(keyring, topic, record.key(), record.value())
    return replace(record, record_headers=headers)


def read_records(
    settings: Settings, topic: str, partition: int, begin: int, end: int
) -> Iterator[list[CopiedRecord]]:
    """Yield the records of a partition between two offsets, in batches; block for them.

    Offsets without records are left out: markers and aborted records of transactions, and batches
    that nobody can decompress.
    The schemas of a yielded batch are known, so that its values can be decoded.

    Raises:
        MoveFailedError: Kafka delivered none for a minute, or a schema cannot be fetched.
    """
    schemas = EventSchemas(settings.schema_registry)
    log_range = Range(topic, partition, begin, end)
    try:
        with RangeReader(settings.kafka, "log-move", _READING) as reader:
            for messages in reader.batches(log_range, at_once=_BATCH):
                found = (each for each in messages if not isinstance(each, UnreadableBatch))
                if records := [_copied(message) for message in found]:
                    _learn(schemas, records)
                    yield records
    except (KafkaUnreachableError, RecordsGoneError) as error:
        raise MoveFailedError(str(error)) from error


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


def _copied(message: Message) -> CopiedRecord:
    # Who writes 0 gets the present time from librdkafka.
    time_ms = max(FIRST_MS, message.timestamp()[1])
    return CopiedRecord(
        message.key(), message.value(), message.offset() or 0, time_ms, list(headers_of(message))
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
                headers=record.headers(),
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
