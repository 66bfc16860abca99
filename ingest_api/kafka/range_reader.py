"""Reads the records, all or of some keys, of a range of offsets of `user-events`."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest_api.errors import LogUnavailableError
from schemas.clients import ranges
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.kafka import READ_WHILE_WAITED_FOR

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from confluent_kafka import Message

_BATCH: Final = 10_000
_WAIT_S: Final = 0.5
_ASK_S: Final = 5.0


class ReadTimeoutError(Exception):
    """The range was not read to its end in time."""


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
            RecordsGoneError: the log no longer holds the range.
            LogUnavailableError: Kafka doesn't answer.
        """
        for messages in self.batches(log_range, timeout_s=timeout_s):
            for message in messages:
                if message.key() in keys:
                    yield message.offset() or 0, message.value()

    def batches(self, log_range: LogRange, *, timeout_s: float) -> Iterator[list[Message]]:
        """Do as :meth:`RangeReader.batches`.

        Blocks until they come from Kafka; memory does not grow with the range.

        Raises:
            ReadTimeoutError: it took longer than the time-out, or the reader was closed.
            RecordsGoneError: the log no longer holds the range.
            LogUnavailableError: Kafka doesn't answer.
        """
        with self.reading(timeout_s) as reading:
            yield from reading.batches(log_range)

    @contextmanager
    def reading(self, timeout_s: float) -> Generator[RangeReading]:
        """Give one look at the topic, which takes no longer than this.

        Raises:
            As :meth:`batches`.
        """
        until_s = time.monotonic() + timeout_s

        def check() -> None:
            if time.monotonic() > until_s or self._is_closed.is_set():
                raise ReadTimeoutError

        try:
            with ranges.RangeReader(
                self._kafka, "ranges", READ_WHILE_WAITED_FOR, on_turn=check, ask_s=_ASK_S
            ) as reader:
                yield RangeReading(reader, self._topic)
        except KafkaUnreachableError as error:
            raise LogUnavailableError(str(error)) from error


class RangeReading:
    """One look at a topic; used by one thread."""

    def __init__(self, reader: ranges.RangeReader, topic: str) -> None:
        self._reader = reader
        self._topic = topic

    def end(self, partition: int) -> int:
        """Return the offset after the last record."""
        return self._reader.bounds(self._topic, partition)[1]

    def end_before(self, partition: int, time_ms: int) -> int:
        """Return the offset of the first record of this time or later, else the end."""
        (found,) = self._reader.offsets_at(self._topic, [partition], time_ms)
        return self.end(partition) if found is None else found

    def fetch(self, partition: int, offset: int) -> Message | None:
        """Return one record, or None where there is none."""
        if partition >= self._reader.topics().get(self._topic, 0):
            return None
        begin, end = self._reader.bounds(self._topic, partition)
        if begin <= offset < end:
            for messages in self.batches(LogRange(partition, offset, offset)):
                return messages[0]
        return None

    def batches(self, log_range: LogRange) -> Iterator[list[Message]]:
        """Do as :meth:`RangeReader.batches`."""
        asked = ranges.Range(
            self._topic, log_range.partition, log_range.first_offset, log_range.last_offset + 1
        )
        return self._reader.batches(asked, at_once=_BATCH, wait_s=_WAIT_S)
