"""Checks that topics still begin with their first records: what is made of a log needs them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from confluent_kafka import TopicPartition
from confluent_kafka.admin import OffsetSpec

from schemas.clients.errors import KafkaUnreachableError, kafka_asked
from schemas.clients.partition_offsets import PartitionOffsets
from schemas.log.truncation import truncated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.log.topics import Topic

_TIMEOUT_S: Final = 4.0
_PAUSE_S: Final = 0.05


class LogStart:
    """Asks Kafka where these topics begin, each time: records may be removed at any time."""

    def __init__(self, kafka: Mapping[str, str], *topics: Topic) -> None:
        self._places = [
            TopicPartition(topic.name, partition)
            for topic in topics
            for partition in range(topic.partitions)
        ]
        self._offsets = PartitionOffsets(kafka, timeout_s=_TIMEOUT_S)

    def missing(self) -> str | None:
        """Say what is missing, and what to do, of the first partition that is cut off; else None.

        Raises:
            KafkaUnreachableError: Kafka does not answer, or a topic is not there.
        """
        for place, begin in zip(self._places, self._begins(), strict=True):
            if begin > 0:
                return truncated(place.topic, place.partition, begin)
        return None

    def _begins(self) -> list[int]:
        deadline_s = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                return self._ask()
            except KafkaUnreachableError:
                # The leader may have moved, or not yet been elected for a new topic.
                if time.monotonic() > deadline_s:
                    raise
            time.sleep(_PAUSE_S)

    def _ask(self) -> list[int]:
        with kafka_asked("where its topics begin"):
            return self._offsets.ask(self._places, OffsetSpec.earliest())
