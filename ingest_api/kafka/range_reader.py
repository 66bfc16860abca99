"""The records, all or of some keys, in a stretch of one partition of `user-events`."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from ingest_api.kafka.producer import LogUnavailableError
from schemas.clients.kafka import READ_WHILE_WAITED_FOR, make_reader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from confluent_kafka import Consumer, Message

_BATCH: Final = 10_000
_WAIT_S: Final = 0.5
_ASK_S: Final = 5.0
_PROPERTIES: Final = READ_WHILE_WAITED_FOR | {"enable.partition.eof": True}
_LOST: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001 - its public name


class TooLongError(Exception):
    """The stretch was not read to its end in time."""


class LogGoneError(RuntimeError):
    """The log no longer holds the stretch."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of a partition, from one offset to another, both included."""

    partition: int
    first_offset: int
    last_offset: int


class LogStretches:
    """Reads stretches of one topic, outside any group; may be used by several threads."""

    def __init__(self, kafka: Mapping[str, str], topic: str) -> None:
        self._topic = topic
        self._is_closed = threading.Event()
        self._kafka = kafka

    def close(self) -> None:
        """End what is being read, as if it had taken too long."""
        self._is_closed.set()

    def read(
        self, stretch: Stretch, keys: AbstractSet[bytes], *, timeout_s: float
    ) -> Iterator[tuple[int, bytes | None]]:
        """Offsets and values of the records with one of these keys, in order.

        Blocks while Kafka has them on their way; memory does not grow with the stretch.

        Raises:
            TooLongError: it took longer than the time-out, or the reader was closed.
            LogGoneError: the log no longer holds the stretch.
        """
        for messages in self.batches(stretch, timeout_s=timeout_s):
            for message in messages:
                if message.key() in keys:
                    yield message.offset() or 0, message.value()

    def batches(self, stretch: Stretch, *, timeout_s: float) -> Iterator[list[Message]]:
        """All records of the stretch in order, some thousand at a time, never none.

        Blocks while Kafka has them on their way; memory does not grow with the stretch.

        Raises:
            TooLongError: it took longer than the time-out, or the reader was closed.
            LogGoneError: the log no longer holds the stretch.
        """
        with self.reading(timeout_s) as reading:
            yield from reading.batches(stretch)

    @contextmanager
    def reading(self, timeout_s: float) -> Generator[LogReading]:
        """One look at the topic, which takes no longer than this.

        Raises:
            LogUnavailableError: Kafka does not answer.
        """
        until_s = time.monotonic() + timeout_s
        consumer = make_reader(self._kafka, "stretches", _PROPERTIES)
        try:
            yield LogReading(consumer, self._topic, until_s, self._is_closed)
        except KafkaException as error:
            raise LogUnavailableError(str(error)) from error
        finally:
            consumer.close()


class LogReading:
    """One look at the topic; used by one thread."""

    def __init__(
        self, consumer: Consumer, topic: str, until_s: float, is_closed: threading.Event
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._until_s = until_s
        self._is_closed = is_closed

    def end(self, partition: int) -> int:
        """The offset after the last record."""
        return self._bounds(partition)[1]

    def _bounds(self, partition: int) -> tuple[int, int]:
        place = TopicPartition(self._topic, partition)
        return self._consumer.get_watermark_offsets(place, timeout=_ASK_S)

    def end_before(self, partition: int, time_ms: int) -> int:
        """The offset after all that come before the first record of this time or later."""
        place = TopicPartition(self._topic, partition, time_ms)
        found = self._consumer.offsets_for_times([place], timeout=_ASK_S)[0].offset
        return found if found >= 0 else self.end(partition)

    def fetch(self, partition: int, offset: int) -> Message | None:
        """One record, or None where there is none."""
        topics = self._consumer.list_topics(timeout=_ASK_S).topics
        if self._topic not in topics or partition not in topics[self._topic].partitions:
            return None
        begin, end = self._bounds(partition)
        if begin <= offset < end:
            for messages in self.batches(Stretch(partition, offset, offset)):
                if messages[0].offset() == offset:
                    return messages[0]
        return None

    def batches(self, stretch: Stretch) -> Iterator[list[Message]]:
        """As :meth:`LogStretches.batches`."""
        next_offset = stretch.first_offset
        self._consumer.assign([TopicPartition(self._topic, stretch.partition, next_offset)])
        while next_offset <= stretch.last_offset:
            if time.monotonic() > self._until_s or self._is_closed.is_set():
                raise TooLongError
            left = stretch.last_offset + 1 - next_offset
            # It waits for as many as asked, so no more are asked than there are.
            found = self._consumer.consume(min(_BATCH, left), _WAIT_S)
            messages = [message for message in found if message.error() is None]
            if len(messages) < len(found):
                next_offset = max(next_offset, _end_reached(found))
            if messages:
                next_offset = max(next_offset, (messages[-1].offset() or 0) + 1)
                yield messages


def _end_reached(messages: list[Message]) -> int:
    """The end of the partition where it was met: markers of transactions are never delivered.

    Raises:
        LogGoneError: the log no longer holds what is read.
    """
    reached = 0
    for message in messages:
        error = message.error()
        if error is not None and error.code() in _LOST:
            raise LogGoneError(f"{message.topic()} no longer holds what was read: {error.str()}")
        if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            reached = message.offset() or 0
        # librdkafka goes on by itself after every other error
    return reached
