"""Appends one record to `job-events` and waits for it: too rare to keep a producer for it."""

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

_TIMEOUT_S: Final = 10.0


def append_job_event(settings: Settings, event: Event, key: bytes) -> str | None:
    """Append the event, signed where there is a key, and return once it is acknowledged.

    Return why it is not, where it isn't: then it may be in the log all the same.
    """
    failures: list[str] = []

    def note(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error.str())

    topic, value = settings.topics.job_events.name, encode(event)
    headers: Any = digest_headers(settings.keyring, topic, key, value)
    try:
        producer = make_producer(settings.kafka, {"message.timeout.ms": int(_TIMEOUT_S * 1000)})
        producer.produce(topic, value, key, partition=0, on_delivery=note, headers=headers)
        unsent = producer.flush(2 * _TIMEOUT_S)
    except KafkaException as error:
        return str(error)
    if unsent or failures:
        return ", ".join(failures) or "no answer"
    return None
