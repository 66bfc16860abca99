"""Read the topic of dead letters from its end: the newest first, a page at a time.

It may hold any number of dead letters, so nothing reads it from its beginning: a
place far from the end is found by asking Kafka for offsets by time, and from
there pieces of each partition are read backwards and merged.
Values are let go at once, so memory does not grow with what was sent.
"""

from __future__ import annotations

import heapq
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest_api.kafka.log_reader import LogReader
from schemas.clients.kafka import READ_TO_END, READ_WHILE_WAITED_FOR
from schemas.clients.ranges import Range
from schemas.log.record_headers import headers_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from confluent_kafka import Message

    from ingest_api.kafka.log_reader import LogReading

_FIRST_PIECE: Final = 64
_LARGEST_PIECE: Final = 2048
_NEAR: Final = 500
"""So many dead letters are skipped by reading them; more by seeking."""
_DAY_MS: Final = 24 * 60 * 60 * 1000
Place = tuple[int, int, int]
"""The place of a dead letter: its partition, its offset, and its time, in ms."""
Bounds = dict[int, tuple[int, int]]
"""By partition: the first offset, and the one after the last."""


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

    @property
    def place(self) -> Place:
        """What identifies it in its topic, also after the topic was made anew."""
        return self.partition, self.offset, self.time_ms


class DeadLetterTopic:
    """Opens readers outside any consumer group; may be used by several threads."""

    def __init__(self, kafka: Mapping[str, str], topic: str) -> None:
        self.topic = topic
        self._log = LogReader(kafka, topic, "dead-letters", READ_WHILE_WAITED_FOR | READ_TO_END)

    def close(self) -> None:
        """End all readers, as if their time were over."""
        self._log.close()

    @contextmanager
    def open_reader(self, timeout_s: float) -> Generator[DeadLetterReader]:
        """Open a reader of the topic as it is now, for no longer than this.

        Raises:
            LogUnavailableError: Kafka does not answer.
            ReadTimeoutError: the time is over.
        """
        with self._log.reading(timeout_s) as reading:
            yield DeadLetterReader(reading)


class DeadLetterReader:
    """Reads the topic between the offsets that it had at the start; used by one thread."""

    def __init__(self, reading: LogReading) -> None:
        self._reading = reading
        self._ranges = ranges = reading.ranges
        self.topic = topic = reading.topic
        self._bounds: Bounds = {
            partition: ranges.bounds(topic, partition) for partition in ranges.partitions(topic)
        }

    def end_after(self, timeout_s: float) -> None:
        """End the reading after so long, from now on."""
        self._reading.end_after(timeout_s)

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
            self._reading.check()
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
        found = self._ranges.offsets_at(self.topic, list(highs), time_ms)
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
        log_range = Range(self.topic, partition, begin, end)
        for messages in self._ranges.batches(log_range, at_once=1):
            yield from messages


def _dead_letter(message: Message) -> DeadLetter:
    value = message.value()
    headers = headers_of(message)
    return DeadLetter(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        time_ms=message.timestamp()[1],
        key=message.key(),
        value_bytes=0 if value is None else len(value),
        headers={name: (text or b"").decode(errors="replace") for name, text in headers},
    )
