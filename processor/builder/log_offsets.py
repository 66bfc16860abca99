"""Finds positions in the log: its beginning, offsets at a time, and the keys of a job's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute

from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import LogPartition
from processor.errors import LogTruncatedError
from schemas.clients.event_schemas import EventSchemas
from schemas.clients.log_start import LogStart
from schemas.clients.ranges import Range, RangeReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from schemas.config.settings import Settings
    from schemas.log.topics import Topic

pc: Any = pyarrow.compute
_READ_RECORDS: Final = 20_000
_READ_TIMEOUT_S: Final = 0.1


def check_log_is_whole(settings: Settings) -> None:
    """Return where both topics that an instance is made from begin with their first records.

    Raises:
        LogTruncatedError: they do not.
        KafkaUnreachableError: Kafka does not answer.
    """
    check_beginning(settings, settings.topics.job_events, settings.topics.user_events)


def check_beginning(settings: Settings, *topics: Topic) -> None:
    """Return where every partition of these begins with its first record.

    Raises:
        LogTruncatedError: one does not.
        KafkaUnreachableError: Kafka does not answer.
    """
    missing = LogStart(settings.kafka, *topics).missing()
    if missing is not None:
        raise LogTruncatedError(missing)


def offsets_at(settings: Settings, moment: datetime) -> list[int]:
    """Return the offset of the first record of each partition that is not older than the moment.

    The partition's end where there is none.

    Raises:
        KafkaUnreachableError: Kafka does not answer.
    """
    topic = settings.topics.user_events
    partitions = range(topic.partitions)
    with RangeReader(settings.kafka, "offsets") as reader:
        found = reader.offsets_at(topic.name, partitions, int(moment.timestamp() * 1000))
        return [
            reader.bounds(topic.name, at)[1] if offset is None else offset
            for at, offset in zip(partitions, found, strict=True)
        ]


def select_keys(
    settings: Settings, job_id: int, ranges: Sequence[tuple[int, int, int]]
) -> Iterator[list[str]]:
    """Yield the keys of a job's rows, in batches, repeats included.

    ``ranges``: by partition, the first offset and the one after the last.

    Raises:
        RecordsGoneError: the log no longer holds them.
        KafkaUnreachableError: Kafka does not answer.
        RegistryUnreachableError: some are in a schema that cannot be had now.
    """
    schemas = EventSchemas(settings.schema_registry)
    topic = settings.topics.user_events
    with RangeReader(settings.kafka, "offsets") as reader:
        for partition, begin, end in ranges:
            place = LogPartition.in_log(settings, partition)
            log_range = Range(topic.name, partition, begin, end)
            for messages in reader.batches(
                log_range, at_once=_READ_RECORDS, wait_s=_READ_TIMEOUT_S
            ):
                schemas.learn(message.value() for message in messages)
                rows = decode_records(messages, place).rows
                is_own = pc.equal(rows.column("job_id"), job_id)
                yield pc.filter(rows.column("key"), is_own).to_pylist()
