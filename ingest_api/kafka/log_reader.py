"""Reads the log within a time limit: records, all or of some keys, of a range of offsets."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ingest_api.errors import LogUnavailableError, ReadTimeoutError
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.kafka import READ_WHILE_WAITED_FOR
from schemas.clients.ranges import Range, RangeReader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from confluent_kafka import Message

_BATCH: Final = 10_000
_WAIT_S: Final = 0.5
_ASK_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class LogRange:
    """Records of a partition, from one offset to another, both included."""

    partition: int
    first_offset: int
    last_offset: int


class LogReader:
    """Reads one topic, outside any group; may be used by several threads."""

    def __init__(
        self,
        kafka: Mapping[str, str],
        topic: str,
        purpose: str = "ranges",
        properties: Mapping[str, Any] = READ_WHILE_WAITED_FOR,
    ) -> None:
        self.topic = topic
        self._is_closed = threading.Event()
        self._kafka = kafka
        self._purpose = purpose
        self._properties = properties

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
            RecordsGoneError: the log no longer holds the range.
            LogUnavailableError: Kafka doesn't answer.
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
            RecordsGoneError: the log no longer holds the range.
            LogUnavailableError: Kafka doesn't answer.
        """
        with self.reading(timeout_s) as reading:
            yield from reading.batches(log_range)

    @contextmanager
    def reading(self, timeout_s: float) -> Generator[LogReading]:
        """Give one look at the topic, which takes no longer than this.

        Raises:
            As :meth:`batches`.
        """
        limit = _TimeLimit(time.monotonic() + timeout_s, self._is_closed)
        try:
            with RangeReader(
                self._kafka, self._purpose, self._properties, on_turn=limit.check, ask_s=_ASK_S
            ) as reader:
                yield LogReading(self.topic, reader, limit)
        except KafkaUnreachableError as error:
            raise LogUnavailableError(str(error)) from error


class _TimeLimit:
    """When a look at the topic is over."""

    def __init__(self, until_s: float, is_closed: threading.Event) -> None:
        self.until_s = until_s
        self._is_closed = is_closed

    def check(self) -> None:
        if time.monotonic() > self.until_s or self._is_closed.is_set():
            raise ReadTimeoutError


class LogReading:
    """One look at a topic; used by one thread."""

    def __init__(self, topic: str, ranges: RangeReader, limit: _TimeLimit) -> None:
        self.topic = topic
        self.ranges = ranges
        self._limit = limit

    def check(self) -> None:
        """Raise where the time is over.

        Raises:
            ReadTimeoutError: it is.
        """
        self._limit.check()

    def end_after(self, timeout_s: float) -> None:
        """End the reading after so long, from now on."""
        self._limit.until_s = time.monotonic() + timeout_s

    def end(self, partition: int) -> int:
        """Return the offset after the last record."""
        return self.ranges.bounds(self.topic, partition)[1]

    def end_before(self, partition: int, time_ms: int) -> int:
        """Return the offset of the first record of this time or later, else the end."""
        (found,) = self.ranges.offsets_at(self.topic, [partition], time_ms)
        return self.end(partition) if found is None else found

    def fetch(self, partition: int, offset: int) -> Message | None:
        """Return one record, or None where there is none."""
        if partition >= self.ranges.topics().get(self.topic, 0):
            return None
        begin, end = self.ranges.bounds(self.topic, partition)
        if begin <= offset < end:
            for messages in self.batches(LogRange(partition, offset, offset)):
                return messages[0]
        return None

    def batches(self, log_range: LogRange) -> Iterator[list[Message]]:
        """Do as :meth:`LogReader.batches`."""
        whole = Range(
            self.topic, log_range.partition, log_range.first_offset, log_range.last_offset + 1
        )
        return self.ranges.batches(whole, at_once=_BATCH, wait_s=_WAIT_S)
