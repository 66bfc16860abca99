"""Asks Kafka for the first or the end offsets of partitions, also after their leaders changed."""

from __future__ import annotations

from concurrent.futures import wait
from typing import TYPE_CHECKING, Any, cast

from confluent_kafka import KafkaException

from schemas.clients.kafka import make_admin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient, OffsetSpec


class PartitionOffsets:
    """Asks by ``admin``, which is another client after each failure.

    A client keeps the leaders' epochs that it has learned at first and asks with them for many
    minutes: after a change of leader each answer is FENCED_LEADER_EPOCH (librdkafka 2.16).
    """

    def __init__(self, kafka: Mapping[str, str], *, timeout_s: float) -> None:
        self._kafka = kafka
        self._timeout_s = timeout_s
        self.admin: AdminClient = make_admin(kafka)

    def ask(self, places: Sequence[TopicPartition], spec: OffsetSpec | None) -> list[int]:
        """Return the offset of each place; the library's types say that a spec may be None.

        Raises:
            KafkaException: one is not known now.
        """
        asked: dict[Any, Any] = dict.fromkeys(places, spec)
        try:
            answers = cast(
                "dict[Any, Any]", self.admin.list_offsets(asked, request_timeout=self._timeout_s)
            )
            wait(answers.values())  # a client must outlive its futures
            return [answers[place].result().offset for place in places]
        except KafkaException:
            self.admin = make_admin(self._kafka)
            raise
