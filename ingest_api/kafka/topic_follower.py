"""Follows the events of a topic from its first record on."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

import structlog
from confluent_kafka import KafkaError, TopicPartition

from schemas.clients.event_schemas import OWN_SCHEMAS
from schemas.clients.kafka import READ_TO_END, make_reader
from schemas.codec.codec import UndecodableError
from schemas.codec.registry_protocol import RegistryUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from confluent_kafka import Message

    from schemas.clients.event_schemas import EventSchemas
    from schemas.events import Event
    from schemas.log.topics import Topic

_BATCH: Final = 1000
_log = structlog.stdlib.get_logger("rollcall.publisher")


class TopicFollower:
    """Reads every partition of a topic, outside any group; used by one thread."""

    def __init__(
        self, kafka: Mapping[str, str], topic: Topic, schemas: EventSchemas = OWN_SCHEMAS
    ) -> None:
        self._schemas = schemas
        self._waiting: deque[Message] = deque()
        self.first_offset: int | None = None
        """Of the first record that was read, whatever it is."""
        self._unread = set(range(topic.partitions))
        self._consumer = make_reader(kafka, "follower", READ_TO_END)
        # From 0, because librdkafka takes half a second to find out what OFFSET_BEGINNING is.
        self._consumer.assign(
            [TopicPartition(topic.name, partition, 0) for partition in range(topic.partitions)]
        )

    @property
    def has_caught_up(self) -> bool:
        """Whether every partition has been read to its end once."""
        return not self._unread

    def poll(self, timeout_s: float) -> Iterator[tuple[int, Event]]:
        """Yield offset and event of what has come; wait up to the time-out for the first.

        Where an event's schema can't be fetched now, it and all after it come in a later call.
        """
        if not self._waiting:
            first = self._consumer.poll(timeout_s)
            self._waiting += [] if first is None else [first, *self._consumer.consume(_BATCH, 0)]
        while self._waiting:
            try:
                found = self._event(self._waiting[0])
            except RegistryUnreachableError:
                time.sleep(timeout_s)
                return
            self._waiting.popleft()
            if found is not None:
                yield found

    def _event(self, message: Message) -> tuple[int, Event] | None:
        error = message.error()
        offset = message.offset()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                self._unread.discard(message.partition() or 0)
            return None  # librdkafka goes on by itself after every other error
        if self.first_offset is None:
            self.first_offset = offset
        try:
            return offset or 0, self._schemas.decode(message.value())
        except UndecodableError as reason:
            # All readers skip it alike, so it changes nothing that they agree on.
            _log.warning(
                "record is no event", topic=message.topic(), offset=offset, code=reason.code
            )
            return None

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()
