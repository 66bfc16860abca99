"""Reads some partitions of a topic outside of every group, each from a given offset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from confluent_kafka import TopicPartition

from processor.kafka.log_bounds import check_log_holds, raise_if_gone
from schemas.clients.kafka import make_reader
from schemas.clients.ranges import is_end
from schemas.clients.unreadable import UnreadableBatches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import Message


class PartitionReader:
    """Used by one thread; ``ends`` are the offsets at which partitions were found to end."""

    def __init__(
        self, kafka: Mapping[str, str], topic: str, purpose: str, properties: Mapping[str, Any]
    ) -> None:
        self.ends: dict[int, int] = {}
        self._topic = topic
        self._assigned: set[int] = set()
        self._consumer = make_reader(kafka, purpose, {"enable.partition.eof": True, **properties})
        self._unreadable = UnreadableBatches(kafka, self._consumer)

    def check_holds(self, partition: int, needed: range) -> None:
        """Return where the log has these offsets; blocks for Kafka's answer.

        Raises:
            KafkaUnreachableError: Kafka does not answer.
            RefusedToStartError: records were lost or removed.
        """
        check_log_holds(self._consumer, self._topic, partition, needed)

    def read_only(self, next_offsets: Mapping[int, int]) -> None:
        """Read these partitions and no others; those that are new, from these offsets on."""
        partitions = set(next_offsets)
        done, new = self._assigned - partitions, partitions - self._assigned
        if done:
            self._consumer.incremental_unassign(
                [TopicPartition(self._topic, partition) for partition in done]
            )
        for partition in new:
            self._unreadable.read_anew(self._topic, partition)
        if new:
            self._consumer.incremental_assign(
                [TopicPartition(self._topic, each, next_offsets[each]) for each in new]
            )
        self._assigned = partitions

    def read(self, most: int, wait_s: float) -> tuple[list[Message], list[str]]:
        """Wait for a first record, then take what else is there; and what librdkafka reports.

        Raises:
            RefusedToStartError: the log does not hold what comes next.
        """
        first = self._consumer.poll(wait_s)
        if first is None:
            return [], []
        messages = [first, *self._consumer.consume(most, 0.005)]
        # As few steps as can be: this is done for every record of the log.
        if any(message.error() is not None for message in messages):
            messages = [self._unreadable.stepped_over(message) for message in messages]
        reports = [message for message in messages if message.error() is not None]
        if reports:
            messages = [message for message in messages if message.error() is None]
        return messages, [reason for report in reports if (reason := self._note(report))]

    def _note(self, report: Message) -> str:
        error = report.error()
        assert error is not None, "it is no record"
        if is_end(error):
            self.ends[report.partition() or 0] = report.offset() or 0
            return ""
        raise_if_gone(error, report)
        return error.str()

    def close(self) -> None:
        """Leave Kafka."""
        self._unreadable.close()
        self._consumer.close()
