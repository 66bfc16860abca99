"""The records, all or of some keys, in a stretch of one partition of `user-events`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest_api.errors import LogUnavailableError
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.kafka import READ_WHILE_WAITED_FOR
from schemas.clients.ranges import Range, RangeReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from confluent_kafka import Message

_BATCH: Final = 10_000
_WAIT_S: Final = 0.5


class TooLongError(Exception):
    """The stretch was not read to its end in time."""


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
            RecordsGoneError: the log no longer holds the stretch.
            LogUnavailableError: Kafka doesn't answer.
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
            RecordsGoneError: the log no longer holds the stretch.
            LogUnavailableError: Kafka doesn't answer.
        """
        until_s = time.monotonic() + timeout_s

        def check() -> None:
            if time.monotonic() > until_s or self._is_closed.is_set():
                raise TooLongError

        asked = Range(self._topic, stretch.partition, stretch.first_offset, stretch.last_offset + 1)
        try:
            with RangeReader(
                self._kafka, "stretches", READ_WHILE_WAITED_FOR, on_turn=check
            ) as reader:
                yield from reader.batches(asked, at_once=_BATCH, wait_s=_WAIT_S)
        except KafkaUnreachableError as error:
            raise LogUnavailableError(str(error)) from error
