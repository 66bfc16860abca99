"""Asks Kafka for the consumer lag: the ends of `user-events`, and the processors' offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from ingest_api.errors import LogUnavailableError
from schemas.clients.kafka import make_consumer
from schemas.clients.partition_offsets import PartitionOffsets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.log.topics import Topic

_TIMEOUT_S: Final = 5.0


class ConsumerLag:
    """Asks Kafka for offsets, as lists by partition."""

    def __init__(self, kafka: Mapping[str, str], topic: Topic, group: str) -> None:
        self._places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        self._offsets = PartitionOffsets(kafka, timeout_s=_TIMEOUT_S)
        # Never subscribes. An AdminClient that asks for a group's offsets ends its process with
        # SIGSEGV where the answer is that the coordinator is another or loads (librdkafka 2.16).
        self._group = make_consumer(kafka, group)

    def positions(self) -> tuple[int, ...]:
        """Return the offsets that grow while a job is published or applied.

        Raises:
            LogUnavailableError: Kafka does not answer.
        """
        return (*self.ends(), *self.next_offsets())

    def ends(self) -> list[int]:
        """Return the offset after the last record of each partition.

        Raises:
            LogUnavailableError: Kafka does not answer.
        """
        try:
            return self._offsets.ask(self._places, OffsetSpec.latest())
        except KafkaException as error:
            raise LogUnavailableError(str(error)) from error

    def next_offsets(self) -> list[int]:
        """Return the offsets that the processors have committed by partition; 0 before they have.

        Raises:
            LogUnavailableError: Kafka does not answer.
        """
        try:
            found = self._group.committed(self._places, _TIMEOUT_S)
        except KafkaException as error:
            raise LogUnavailableError(str(error)) from error
        if unknown := next((place.error for place in found if place.error), None):
            raise LogUnavailableError(str(unknown))
        return [max(0, place.offset) for place in found]
