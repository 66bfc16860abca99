"""Steps over record batches that nobody can decompress: one of them would stop every reader.

Kafka's client reports such a batch by its first offset, and fetches it again for ever; how long it
is, the report doesn't say (librdkafka's pull request 5581 is to change that).
A fetch from any offset of a batch brings all of it, so its end is found by asking from others.
Where it brings another such batch, that is stepped over with it: a run of them costs its reader
a fetch or a few for each, and no more.

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
from schemas.clients.watermarks import watermarks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import Consumer, Message

_SEARCHES: Final = 3
"""So many come to nothing before a batch is said to hold up its readers."""
_MOST_S: Final = 10.0
"""Of one search: whoever reads waits for it, and is in a group, or answers a request."""
_PAUSE_S: Final = 1.0
"""After a search that came to nothing, and more after each: it is reported again and again."""
_PROBE: Final[dict[str, Any]] = {
    "enable.partition.eof": True,
    # Other readers would go on behind a damaged batch, if something follows in the same answer.
    "check.crcs": True,
    # A fetch brings at least one batch, however large (KIP-74); others are not asked for.
    "max.partition.fetch.bytes": 1,
    "queued.min.messages": 1,
}
_log = structlog.stdlib.get_logger("rollcall.kafka")


@dataclass(frozen=True, slots=True)
class UnreadableBatch:
    """Stands for all records of a run of such batches, one of them or more.

    It answers what a Kafka message does: a record without key and value, at the last offset.
    """

    of: str
    number: int
    first: int
    last: int
    batches: int = 1

    def topic(self) -> str:
        """Return the topic."""
        return self.of

    def partition(self) -> int:
        """Return the partition."""
        return self.number

    def offset(self) -> int:
        """Return the last offset of the run."""
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
        what = "the batch" if self.batches == 1 else f"the {self.batches} batches"
        return (
            f"{what} of offsets {self.first} to {self.last} of {self.of}, partition"
            f" {self.number}, can't be decompressed"
        )


class UnreadableBatches:
    """Moves a consumer past batches that it can't read; used by the consumer's thread."""

    def __init__(self, kafka: Mapping[str, str], consumer: Consumer) -> None:
        self._kafka = kafka
        self._consumer = consumer
        self._probe: Consumer | None = None
        """Asks for ends; made for the first batch, and kept."""
        self._vain = Counter[tuple[str, int, int]]()
        """The searches that came to nothing, by batch."""
        self._again_s: dict[tuple[str, int, int], float] = {}
        """When such a batch is looked at again."""
        self._stepped_to: dict[tuple[str, int], int] = {}
        """The last offset of what was stepped over last, by partition."""

    def read_anew(self, topic: str, partition: int) -> None:
        """Say that the consumer was sent to another place of a partition: it may meet all again."""
        self._stepped_to.pop((topic, partition), None)

    def stepped_over(self, report: Message) -> Message:
        """Return what stands for batches that nobody can decompress, and go on behind them.

        Else the message itself: of other reports, and where their end can't be found just now.
        """
        error = report.error()
        if error is None or error.code() != KafkaError._BAD_COMPRESSION:  # noqa: SLF001 - its public name
            return report
        place = _place_of(report)
        topic, partition, first = place
        if first <= self._stepped_to.get((topic, partition), -1):
            return report  # one of several that had come before the step
        found = self._run_at(place) if time.monotonic() >= self._again_s.get(place, 0) else None
        if found is None:
            return report
        try:
            self._consumer.seek(TopicPartition(topic, partition, found.last + 1))
        except KafkaException:
            return report  # the partition is another's now, or will be reported again
        self._stepped_to[topic, partition] = found.last
        _log.error("stepped over a record batch", batch=str(found), reason=error.str())
        return cast("Message", found)

    def is_damaged(self, report: Message) -> bool:
        """Return whether a batch's end was looked for often enough, and was not found."""
        return self._vain[_place_of(report)] >= _SEARCHES

    def close(self) -> None:
        """Close the client that looks for ends; the consumer is its owner's."""
        if self._probe is not None:
            self._probe.close()

    def _run_at(self, place: tuple[str, int, int]) -> UnreadableBatch | None:
        """Return the run that begins there; None: it is damaged, or Kafka doesn't say in time."""
        at = str(TopicPartition(*place))
        _log.warning("looking for the end of a record batch that can't be decompressed", at=at)
        topic, partition, first = place
        try:
            if self._probe is None:
                self._probe = make_reader(self._kafka, "probe", _PROBE)
            found = _Search(self._probe, topic, partition).run_at(first)
        except (KafkaException, _UnknownError) as error:
            self._vain[place] += 1
            self._again_s[place] = time.monotonic() + _PAUSE_S * self._vain[place]
            _log.warning("its end can't be found just now", at=at, reason=str(error))
            return None
        finally:
            if self._probe is not None:
                self._probe.unassign()
        del self._vain[place]
        self._again_s.pop(place, None)
        return found


def _place_of(report: Message) -> tuple[str, int, int]:
    return report.topic() or "", report.partition() or 0, report.offset() or 0


class _UnknownError(Exception):
    """Nothing can be said of a place just now."""


class _Search:
    """Finds the ends of batches of one partition within the time that it has."""

    def __init__(self, probe: Consumer, topic: str, partition: int) -> None:
        self._probe = probe
        self._place = (topic, partition)
        self._until_s = time.monotonic() + _MOST_S

    def run_at(self, first: int) -> UnreadableBatch:
        """Return the run of batches that begins there, or as much of it as there is time for.

        Raises:
            _UnknownError, KafkaException: the first is damaged, or Kafka doesn't say in time.
        """
        if self._batch_at(first) != first:
            raise _UnknownError("it is another's")
        _, end = watermarks(self._probe, TopicPartition(*self._place), self._left_s())
        following: int | None = first
        last, batches = first - 1, 0
        try:
            while following is not None and following == last + 1:
                last, following = self._end_of(following, end)
                batches += 1
        except (KafkaException, _UnknownError):
            if not batches:
                raise
        return UnreadableBatch(*self._place, first, last, batches)

    def _end_of(self, first: int, end: int) -> tuple[int, int | None]:
        """Return the last offset of a batch, found by bisection, and the batch known behind it."""
        inside, behind, step = first, end, 1
        following: int | None = None
        while behind - inside > 1:
            # By growing steps at first: a batch is short, and the log may be long.
            at = min(inside + step, (inside + behind) // 2)
            found = self._batch_at(at)
            if found == first:
                inside, step = at, step * 2
            else:
                behind, following = min(at, found or at), found
        return inside, following

    def _batch_at(self, offset: int) -> int | None:
        """Return the first offset of the batch that a fetch from there brings; None: readable."""
        self._probe.assign([TopicPartition(*self._place, offset)])
        found = self._probe.poll(self._left_s())
        if found is None:
            raise _UnknownError("Kafka does not answer in time")
        error = found.error()
        if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            return None
        if error.code() != KafkaError._BAD_COMPRESSION:  # noqa: SLF001 - its public name
            raise _UnknownError(error.str())
        return found.offset()

    def _left_s(self) -> float:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise _UnknownError(f"not in {_MOST_S:g} s")
        return left_s
