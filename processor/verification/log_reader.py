"""Reads `user-events` for a verification, outside of every group, in flat memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from processor.errors import VerificationError
from schemas.clients.errors import RecordsGoneError
from schemas.clients.event_schemas import EventSchemas
from schemas.clients.ranges import Range, RangeReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka import Message

    from schemas.config.settings import Settings

_BATCH: Final = 20_000
_PROPERTIES: Final[dict[str, Any]] = {
    "fetch.queue.backoff.ms": 5,
    "queued.max.messages.kbytes": 32_768,
}


def log_bounds(settings: Settings, partitions: int) -> list[tuple[int, int]]:
    """Return the first offset and the end of each partition.

    Raises:
        KafkaUnreachableError: Kafka does not answer.
    """
    topic = settings.topics.user_events.name
    with RangeReader(settings.kafka, "verification") as reader:
        return [reader.bounds(topic, partition) for partition in range(partitions)]


def read_partition(settings: Settings, partition: int, end: int) -> Iterator[list[Message]]:
    """Yield the records of a partition up to ``end``, some thousand at a time.

    Raises:
        VerificationError: the log no longer begins at its first record.
        KafkaUnreachableError: Kafka does not answer.
        RegistryUnreachableError: a record is in a schema that cannot be had now.
    """
    schemas = EventSchemas(settings.schema_registry)
    log_range = Range(settings.topics.user_events.name, partition, 0, end)
    try:
        with RangeReader(settings.kafka, "verification", _PROPERTIES) as reader:
            for records in reader.batches(log_range, at_once=_BATCH):
                if settings.schema_registry is not None:
                    schemas.learn([record.value() for record in records])
                yield records
    except RecordsGoneError as error:
        raise VerificationError(f"{error}. Without them nothing can be proved.") from error
