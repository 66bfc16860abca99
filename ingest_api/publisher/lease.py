"""The publishers' lease: the one works to which Kafka's group assigns `job-events`.

Nothing depends on there being only one: repeats of a pass are skipped by the
projection.
The lease saves work, and its committed offset says how far publishing has come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from confluent_kafka import OFFSET_END, KafkaException, TopicPartition

from ingest_api.errors import LeaseLostError
from schemas.clients.kafka import MEMBER, make_consumer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import Consumer

_TIMEOUT_S: Final = 5.0


class PublisherLease:
    """A member of the publishers' group; used by one thread.

    ``term`` grows with each assignment, so that its holder notices one that came between.
    """

    def __init__(self, kafka: Mapping[str, str], group: str, topic: str) -> None:
        self.term = 0
        self.is_held = False
        self._place = (topic, 0)
        properties = MEMBER | {"socket.timeout.ms": int(_TIMEOUT_S * 1000)}
        self._consumer = make_consumer(kafka, group, properties)
        self._consumer.subscribe(
            [topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Nothing is read through the group: the ledger needs the log from its beginning.
        places = [TopicPartition(place.topic, place.partition, OFFSET_END) for place in partitions]
        consumer.incremental_assign(places)
        consumer.pause(places)
        if partitions:
            self.term += 1
            self.is_held = True

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_unassign(partitions)
        if partitions:
            self.is_held = False

    def poll(self) -> None:
        """Take part in the group; must be called every few seconds, and does not block."""
        self._consumer.poll(0)

    def next_offset(self) -> int | None:
        """Return the offset in `job-events` to resume from; None if no publisher ever committed.

        Raises:
            LeaseLostError: Kafka does not answer.
        """
        try:
            committed = self._consumer.committed([TopicPartition(*self._place)], _TIMEOUT_S)
        except KafkaException as error:
            raise LeaseLostError(str(error)) from error
        offset = committed[0].offset
        return offset if offset >= 0 else None

    def commit(self, next_offset: int) -> None:
        """Commit the offset that publishing resumes from.

        Raises:
            LeaseLostError: the offset may or may not have been taken.
        """
        place = TopicPartition(*self._place, next_offset)
        try:
            self._consumer.commit(offsets=[place], asynchronous=False)
        except KafkaException as error:
            raise LeaseLostError(str(error)) from error

    def close(self) -> None:
        """Leave the group, so that another publisher takes over at once."""
        self._consumer.close()
