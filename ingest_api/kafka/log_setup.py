"""Makes the log ready for use: its topics, its schemas, and its reconciliation key.

Keys of events are values of the reconciliation key, so a log keeps one key for ever.
Its first ``LogConfigured`` names the key, or its first job where the log is older than
that event.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaException

from ingest_api.errors import LogUnavailableError
from ingest_api.kafka.log_moved import LogMovedError
from ingest_api.kafka.log_start import LogStart
from ingest_api.kafka.topic_follower import TopicFollower
from ingest_api.kafka.topic_setup import TopicSetupError, ensure_topics, topic_names
from schemas.clients.event_schemas import EventSchemas
from schemas.clients.kafka import make_producer
from schemas.codec.codec import encode
from schemas.codec.registry_protocol import RegistryRefusedError, RegistryUnreachableError
from schemas.events import JobAccepted, LogConfigured
from schemas.log.moves import LogMoves, oldest_version

if TYPE_CHECKING:
    from schemas.config.settings import Settings
    from schemas.log.topics import Topic

_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.2
_KEY: Final = b"log"


class LogMismatchError(Exception):
    """Settings don't fit the log or the schema registry; the message says what to do."""


def ensure_log(settings: Settings) -> None:
    """Create what topics are missing, register schemas, and check the reconciliation key.

    Blocks for half a minute at most, for a few seconds where Kafka is down.
    May be called again, and by several processes at once.

    Raises:
        TopicSetupError: Kafka or the schema registry cannot be reached, or a topic that exists
            is not usable, or job-events has lost its beginning.
        LogMismatchError: the log was made for another reconciliation key, or the registry will
            not have our schemas.
        LogMovedError: the log is in the topics of another version than these settings name.
    """
    found = at_current_version(settings)
    if found.topics != settings.topics:
        # Before any topic is made: those of a version that was left are not to come back.
        raise LogMovedError(found.log_version, found.topics.user_events.partitions)
    ensure_topics(settings)
    _check_beginning(settings)
    schemas = EventSchemas(settings.schema_registry)
    _register(schemas, settings)
    made_for = fetch_key(settings, schemas)
    if made_for is None:
        _append_key(settings)
        # Another process may have done so before, for another key: the first counts.
        made_for = fetch_key(settings, schemas)
    if made_for is None:
        raise TopicSetupError("Kafka does not show what was appended to job-events.")
    if mismatch := settings.key_mismatch(made_for):
        raise LogMismatchError(mismatch)


def at_current_version(settings: Settings) -> Settings:
    """Return the settings with the topics in use, as `job-events` of all versions say.

    Raises:
        TopicSetupError: Kafka cannot be asked.
    """
    names = topic_names(settings)
    found = settings.at_version(oldest_version(names, settings.first_topics.job_events.name))
    while found.topics.job_events.name in names:
        moved = fetch_moves(settings, found.topics.job_events).moved
        if moved is None:
            break
        # The move decides how many there are, whatever the settings say.
        found = settings.with_partitions(moved.partitions).at_version(moved.version)
    return found


def fetch_moves(settings: Settings, job_events: Topic) -> LogMoves:
    """Read the moves from one version of `job-events`, up to its end.

    Raises:
        TopicSetupError: Kafka cannot be asked.
    """
    moves = LogMoves()
    follower = TopicFollower(settings.kafka, job_events, EventSchemas(settings.schema_registry))
    deadline_s = time.monotonic() + _TIMEOUT_S
    try:
        while not follower.has_caught_up:
            for _, event in follower.poll(_POLL_S):
                moves.apply(event)
                deadline_s = time.monotonic() + _TIMEOUT_S
            if time.monotonic() > deadline_s:
                raise TopicSetupError(f"Kafka can't be asked for the records of {job_events.name}.")
    finally:
        follower.close()
    return moves


def _check_beginning(settings: Settings) -> None:
    """Refuse a truncated `job-events`: it would seem never to have named a key."""
    try:
        missing = LogStart(settings.kafka, settings.topics.job_events).missing()
    except LogUnavailableError as error:
        raise TopicSetupError(f"Kafka can't be asked where job-events begins: {error}") from error
    if missing is not None:
        raise TopicSetupError(missing)


def _register(schemas: EventSchemas, settings: Settings) -> None:
    try:
        schemas.register(settings.topics)
    except RegistryUnreachableError as error:
        raise TopicSetupError(f"The schema registry can't be reached: {error}.") from error
    except RegistryRefusedError as error:
        raise LogMismatchError(str(error)) from error


def fetch_key(settings: Settings, schemas: EventSchemas) -> str | None:
    """Return the reconciliation key that the log was made for, or None where it names none.

    Raises:
        TopicSetupError: Kafka cannot be asked.
    """
    follower = TopicFollower(settings.kafka, settings.topics.job_events, schemas)
    deadline_s = time.monotonic() + _TIMEOUT_S
    try:
        while not follower.has_caught_up:
            for _, event in follower.poll(_POLL_S):
                if isinstance(event, (LogConfigured, JobAccepted)):
                    return event.reconciliation_key
            if time.monotonic() > deadline_s:
                raise TopicSetupError("Kafka can't be asked for the first records of job-events.")
    finally:
        follower.close()
    return None


def _append_key(settings: Settings) -> None:
    event = LogConfigured(
        reconciliation_key=settings.reconciliation_key, configured_at=datetime.now(UTC)
    )
    failures: list[str] = []
    producer = make_producer(settings.kafka, {"message.timeout.ms": int(_TIMEOUT_S * 1000)})
    try:
        producer.produce(
            settings.topics.job_events.name,
            encode(event),
            _KEY,
            0,
            lambda error, _message: failures.append(error.str()) if error else None,
        )
        unsent = producer.flush(2 * _TIMEOUT_S)
    except KafkaException as error:
        raise TopicSetupError(f"job-events can't be appended to: {error}") from error
    if unsent or failures:
        raise TopicSetupError(f"job-events can't be appended to: {', '.join(failures)}")
