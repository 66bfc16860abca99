"""In which topics the log is now, as `job-events` of each version says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from processor.errors import NotReadyError
from schemas.clients.kafka import READ_TO_END, make_admin, make_reader
from schemas.codec.codec import UndecodableError, decode
from schemas.log.moves import LogMoves, oldest_version

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

    from schemas.config.settings import Settings

_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.2
_BATCH: Final = 1000


def at_current_version(settings: Settings) -> Settings:
    """The settings with the topics in which the log is now; reads `job-events` to its end.

    Raises:
        NotReadyError: Kafka does not answer.
    """
    try:
        names = set(make_admin(settings.kafka).list_topics(timeout=_TIMEOUT_S).topics)
        found = settings.at_version(oldest_version(names, settings.first_topics.job_events.name))
        while found.topics.job_events.name in names:
            moved_to = _fetch_moves(found).moved_to
            if moved_to is None:
                break
            found = settings.at_version(moved_to)
    except KafkaException as error:
        raise NotReadyError(f"Kafka: {error}") from error
    return found


def _fetch_moves(settings: Settings) -> LogMoves:
    topic = settings.topics.job_events.name
    consumer = make_reader(settings.kafka, "log-version", READ_TO_END)
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return _read_to_end(consumer, topic)
    finally:
        consumer.close()


def _read_to_end(consumer: Consumer, topic: str) -> LogMoves:
    moves = LogMoves()
    deadline_s = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline_s:
        message = consumer.poll(_POLL_S)
        if message is None:
            continue
        for each in (message, *consumer.consume(_BATCH, 0)):
            error = each.error()
            if error is None:
                _apply(moves, each)
                deadline_s = time.monotonic() + _TIMEOUT_S
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                return moves
    raise NotReadyError(f"topic {topic} does not answer")


def _apply(moves: LogMoves, message: Message) -> None:
    try:
        moves.apply(decode(message.value()))
    except UndecodableError:
        return  # the API's side skips it alike
