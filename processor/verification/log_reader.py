"""Reads `user-events` for a verification, outside of every group, in flat memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from processor.errors import VerificationError
from processor.kafka.schema_cache import WriterSchemas
from schemas.clients.kafka import make_reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka import Message

    from schemas.config.settings import Settings

_BATCH: Final = 20_000
_WAIT_S: Final = 0.2
_SILENT_S: Final = 60.0
_ADMIN_TIMEOUT_S: Final = 10.0
_LOST: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001 - its public name
_PROPERTIES: Final[dict[str, Any]] = {
    "enable.partition.eof": True,
    "fetch.error.backoff.ms": 50,
    "fetch.queue.backoff.ms": 5,
    "queued.max.messages.kbytes": 32_768,
}


def log_bounds(settings: Settings, partitions: int) -> list[tuple[int, int]]:
    """The first offset and the end of each partition.

    Raises:
        VerificationError: Kafka does not answer.
    """
    topic = settings.topics.user_events.name
    consumer = make_reader(settings.kafka, "verification", _PROPERTIES)
    try:
        return [
            consumer.get_watermark_offsets(TopicPartition(topic, partition), _ADMIN_TIMEOUT_S)
            for partition in range(partitions)
        ]
    except KafkaException as error:
        raise VerificationError(f"Kafka does not answer: {error.args[0].str()}") from error
    finally:
        consumer.close()


def read_partition(settings: Settings, partition: int, end: int) -> Iterator[list[Message]]:
    """The records of a partition from its first up to ``end``, some thousand at a time.

    Raises:
        VerificationError: the log no longer begins at its first record, or Kafka is silent.
        RegistryUnreachableError: a record is in a schema that cannot be had now.
    """
    topic = settings.topics.user_events.name
    consumer = make_reader(settings.kafka, "verification", _PROPERTIES)
    schemas = WriterSchemas(settings.schema_registry)
    next_offset, heard_s = 0, time.monotonic()
    try:
        consumer.assign([TopicPartition(topic, partition, 0)])
        while next_offset < end:
            messages = consumer.consume(min(_BATCH, end - next_offset), _WAIT_S)
            records, is_at_end = _records(messages, end)
            if records:
                next_offset, heard_s = (records[-1].offset() or 0) + 1, time.monotonic()
                if settings.schema_registry is not None:
                    schemas.learn([record.value() for record in records])
                yield records
            if is_at_end:
                return  # what is left up to ``end`` are no records, but marks of transactions
            if time.monotonic() - heard_s > _SILENT_S:
                raise VerificationError(
                    f"Kafka gave nothing of {topic}, partition {partition}, from offset "
                    f"{next_offset} on for {_SILENT_S:g} s: try again once it answers."
                )
    finally:
        consumer.close()


def _records(messages: list[Message], end: int) -> tuple[list[Message], bool]:
    """Those that are records below ``end``, and whether the partition's end was met."""
    records = [message for message in messages if message.error() is None]
    is_at_end = len(records) < len(messages) and any(map(_is_end, messages))
    while records and (records[-1].offset() or 0) >= end:
        records.pop()
        is_at_end = True
    return records, is_at_end


def _is_end(message: Message) -> bool:
    """Whether it says that the partition ends here, and is no record.

    Raises:
        VerificationError: it says that the log no longer holds what was asked for.
    """
    error = message.error()
    if error is not None and error.code() in _LOST:
        raise VerificationError(
            f"{message.topic()}, partition {message.partition()}, no longer holds its first "
            f"records ({error.str()}): without them nothing can be proved."
        )
    # librdkafka goes on by itself after every other error
    return error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 - its public name
