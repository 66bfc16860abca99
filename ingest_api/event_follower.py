"""A topic's events from its beginning on, for whoever polls."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from schemas.codec import UndecodableError, decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from confluent_kafka import Message

    from schemas.events import Event
    from schemas.topics import Topic

_BATCH: Final = 1000
_kafka_log = logging.getLogger("rollcall.kafka")
_log = structlog.stdlib.get_logger("rollcall.publisher")


class EventFollower:
    """Reads every partition of a topic, outside any group; used by one thread."""

    def __init__(self, kafka: Mapping[str, str], topic: Topic) -> None:
        config: dict[str, Any] = {
            **kafka,
            "group.id": "rollcall-followers",  # required, and never joined
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.error.backoff.ms": 20,
            "reconnect.backoff.max.ms": 1000,
        }
        self._unread = set(range(topic.partitions))
        self._consumer = Consumer(config, logger=_kafka_log)
        self._consumer.assign(
            [
                TopicPartition(topic.name, partition, OFFSET_BEGINNING)
                for partition in range(topic.partitions)
            ]
        )

    @property
    def has_caught_up(self) -> bool:
        """Whether every partition has once been read to its end."""
        return not self._unread

    def poll(self, timeout_s: float) -> Iterator[tuple[int, Event]]:
        """Offsets and events that have come; waits so long for the first of them."""
        first = self._consumer.poll(timeout_s)
        if first is None:
            return
        yield from self._events(first)
        for message in self._consumer.consume(_BATCH, 0):
            yield from self._events(message)

    def _events(self, message: Message) -> Iterator[tuple[int, Event]]:
        error = message.error()
        offset = message.offset()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                self._unread.discard(message.partition() or 0)
            return  # librdkafka goes on by itself after every other error
        try:
            yield offset or 0, decode(message.value())
        except UndecodableError as reason:
            # All readers skip it alike, so it changes nothing that they agree on.
            _log.warning(
                "record is no event", topic=message.topic(), offset=offset, code=reason.code
            )

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
