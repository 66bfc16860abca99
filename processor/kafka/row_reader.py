"""Reads single rows again from `user-events`, outside the consumer group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.clients.event_schemas import EventSchemas
from schemas.clients.ranges import Range, RangeReader
from schemas.codec import codec
from schemas.events import UserRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.config.settings import Settings

_READ_RECORDS: Final = 5_000
_READ_TIMEOUT_S: Final = 0.02


class LogReader:
    """Gives rows by their log position, in one pass forward over the partition."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._schemas = EventSchemas(settings.schema_registry)

    def read_rows(self, partition: int, offsets: list[int]) -> Iterator[tuple[int, UserRow]]:
        """Yield the rows at these ascending offsets; blocks until Kafka has given them all.

        Raises:
            RecordsGoneError: the log no longer holds them.
            KafkaUnreachableError: Kafka does not answer.
            RegistryUnreachableError: one is in a schema that cannot be had now.
        """
        if not offsets:
            return
        wanted = set(offsets)
        topic = self._settings.topics.user_events.name
        log_range = Range(topic, partition, offsets[0], offsets[-1] + 1)
        with RangeReader(self._settings.kafka, "reader") as reader:
            for messages in reader.batches(
                log_range, at_once=_READ_RECORDS, wait_s=_READ_TIMEOUT_S
            ):
                for message in messages:
                    if message.offset() in wanted:
                        yield message.offset() or 0, self._row(message.value())

    def _row(self, value: bytes | None) -> UserRow:
        self._schemas.learn([value])
        row = codec.decode(value)
        assert isinstance(row, UserRow), "only rows become users"
        return row
