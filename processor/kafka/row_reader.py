"""Reads single rows again from ``user-events``, outside the consumer group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaException, TopicPartition

from processor.kafka.schema_cache import WriterSchemas
from schemas.clients.kafka import make_reader
from schemas.codec import codec
from schemas.events import UserRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka import Consumer

    from schemas.config.settings import Settings

_READ_RECORDS: Final = 5_000
_READ_TIMEOUT_S: Final = 0.02


class LogReader:
    """Gives rows by their log position, in one pass forward over the partition."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._schemas = WriterSchemas(settings.schema_registry)

    def read_rows(self, partition: int, offsets: list[int]) -> Iterator[tuple[int, UserRow]]:
        """The rows at these ascending offsets; blocks until Kafka has given them all.

        Raises:
            KafkaException: the log no longer holds them.
            RegistryUnreachableError: one is in a schema that cannot be had now.
        """
        if not offsets:
            return
        consumer = make_reader(self._settings.kafka, "reader")
        try:
            topic = self._settings.topics.user_events.name
            consumer.assign([TopicPartition(topic, partition, offsets[0])])
            yield from self._wanted_rows(consumer, offsets)
        finally:
            consumer.close()

    def _wanted_rows(self, consumer: Consumer, offsets: list[int]) -> Iterator[tuple[int, UserRow]]:
        wanted = set(offsets)
        while wanted:
            for message in consumer.consume(_READ_RECORDS, _READ_TIMEOUT_S):
                if error := message.error():
                    raise KafkaException(error)
                offset = message.offset()
                if offset in wanted:
                    wanted.discard(offset)
                    self._schemas.learn([message.value()])
                    row = codec.decode(message.value())
                    assert isinstance(row, UserRow), "only rows become users"
                    yield offset, row
