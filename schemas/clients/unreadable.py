"""Steps over record batches that nobody can decompress: one of them would stop every reader.

Kafka's client reports such a batch by its first offset, and fetches it again for ever; how long it
is, the report doesn't say (librdkafka's pull request 5581 is to change that).
A fetch from any offset of a batch brings all of it, so its end is found by asking from others.

It is stepped over where its checksum is right: then it is as its producer made it, and no client of
ours makes such a batch.  What a disk has damaged has a wrong one, and holds up its readers.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from schemas.clients.kafka import make_reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import Consumer, Message

_SEARCHES: Final = 3
"""So many come to nothing before a batch is said to hold up its readers."""
_MOST_S: Final = 10.0
"""Of one search: whoever reads waits for it, and is in a group, or answers a request."""
_PAUSE_S: Final = 1.0
"""After a search that came to nothing: meanwhile the batch is reported again and again."""
# With it other readers would go on behind a damaged batch, if something follows in the same answer.
_PROBE: Final[dict[str, Any]] = {"enable.partition.eof": True, "check.crcs": True}
_log = structlog.stdlib.get_logger("rollcall.kafka")


@dataclass(frozen=True, slots=True)
class UnreadableBatch:
    """Stands for all records of such a batch: a record without key and value, at the last offset.

    It answers what a Kafka message does.
    """

    of: str
    number: int
    first: int
    last: int

    def topic(self) -> str:
        """Return the topic."""
        return self.of

    def partition(self) -> int:
        """Return the partition."""
        return self.number

    def offset(self) -> int:
        """Return the last offset of the batch."""
        return self.last

    def key(self) -> None:
        """Return no key."""

    def value(self) -> None:
        """Return no value."""

    def headers(self) -> None:
        """Return no headers."""

    def error(self) -> None:
        """Return no error: it has been dealt with."""

    def timestamp(self) -> tuple[int, int]:
        """Return no time."""
        return 0, 0

    def __len__(self) -> int:
        return 0

    def __str__(self) -> str:
        return (
            f"the batch of offsets {self.first} to {self.last} of {self.of}, partition"
            f" {self.number}, can't be decompressed"
        )


class UnreadableBatches:
    """Moves a consumer past batches that it can't read; used by the consumer's thread."""

    def __init__(self, kafka: Mapping[str, str], consumer: Consumer) -> None:
        self._kafka = kafka
        self._consumer = consumer
        self._vain = Counter[tuple[str, int, int]]()
        """The searches that came to nothing, by batch."""
        self._again_s = 0.0
        self._last: dict[tuple[str, int], int] = {}
        """The first offset of the batch that was stepped over last, by partition."""

    def read_anew(self, topic: str, partition: int) -> None:
        """Say that the consumer was sent to another place of a partition: it may meet all again."""
        self._last.pop((topic, partition), None)

    def stepped_over(self, report: Message) -> Message:
        """Return what stands for a batch that nobody can decompress, and go on behind it.

        Else the message itself: of other reports, and where its end can't be found just now.
        """
        error = report.error()
        if error is None or error.code() != KafkaError._BAD_COMPRESSION:  # noqa: SLF001 - its public name
            return report
        place = (report.topic() or "", report.partition() or 0, report.offset() or 0)
        topic, partition, first = place
        if self._last.get((topic, partition)) == first:
            return report  # one of several that had come before the step
        last = self._last_offset(place) if time.monotonic() >= self._again_s else None
        if last is None:
            return report
        del self._vain[place]
        found = UnreadableBatch(*place, last)
        try:
            self._consumer.seek(TopicPartition(topic, partition, last + 1))
        except KafkaException:
            return report  # the partition is another's now, or will be reported again
        self._last[topic, partition] = first
        _log.error("stepped over a record batch", batch=str(found), reason=error.str())
        return cast("Message", found)

    def is_damaged(self, report: Message) -> bool:
        """Return whether a batch's end was looked for often enough, and was not found."""
        place = (report.topic() or "", report.partition() or 0, report.offset() or 0)
        return self._vain[place] >= _SEARCHES

    def _last_offset(self, place: tuple[str, int, int]) -> int | None:
        """Return the end of the batch; None where it is damaged, or Kafka doesn't say in time."""
        topic, partition, first = place
        at = TopicPartition(topic, partition, first)
        search = _Search(self._kafka, at, time.monotonic() + _MOST_S)
        _log.warning("looking for the end of a record batch that can't be decompressed", at=str(at))
        try:
            return search.last_offset()
        except (KafkaException, _UnknownError) as error:
            self._vain[place] += 1
            self._again_s = time.monotonic() + _PAUSE_S
            _log.warning("its end can't be found just now", at=str(at), reason=str(error))
            return None
        finally:
            search.close()


class _UnknownError(Exception):
    """Nothing can be said of a place just now."""


class _Search:
    """Finds the end of one batch within the time that it has."""

    def __init__(self, kafka: Mapping[str, str], at: TopicPartition, until_s: float) -> None:
        self._at = at
        self._until_s = until_s
        self._probe = make_reader(kafka, "probe", _PROBE)
        self.close = self._probe.close

    def last_offset(self) -> int:
        """Return the last offset of the batch, found by bisection.

        Raises:
            _UnknownError, KafkaException: it is damaged, or Kafka doesn't say in time.
        """
        first = self._at.offset
        if not self._is_inside(first):
            raise _UnknownError("it is another's")
        _, behind = self._probe.get_watermark_offsets(self._at, self._left_s())
        inside, step = first, 1
        while behind - inside > 1:
            # By growing steps at first: a batch is short, and the log may be long.
            at = min(inside + step, (inside + behind) // 2)
            if self._is_inside(at):
                inside, step = at, step * 2
            else:
                behind = at
        return inside

    def _is_inside(self, offset: int) -> bool:
        """Return whether a fetch from there brings the batch."""
        self._probe.assign([TopicPartition(self._at.topic, self._at.partition, offset)])
        found = self._probe.poll(self._left_s())
        if found is None:
            raise _UnknownError("Kafka does not answer in time")
        error = found.error()
        if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            return False
        if error.code() != KafkaError._BAD_COMPRESSION:  # noqa: SLF001 - its public name
            raise _UnknownError(error.str())
        return found.offset() == self._at.offset

    def _left_s(self) -> float:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise _UnknownError(f"not in {_MOST_S:g} s")
        return left_s
