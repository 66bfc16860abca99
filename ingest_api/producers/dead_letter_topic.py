"""Read the topic of dead letters from its end: the newest first, a page at a time.

It may hold any number of dead letters, so nothing reads it from its beginning: a
place far from the end is found by asking Kafka for offsets by time, and from
there pieces of each partition are read backwards and merged.
Values are let go at once, so memory does not grow with what was sent.
"""

from __future__ import annotations

import heapq
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from ingest_api.errors import LogUnavailableError
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.kafka import READ_TO_END, READ_WHILE_WAITED_FOR
from schemas.clients.ranges import Range, RangeReader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from confluent_kafka import Message

_FIRST_PIECE: Final = 64
_LARGEST_PIECE: Final = 2048
_NEAR: Final = 500
"""So many dead letters are skipped by reading them; more by seeking."""
_KAFKA_TIMEOUT_S: Final = 5.0
_DAY_MS: Final = 24 * 60 * 60 * 1000
_PROPERTIES: Final = READ_WHILE_WAITED_FOR | READ_TO_END
Bounds = dict[int, tuple[int, int]]
"""By partition: the first offset, and the one after the last."""


class SearchEndedError(Exception):
    """The time for a search is over, or the reader was closed."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that is not applied, as it stands in the topic; without its value.

    ``time_ms`` is when it was appended there; ``headers`` are all of it, decoded.
    """

    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value_bytes: int
    headers: Mapping[str, str]


class DeadLetterTopic:
    """Opens readers outside any consumer group; may be used by several threads."""

    def __init__(self, kafka: Mapping[str, str], topic: str) -> None:
        self.topic = topic
        self._is_closed = threading.Event()
        self._kafka = kafka

    def close(self) -> None:
        """End all readers, as if their time were over."""
        self._is_closed.set()

    @contextmanager
    def open_reader(self, timeout_s: float) -> Generator[DeadLetterReader]:
        """Open a reader of the topic as it is now, for no longer than this.

        Raises:
            LogUnavailableError: Kafka does not answer.
            SearchEndedError: the time is over.
        """
        until = _Until(time.monotonic() + timeout_s, self._is_closed)
        try:
            with RangeReader(
                self._kafka,
                "dead-letters",
                _PROPERTIES,
                on_turn=until.check,
                ask_s=_KAFKA_TIMEOUT_S,
            ) as reader:
                yield DeadLetterReader(reader, self.topic, until)
        except KafkaUnreachableError as error:
            raise LogUnavailableError(str(error)) from error


class _Until:
    """The end of a look at the topic."""

    def __init__(self, at_s: float, is_closed: threading.Event) -> None:
        self.at_s = at_s
        self._is_closed = is_closed

    def check(self) -> None:
        if time.monotonic() > self.at_s or self._is_closed.is_set():
            raise SearchEndedError


class DeadLetterReader:
    """Reads the topic between the offsets that it had at the start; used by one thread."""

    def __init__(self, reader: RangeReader, topic: str, until: _Until) -> None:
        self._reader = reader
        self._topic = topic
        self._until = until
        self._bounds: Bounds = {
            partition: reader.bounds(topic, partition) for partition in reader.partitions(topic)
        }

    def end_after(self, timeout_s: float) -> None:
        """End the reading after so long, from now on."""
        self._until.at_s = time.monotonic() + timeout_s

    @property
    def topic(self) -> str:
        """The name of the topic."""
        return self._topic

    @property
    def total(self) -> int:
        """Return the number of dead letters."""
        return sum(end - begin for begin, end in self._bounds.values())

    def newest_first(self, skip: int = 0) -> Iterator[DeadLetter]:
        """Yield all dead letters but the newest ``skip``, by time, and by offset in a partition.

        Where the clocks of processors ran back, the place to begin is found
        by time only roughly.
        """
        ends = {partition: end for partition, (_, end) in self._bounds.items()}
        if skip > _NEAR:
            ends, skip = self._jump(skip)
        streams = [
            self._backwards(partition, self._bounds[partition][0], end)
            for partition, end in ends.items()
        ]
        merged = heapq.merge(
            *streams, key=lambda dead_letter: (-dead_letter.time_ms, dead_letter.partition)
        )
        for at, dead_letter in enumerate(merged):
            if at >= skip:
                yield dead_letter

    def fetch(self, partition: int, offset: int) -> tuple[DeadLetter, bytes | None] | None:
        """Return one dead letter with its value, or None where there is none."""
        begin, end = self._bounds.get(partition, (0, 0))
        if not begin <= offset < end:
            return None
        for message in self._messages(partition, offset, offset + 1):
            return _dead_letter(message), message.value()
        return None

    def _jump(self, skip: int) -> tuple[dict[int, int], int]:
        """Return the offsets to read back from, and how many to skip from there."""
        highs = {partition: end for partition, (_, end) in self._bounds.items()}
        early_ms, late_ms = 0, int(time.time() * 1000) + _DAY_MS
        ends, passed = highs, 0
        while late_ms - early_ms > 1 and skip - passed > _NEAR:
            self._until.check()
            middle_ms = (early_ms + late_ms) // 2
            offsets = self._ends_at(middle_ms, highs)
            newer = sum(highs[partition] - end for partition, end in offsets.items())
            if newer > skip:
                early_ms = middle_ms
            else:
                late_ms, ends, passed = middle_ms, offsets, newer
        return ends, skip - passed

    def _ends_at(self, time_ms: int, highs: Mapping[int, int]) -> dict[int, int]:
        """Return by partition the offset of the first dead letter of this time or later."""
        found = self._reader.offsets_at(self._topic, list(highs), time_ms)
        return {
            partition: highs[partition] if offset is None else offset
            for partition, offset in zip(highs, found, strict=True)
        }

    def _backwards(self, partition: int, begin: int, end: int) -> Iterator[DeadLetter]:
        piece = _FIRST_PIECE
        while end > begin:
            first = max(begin, end - piece)
            yield from reversed(
                [_dead_letter(each) for each in self._messages(partition, first, end)]
            )
            end, piece = first, min(2 * piece, _LARGEST_PIECE)

    def _messages(self, partition: int, begin: int, end: int) -> Iterator[Message]:
        """Yield the records of a partition from one offset up to another."""
        # One at a time: of many large ones none is held longer than it takes to look at it.
        log_range = Range(self._topic, partition, begin, end)
        for messages in self._reader.batches(log_range, at_once=1):
            yield from messages


def _dead_letter(message: Message) -> DeadLetter:
    value = message.value()
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return DeadLetter(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        time_ms=message.timestamp()[1],
        key=message.key(),
        value_bytes=0 if value is None else len(value),
        headers={name: (text or b"").decode(errors="replace") for name, text in headers},
    )
