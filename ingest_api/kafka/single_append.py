"""Appends single events and waits for them: too rare to keep a producer for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaException

from schemas.clients.kafka import make_producer
from schemas.codec.codec import encode
from schemas.log.digests import digest_headers

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

    from schemas.config.settings import Settings
    from schemas.events import Event
    from schemas.log.topics import Topic

_TIMEOUT_S: Final = 10.0


def append_job_event(settings: Settings, event: Event, key: bytes) -> str | None:
    """Append the event to `job-events`, as :func:`append_to_each` does."""
    return append_to_each(settings, settings.topics.job_events, event, key)


def append_to_each(settings: Settings, topic: Topic, event: Event, key: bytes) -> str | None:
    """Append the event to each partition, signed where there is a key; wait for acknowledgement.

    Return why it is not, where it isn't: then it may be in the log all the same.
    """
    failures: list[str] = []

    def note(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error.str())

    value = encode(event)
    headers: Any = digest_headers(settings.keyring, topic.name, key, value)
    try:
        producer = make_producer(settings.kafka, {"message.timeout.ms": int(_TIMEOUT_S * 1000)})
        for partition in range(topic.partitions):
            producer.produce(topic.name, value, key, partition, note, headers=headers)
        unsent = producer.flush(2 * _TIMEOUT_S)
    except KafkaException as error:
        return str(error)
    if unsent or failures:
        return ", ".join(failures) or "no answer"
    return None
