"""Reads ranges of partitions outside of every group: from one offset up to another."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from schemas.clients.errors import KafkaUnreachableError, RecordsGoneError, kafka_asked
from schemas.clients.kafka import make_reader
from schemas.clients.unreadable import UnreadableBatches
from schemas.clients.watermarks import watermarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Self

    from confluent_kafka import Consumer, Message

_ASK_S: Final = 10.0
_QUIET_S: Final = 60.0
_END: Final[dict[str, Any]] = {"enable.partition.eof": True}
_GONE: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001 - its public name


def is_gone(error: KafkaError) -> bool:
    """Return whether the log lost what was to come next; every other error passes by itself."""
    return error.code() in _GONE


def is_end(error: KafkaError) -> bool:
    """Return whether it is none, but says that a partition has been read to its end."""
    return error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 - its public name


def bounds_of(consumer: Consumer, topic: str, partition: int, *, ask_s: float) -> tuple[int, int]:
    """Return the first offset of the partition, and the one after its last record.

    Raises:
        KafkaUnreachableError: Kafka does not answer, or there is no such partition.
    """
    with kafka_asked(f"the ends of {topic}, partition {partition}"):
        try:
            return watermarks(consumer, TopicPartition(topic, partition), ask_s)
        except KafkaException as error:
            if error.args[0].code() == KafkaError._UNKNOWN_PARTITION:  # noqa: SLF001 - its public name
                # librdkafka tells this from what it has once learnt, maybe of a broker that had
                # just started, and would do so for minutes: so it looks again for the next time.
                consumer.list_topics(topic, timeout=ask_s)
            raise


@dataclass(frozen=True, slots=True)
class Range:
    """The records of a partition from ``begin`` on, up to ``end`` and without it."""

    topic: str
    partition: int
    begin: int
    end: int


class RangeReader:
    """Reads one range after another; a context manager.

    Ranges are read by one thread; what is asked may be asked by several.
    A question takes ``ask_s`` seconds at most.

    ``on_turn`` is called while it waits and between batches, and ends the reading by raising.
    """

    def __init__(
        self,
        kafka: Mapping[str, str],
        purpose: str,
        properties: Mapping[str, Any] | None = None,
        *,
        on_turn: Callable[[], None] = lambda: None,
        ask_s: float = _ASK_S,
    ) -> None:
        self._on_turn = on_turn
        self._ask_s = ask_s
        self._consumer = make_reader(kafka, purpose, {**_END, **(properties or {})})
        self._unreadable = UnreadableBatches(kafka, self._consumer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the broker."""
        self._unreadable.close()
        self._consumer.close()

    def batches(
        self, log_range: Range, *, at_once: int, wait_s: float = 0.2
    ) -> Iterator[list[Message]]:
        """Yield the records in order, at most so many at a time, never none; blocks for them.

        Offsets without records (markers and aborted records of transactions) are left out.
        Memory does not grow with the range.

        Raises:
            RecordsGoneError: the log no longer holds them.
            KafkaUnreachableError: nothing has come for a minute.
        """
        self._consumer.assign(
            [TopicPartition(log_range.topic, log_range.partition, log_range.begin)]
        )
        self._unreadable.read_anew(log_range.topic, log_range.partition)
        next_offset = log_range.begin
        quiet_until_s = time.monotonic() + _QUIET_S
        while next_offset < log_range.end:
            self._on_turn()
            # It waits for as many as asked, so no more are asked than there are.
            found = self._consumer.consume(min(at_once, log_range.end - next_offset), wait_s)
            if any(message.error() is not None for message in found):
                found = [self._unreadable.stepped_over(message) for message in found]
            records, reached = _sorted_out(found, log_range)
            if records:
                yield records
            if reached > next_offset:
                next_offset = reached
                # What whoever takes them does meanwhile is no silence of Kafka's.
                quiet_until_s = time.monotonic() + _QUIET_S
            elif time.monotonic() > quiet_until_s:
                raise KafkaUnreachableError(
                    f"{log_range.topic}, partition {log_range.partition},"
                    f" from offset {next_offset} on",
                    f"nothing came for {_QUIET_S:g} s; it does not answer, or a transaction of"
                    " another producer hangs there",
                )

    def topics(self) -> dict[str, int]:
        """Return the number of partitions of each topic there is.

        Raises:
            KafkaUnreachableError: Kafka does not answer.
        """
        with kafka_asked("its topics"):
            found = self._consumer.list_topics(timeout=self._ask_s).topics
        return {name: len(topic.partitions) for name, topic in found.items()}

    def partitions(self, topic: str) -> list[int]:
        """Return the numbers of the topic's partitions.

        Raises:
            KafkaUnreachableError: Kafka does not answer.
        """
        with kafka_asked(f"the partitions of {topic}"):
            found = self._consumer.list_topics(topic, timeout=self._ask_s).topics[topic]
        return sorted(found.partitions)

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset of the partition, and the one after its last record.

        Raises:
            KafkaUnreachableError: Kafka does not answer.
        """
        return bounds_of(self._consumer, topic, partition, ask_s=self._ask_s)

    def offsets_at(self, topic: str, partitions: Sequence[int], time_ms: int) -> list[int | None]:
        """Return by partition the first offset that is not older than the time; None where none is.

        Raises:
            KafkaUnreachableError: Kafka does not answer.
        """
        places = [TopicPartition(topic, partition, time_ms) for partition in partitions]
        with kafka_asked(f"the offsets of {topic} by time"):
            found = self._consumer.offsets_for_times(places, timeout=self._ask_s)
            for place in found:
                if place.error:
                    raise KafkaException(place.error)
        offsets = {place.partition: place.offset for place in found}
        return [offsets[each] if offsets[each] >= 0 else None for each in partitions]


def _sorted_out(found: list[Message], log_range: Range) -> tuple[list[Message], int]:
    """Return the records of the range, and the offset that has been reached."""
    records = [message for message in found if message.error() is None]
    reached = 0
    for message in found if len(records) < len(found) else ():
        reached = max(reached, _reached(message, log_range))
    if records and not _is_of(records[0], log_range):
        # A consumer may still give what it had fetched for the range before.
        records = [record for record in records if _is_of(record, log_range)]
    if records:
        reached = max(reached, (records[-1].offset() or 0) + 1)
    while records and (records[-1].offset() or 0) >= log_range.end:
        records.pop()
    return records, reached


def _is_of(record: Message, log_range: Range) -> bool:
    return record.partition() == log_range.partition and (record.offset() or 0) >= log_range.begin


def _reached(message: Message, log_range: Range) -> int:
    """Return the partition's end where a report says it, else nothing.

    Raises:
        RecordsGoneError: it says that the log does not hold what comes next.
    """
    error = message.error()
    if error is None or message.partition() != log_range.partition:
        return 0
    if is_gone(error):
        raise RecordsGoneError(
            f"{log_range.topic}, partition {log_range.partition}, no longer holds the records"
            f" from offset {log_range.begin} on: {error.str()}"
        )
    # librdkafka goes on by itself after every other error.
    return (message.offset() or 0) if is_end(error) else 0
