"""Positions in the log: where it begins, where it was at a time, and a job's keys between two."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute
from confluent_kafka import KafkaException, TopicPartition

from processor.decoding.batches import decode_records
from processor.decoding.producer_rules import LogPartition
from processor.errors import LogTruncatedError, NotReadyError
from processor.kafka.schema_cache import WriterSchemas
from schemas.clients.kafka import make_reader
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.log.truncation import truncated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from confluent_kafka import Consumer, Message

    from schemas.config.settings import Settings

pc: Any = pyarrow.compute
_TIMEOUT_S: Final = 10.0
_READ_RECORDS: Final = 20_000
_READ_TIMEOUT_S: Final = 0.1


def check_log_is_whole(settings: Settings) -> None:
    """Return where both topics that an instance is made from begin with their first records.

    Raises:
        LogTruncatedError: they do not.
        KafkaException: Kafka does not answer.
    """
    consumer = make_reader(settings.kafka, "offsets")
    try:
        for topic in (settings.topics.job_events, settings.topics.user_events):
            for partition in range(topic.partitions):
                check_beginning(consumer, topic.name, partition)
    finally:
        consumer.close()


def check_beginning(consumer: Consumer, topic: str, partition: int) -> None:
    """Return where the partition begins with its first record.

    Raises:
        LogTruncatedError: it does not.
        KafkaException: Kafka does not answer.
    """
    place = TopicPartition(topic, partition)
    begin, _ = consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)
    if begin > 0:
        raise LogTruncatedError(truncated(topic, partition, begin))


def offsets_at(settings: Settings, moment: datetime) -> list[int]:
    """The offset of the first record of each partition that is not older than the moment.

    The partition's end where there is none.

    Raises:
        KafkaException: Kafka does not answer.
    """
    consumer = make_reader(settings.kafka, "offsets")
    topic = settings.topics.user_events
    moment_ms = int(moment.timestamp() * 1000)
    try:
        places = [TopicPartition(topic.name, at, moment_ms) for at in range(topic.partitions)]
        found = consumer.offsets_for_times(places, timeout=_TIMEOUT_S)
        return [
            at.offset if at.offset >= 0 else _end(consumer, at)
            for at in sorted(found, key=attrgetter("partition"))
        ]
    finally:
        consumer.close()


def _end(consumer: Consumer, at: TopicPartition) -> int:
    """The partition's end, where no record is so young."""
    if at.error:
        raise KafkaException(at.error)
    place = TopicPartition(at.topic, at.partition)
    return consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)[1]


def select_keys(
    settings: Settings, job_id: int, stretches: Sequence[tuple[int, int, int]]
) -> Iterator[list[str]]:
    """The keys of a job's rows, in batches, repeats included.

    ``stretches``: by partition, the first offset and the one after the last.

    Raises:
        KafkaException: the log no longer holds them.
        NotReadyError: some are in a schema that cannot be had now.
    """
    consumer = make_reader(settings.kafka, "offsets")
    schemas = WriterSchemas(settings.schema_registry)
    topic = settings.topics.user_events
    try:
        for partition, begin, end in stretches:
            place = LogPartition(partition, topic.partitions, settings.reconciliation_key)
            consumer.assign([TopicPartition(topic.name, partition, begin)])
            next_offset = begin
            while next_offset < end:
                most = min(_READ_RECORDS, end - next_offset)
                messages = consumer.consume(most, _READ_TIMEOUT_S)
                for message in messages:
                    if error := message.error():
                        raise KafkaException(error)
                if messages:
                    next_offset = (messages[-1].offset() or 0) + 1
                    _learn_schemas(schemas, messages)
                    rows = decode_records(messages, place).rows
                    is_own = pc.equal(rows.column("job_id"), job_id)
                    yield pc.filter(rows.column("key"), is_own).to_pylist()
    finally:
        consumer.close()


def _learn_schemas(schemas: WriterSchemas, messages: Sequence[Message]) -> None:
    try:
        schemas.learn(message.value() for message in messages)
    except RegistryUnreachableError as error:
        raise NotReadyError(str(error)) from error
