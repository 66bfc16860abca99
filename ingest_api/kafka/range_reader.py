"""Reads the records, all or of some keys, of a range of offsets of `user-events`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest_api.errors import LogUnavailableError
from schemas.clients import ranges
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.kafka import READ_WHILE_WAITED_FOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from confluent_kafka import Message

_BATCH: Final = 10_000
_WAIT_S: Final = 0.5


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
        """Yield all records of the range in order, some thousand at a time, never none.

        Blocks until they come from Kafka; memory does not grow with the range.

        Raises:
            ReadTimeoutError: it took longer than the time-out, or the reader was closed.
            RecordsGoneError: the log no longer holds the range.
            LogUnavailableError: Kafka doesn't answer.
        """
        until_s = time.monotonic() + timeout_s

        def check() -> None:
            if time.monotonic() > until_s or self._is_closed.is_set():
                raise ReadTimeoutError

        asked = ranges.Range(
            self._topic, log_range.partition, log_range.first_offset, log_range.last_offset + 1
        )
        try:
            with ranges.RangeReader(
                self._kafka, "ranges", READ_WHILE_WAITED_FOR, on_turn=check
            ) as reader:
                yield from reader.batches(asked, at_once=_BATCH, wait_s=_WAIT_S)
        except KafkaUnreachableError as error:
            raise LogUnavailableError(str(error)) from error
