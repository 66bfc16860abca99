"""Reads from `job-events` in which topics the log is now, and what its keys mean."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from schemas.clients.errors import kafka_asked
from schemas.clients.event_schemas import EventSchemas
from schemas.clients.kafka import make_admin
from schemas.clients.topic_follower import TopicFollower
from schemas.events import JobAccepted, LogConfigured
from schemas.log.digests import Mark
from schemas.log.moves import LogMoves, oldest_version

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from schemas.clients.topic_follower import LoggedEvent
    from schemas.config.settings import Settings

_QUIET_S: Final = 10.0
_ASK_S: Final = 4.0
_ADMIN: Final[dict[str, Any]] = {"socket.timeout.ms": int(_ASK_S * 1000)}


def topic_names(kafka: Mapping[str, str]) -> set[str]:
    """Return the names of all topics there are.

    Raises:
        KafkaUnreachableError: Kafka does not answer.
    """
    with kafka_asked("its topics"):
        return set(make_admin(kafka, _ADMIN).list_topics(timeout=_ASK_S).topics)


@contextlib.contextmanager
def read_job_events(
    settings: Settings, *, quiet_s: float = _QUIET_S
) -> Generator[Iterator[LoggedEvent]]:
    """Yield the events of `job-events` from its first up to its end as it is now.

    Raises:
        KafkaUnreachableError: nothing has come for so long, and the end was not reached.
        RegistryUnreachableError: an event's schema cannot be had now.
    """
    with _follower(settings) as follower:
        yield follower.read_to_end(quiet_s)


@contextlib.contextmanager
def _follower(settings: Settings) -> Generator[TopicFollower]:
    schemas = EventSchemas(settings.schema_registry)
    follower = TopicFollower(
        settings.kafka, settings.topics.job_events, schemas, keyring=settings.keyring
    )
    try:
        yield follower
    finally:
        follower.close()


def at_current_version(settings: Settings) -> Settings:
    """Return the settings with the topics that are in use, as `job-events` of all versions say.

    Raises:
        KafkaUnreachableError, RegistryUnreachableError: it cannot be known now.
    """
    names = topic_names(settings.kafka)
    found = settings.at_version(oldest_version(names, settings.first_topics.job_events.name))
    while found.topics.job_events.name in names:
        moves = LogMoves()
        with read_job_events(found) as events:
            for logged in events:
                moves.apply(logged.event)
        if moves.moved is None:
            break
        # The move decides how many there are, whatever the settings say.
        found = settings.with_partitions(moves.moved.partitions).at_version(moves.moved.version)
    return found


def fetch_key(settings: Settings) -> str | None:
    """Return the reconciliation key that the log was made for, or None where it does not say.

    Its first ``LogConfigured`` says it; a log that began before there was one says it by its
    first job.

    Raises:
        KafkaUnreachableError, RegistryUnreachableError: it cannot be known now.
    """
    with read_job_events(settings) as events:
        for logged in events:
            if isinstance(logged.event, (LogConfigured, JobAccepted)):
                return logged.event.reconciliation_key
    return None


def digest_marks(settings: Settings) -> list[Mark]:
    """Return each ``LogConfigured`` up to the first one with a right digest.

    A signed log is not read on, whatever its length.

    Raises:
        KafkaUnreachableError, RegistryUnreachableError: it cannot be known now.
    """
    marks: list[Mark] = []
    with read_job_events(settings) as events:
        for each in events:
            if isinstance(each.event, LogConfigured):
                marks.append(Mark(each.is_right, each.absent_key))
                if each.is_right:
                    break
    return marks


def absent_keys(settings: Settings) -> Mapping[str, int]:
    """Return how many records of `job-events` have digests by keys that are not set, by their ids.

    Raises:
        KafkaUnreachableError, RegistryUnreachableError: it cannot be known now.
    """
    with _follower(settings) as follower:
        for _ in follower.read_to_end(_QUIET_S):
            pass
        return follower.absent_keys
