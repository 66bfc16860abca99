"""Asks Kafka for the consumer lag: the ends of `user-events`, and the processors' offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from ingest_api.errors import LogUnavailableError
from schemas.clients.partition_offsets import PartitionOffsets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.log.topics import Topic

_TIMEOUT_S: Final = 5.0


class ConsumerLag:
    """Asks Kafka for offsets, as lists by partition."""

    def __init__(self, kafka: Mapping[str, str], topic: Topic, group: str) -> None:
        self._places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        self._group = group
        self._offsets = PartitionOffsets(kafka, timeout_s=_TIMEOUT_S)

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
        request = ConsumerGroupTopicPartitions(self._group, self._places)
        answers = cast(
            "dict[str, Any]",
            self._offsets.admin.list_consumer_group_offsets([request], request_timeout=_TIMEOUT_S),
        )
        try:
            found = answers[self._group].result().topic_partitions
        except KafkaException as error:
            raise LogUnavailableError(str(error)) from error
        offsets = {place.partition: max(0, place.offset) for place in found}
        return [offsets.get(place.partition, 0) for place in self._places]
