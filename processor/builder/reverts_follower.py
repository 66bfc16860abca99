"""Which jobs are reverted, followed in `job-events` for whoever builds an instance.

The rule itself is :mod:`schemas.log.reverts`, which the API's side follows too.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from processor.builder.log_offsets import check_beginning
from processor.decoding.records import recorded_at
from processor.errors import NotReadyError
from processor.kafka.schema_cache import WriterSchemas
from schemas.clients.kafka import make_reader
from schemas.codec.codec import UndecodableError, decode
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.log.reverts import Reverts

if TYPE_CHECKING:
    from confluent_kafka import Message

    from schemas.config.settings import Settings

_QUIET_S: Final = 10.0
_POLL_S: Final = 0.2
_BATCH: Final = 1000


class RevertsFollower:
    """Reads `job-events` from its beginning on, outside any group."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.job_events.name
        self._reverts = Reverts()
        self._schemas = WriterSchemas(settings.schema_registry)
        self._waiting: list[Message] = []
        self._has_caught_up = False
        self._consumer = make_reader(settings.kafka, "reverts", {"enable.partition.eof": True})
        self._consumer.assign([TopicPartition(self._topic, 0, 0)])

    def read(self) -> Reverts:
        """What the topic says up to its end; blocks until that was reached for the first time.

        Raises:
            LogTruncatedError: the first records are gone, and with them what was undone.
            NotReadyError: Kafka does not answer, or the topic is not there, or an event is in a
                schema that cannot be had now; the next call goes on from there.
        """
        if not self._has_caught_up:
            self._check_beginning()
        deadline_s = time.monotonic() + _QUIET_S
        while (messages := self._consume()) or not self._has_caught_up:
            self._learn_schemas(messages)
            for message in messages:
                self._take(message)
                deadline_s = time.monotonic() + _QUIET_S
            if time.monotonic() > deadline_s:
                raise NotReadyError(f"topic {self._topic} does not answer")
        return self._reverts

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()

    def _check_beginning(self) -> None:
        """Else jobs whose undo is gone would be taken for jobs that count."""
        try:
            check_beginning(self._consumer, self._topic, 0)
        except KafkaException as error:
            raise NotReadyError(f"topic {self._topic}: {error}") from error

    def _learn_schemas(self, messages: list[Message]) -> None:
        """No event may be left out: all readers must agree on which jobs are reverted."""
        self._waiting = messages
        try:
            self._schemas.learn_all(m.value() for m in messages if m.error() is None)
        except RegistryUnreachableError as error:
            raise NotReadyError(f"topic {self._topic}: {error}") from error
        self._waiting = []

    def _consume(self) -> list[Message]:
        if self._waiting:
            return self._waiting
        first = self._consumer.poll(0 if self._has_caught_up else _POLL_S)
        return [] if first is None else [first, *self._consumer.consume(_BATCH, 0)]

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is None:
            apply_record(self._reverts, message)
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            self._has_caught_up = True
        # librdkafka goes on by itself after every other error


def apply_record(reverts: Reverts, message: Message) -> None:
    """Read the record that comes next; what is no event changes nothing."""
    try:
        event = decode(message.value())
    except UndecodableError:
        return  # the API's side skips it alike
    reverts.apply(message.offset() or 0, event, recorded_at(message))
