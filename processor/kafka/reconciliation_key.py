"""Which reconciliation key the log was made for, read from the beginning of `job-events`.

The processor only checks it: the API's side says it, before the first job.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from processor.errors import NotReadyError, RefusedToStartError
from processor.kafka.schema_cache import WriterSchemas
from schemas.clients.kafka import READ_TO_END, make_reader
from schemas.codec.codec import UndecodableError, decode
from schemas.codec.framing import unknown_id
from schemas.events import JobAccepted, LogConfigured

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

    from schemas.config.settings import Settings

_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.2


def check_key(settings: Settings) -> None:
    """Return where the log is one for the reconciliation key that is set, or says nothing yet.

    Raises:
        NotReadyError: Kafka does not answer, or the topic is not there yet.
        RefusedToStartError: the log was made for another key, or is written by ids of a
            schema registry, and none is set.
        RegistryUnreachableError: the first records are in a schema that cannot be had now.
    """
    made_for = _fetch_key(settings)
    if made_for is not None and (mismatch := settings.key_mismatch(made_for)):
        raise RefusedToStartError(mismatch)


def _fetch_key(settings: Settings) -> str | None:
    topic = settings.topics.job_events.name
    consumer = make_reader(settings.kafka, "log-key", READ_TO_END)
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return _first_key(consumer, topic, WriterSchemas(settings.schema_registry))
    except KafkaException as error:
        raise NotReadyError(f"topic {topic}: {error}") from error
    finally:
        consumer.close()


def _first_key(consumer: Consumer, topic: str, schemas: WriterSchemas) -> str | None:
    deadline_s = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline_s:
        message = consumer.poll(_POLL_S)
        if message is None:
            continue
        error = message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            return None
        if error is None and (key := _key_of(message, schemas)) is not None:
            return key
    raise NotReadyError(f"topic {topic} does not answer")


def _key_of(message: Message, schemas: WriterSchemas) -> str | None:
    value = message.value()
    schemas.learn([value])
    if unknown_id(value) is not None:
        raise RefusedToStartError(
            "The first records of job-events were written by a schema registry's ids, and none"
            " is set: set ROLLCALL_SCHEMA_REGISTRY_URL as it was when they were written."
        )
    try:
        event = decode(value)
    except UndecodableError:
        return None  # the API's side skips it alike
    return event.reconciliation_key if isinstance(event, LogConfigured | JobAccepted) else None
