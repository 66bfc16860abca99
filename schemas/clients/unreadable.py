"""Steps over record batches that nobody can decompress: one of them would stop every reader.

Kafka's client reports such a batch by its first offset, and fetches it again for ever; how long it
is, the report doesn't say (librdkafka's pull request 5581 is to change that).
A fetch from any offset of a batch brings all of it, so its end is found by asking from others.

It is stepped over where its checksum is right: then it is as its producer made it, and no client of
ours makes such a batch.  What a disk has damaged has a wrong one, and holds up its readers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from schemas.clients.kafka import make_reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import Consumer, Message

_TRIES: Final = 3
"""So often it is read in vain, in case that it was this once."""
_ASK_S: Final = 5.0
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
        self._tries = Counter[tuple[str, int, int]]()
        self._last: dict[tuple[str, int], int] = {}
        """The first offset of the batch that was stepped over last, by partition."""

    def read_anew(self, topic: str, partition: int) -> None:
        """Say that the consumer was sent to another place of a partition: it may meet all again."""
        self._last.pop((topic, partition), None)

    def stepped_over(self, report: Message) -> Message:
        """Return what stands for a batch that was reported often enough, and go on behind it.

        Else the message itself: of other reports, before, where its end can't be found just now.
        """
        error = report.error()
        if error is None or error.code() != KafkaError._BAD_COMPRESSION:  # noqa: SLF001 - its public name
            return report
        place = (report.topic() or "", report.partition() or 0, report.offset() or 0)
        topic, partition, first = place
        if self._last.get((topic, partition)) == first:
            return report  # one of several that had come before the step
        self._tries[place] += 1
        last = self._last_offset(*place) if self._tries[place] >= _TRIES else None
        if last is None:
            return report
        del self._tries[place]
        found = UnreadableBatch(*place, last)
        try:
            self._consumer.seek(TopicPartition(topic, partition, last + 1))
        except KafkaException:
            return report  # the partition is another's now, or will be reported again
        self._last[topic, partition] = first
        _log.error("stepped over a record batch", batch=str(found), reason=error.str())
        return cast("Message", found)

    def is_damaged(self, report: Message) -> bool:
        """Return whether a batch was reported often enough, and could not be stepped over."""
        place = (report.topic() or "", report.partition() or 0, report.offset() or 0)
        return self._tries[place] >= _TRIES

    def _last_offset(self, topic: str, partition: int, first: int) -> int | None:
        """Find the end of the batch by bisection; None where it is damaged, or Kafka is silent."""
        probe = make_reader(self._kafka, "probe", _PROBE)
        try:
            _, high = probe.get_watermark_offsets(TopicPartition(topic, partition), _ASK_S)
            if not _is_inside(probe, TopicPartition(topic, partition, first), first):
                return None
            inside, behind = first, high
            step = 1
            while behind - inside > 1:
                # By growing steps at first: a batch is short, and the log may be long.
                at = min(inside + step, (inside + behind) // 2)
                is_inside = _is_inside(probe, TopicPartition(topic, partition, at), first)
                if is_inside is None:
                    return None
                inside, behind = (at, behind) if is_inside else (inside, at)
                step = step * 2 if is_inside else step
        except KafkaException:
            return None
        finally:
            probe.close()
        return inside


def _is_inside(probe: Consumer, at: TopicPartition, first: int) -> bool | None:
    """Return whether a fetch from there brings the batch that begins at ``first``."""
    probe.assign([at])
    found: Any = probe.poll(_ASK_S)
    if found is None:
        return None
    error = found.error()
    is_unreadable = error is not None and error.code() == KafkaError._BAD_COMPRESSION  # noqa: SLF001 - its public name
    return is_unreadable and found.offset() == first
