"""Reads the records, all or of some keys, of a range of offsets of `user-events`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, TopicPartition

from schemas.clients.kafka import READ_WHILE_WAITED_FOR, make_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from confluent_kafka import Message

_BATCH: Final = 10_000
_WAIT_S: Final = 0.5
_LOST: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001 - its public name


class ReadTimeoutError(Exception):
    """The range was not read to its end in time."""


class LogGoneError(RuntimeError):
    """The log no longer holds the range."""


@dataclass(frozen=True, slots=True)
class LogRange:
    """Records of a partition, from one offset to another, both included."""

    partition: int
    first_offset: int
    last_offset: int


class RangeReader:
    """Reads ranges of one topic, outside any group; may be used by several threads."""

    def __init__(self, kafka: Mapping[str, str], topic: str) -> None:
        self._topic = topic
        self._is_closed = threading.Event()
        self._kafka = kafka

    def close(self) -> None:
        """End every read under way, as if it had timed out."""
        self._is_closed.set()

    def read(
        self, log_range: LogRange, keys: AbstractSet[bytes], *, timeout_s: float
    ) -> Iterator[tuple[int, bytes | None]]:
        """Yield offset and value of each record with one of these keys, in order.

        Blocks until they come from Kafka; memory does not grow with the range.

        Raises:
            ReadTimeoutError: it took longer than the time-out, or the reader was closed.
            LogGoneError: the log no longer holds the range.
        """
        for messages in self.batches(log_range, timeout_s=timeout_s):
            for message in messages:
                if message.key() in keys:
                    yield message.offset() or 0, message.value()

    def batches(self, log_range: LogRange, *, timeout_s: float) -> Iterator[list[Message]]:
        """Yield all records of the range in order, some thousand at a time, never none.

        Blocks until they come from Kafka; memory does not grow with the range.

        Raises:
            ReadTimeoutError: it took longer than the time-out, or the reader was closed.
            LogGoneError: the log no longer holds the range.
        """
        deadline_s = time.monotonic() + timeout_s
        next_offset = log_range.first_offset
        consumer = make_reader(self._kafka, "ranges", READ_WHILE_WAITED_FOR)
        try:
            consumer.assign([TopicPartition(self._topic, log_range.partition, next_offset)])
            while next_offset <= log_range.last_offset:
                if time.monotonic() > deadline_s or self._is_closed.is_set():
                    raise ReadTimeoutError
                remaining = log_range.last_offset + 1 - next_offset
                # It waits for as many as asked, so no more are asked than there are.
                found = consumer.consume(min(_BATCH, remaining), _WAIT_S)
                messages = [message for message in found if message.error() is None]
                if len(messages) < len(found):
                    _check(found)
                if messages:
                    next_offset = (messages[-1].offset() or 0) + 1
                    yield messages
        finally:
            consumer.close()


def _check(messages: list[Message]) -> None:
    for message in messages:
        error = message.error()
        if error is not None and error.code() in _LOST:
            raise LogGoneError(f"{message.topic()} no longer holds what was read: {error.str()}")
    # librdkafka goes on by itself after every other error
