"""Makes the log ready for use: its topics, its schemas, and its reconciliation key.

Keys of events are values of the reconciliation key, so a log keeps one key for ever.
Its first ``LogConfigured`` names the key, or its first job where the log is older than
that event.
A signed one says from where on digests are required (:mod:`schemas.log.digests`).
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from ingest_api.errors import LogMismatchError, LogMovedError, TopicSetupError
from ingest_api.kafka.single_append import append_to_each
from ingest_api.kafka.topic_setup import ensure_topics
from schemas.clients import job_events
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.event_schemas import EventSchemas
from schemas.clients.log_start import LogStart
from schemas.codec.registry_protocol import RegistryRefusedError, RegistryUnreachableError
from schemas.events import LogConfigured

if TYPE_CHECKING:
    from collections.abc import Generator

    from schemas.config.settings import Settings

_TIMEOUT_S: Final = 10.0
_KEY: Final = b"log"
_log = structlog.stdlib.get_logger("rollcall.log")


def ensure_log(settings: Settings, *, requires_digests: bool = False) -> bool:
    """Create what topics are missing, register schemas, and check the reconciliation key.

    ``requires_digests``: and let nothing count from here on that has no right digest.
    Return whether records without one count.

    Blocks for most of a minute at most, for a few seconds where Kafka is down.
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
    _register(settings)
    made_for = fetch_key(settings)
    if made_for is not None and requires_digests:
        _check_keys(settings)
    if made_for is None or (requires_digests and not settings.key_mismatch(made_for)):
        _append_key(settings)
        # Another process may have done so before, for another key: the first counts.
        made_for = fetch_key(settings)
    if made_for is None:
        raise TopicSetupError("Kafka does not show what was appended to job-events.")
    if mismatch := settings.key_mismatch(made_for):
        raise LogMismatchError(mismatch)
    return _counts_unsigned(settings)


def tell_unsigned(settings: Settings) -> None:
    """Say in the log of a service that records without a digest count."""
    if settings.keyring is None:
        _log.info("records are not signed: ROLLCALL_LOG_KEYS is not set")
    else:
        _log.warning("unsigned records count: see `rollcall setup --require-digests`")


def at_current_version(settings: Settings) -> Settings:
    """Return the settings with the topics in use, as `job-events` of all versions say.

    Raises:
        TopicSetupError: Kafka or the schema registry cannot be asked.
    """
    with _asked():
        return job_events.at_current_version(settings)


def fetch_key(settings: Settings) -> str | None:
    """The reconciliation key that the log was made for, or None where it does not say.

    Raises:
        TopicSetupError: Kafka or the schema registry cannot be asked.
    """
    with _asked():
        return job_events.fetch_key(settings)


@contextlib.contextmanager
def _asked() -> Generator[None]:
    try:
        yield
    except KafkaUnreachableError as error:
        raise TopicSetupError(str(error)) from error
    except RegistryUnreachableError as error:
        raise TopicSetupError(f"The schema registry can't be reached: {error}.") from error


def _check_beginning(settings: Settings) -> None:
    """Else the log would be taken for one that has never said which key it is for."""
    with _asked():
        missing = LogStart(settings.kafka, settings.topics.job_events).missing()
    if missing is not None:
        raise TopicSetupError(missing)


def _register(settings: Settings) -> None:
    try:
        with _asked():
            EventSchemas(settings.schema_registry).register(settings.topics)
    except RegistryRefusedError as error:
        raise LogMismatchError(str(error)) from error


def _check_keys(settings: Settings) -> None:
    """Refuse to append a mark that the services in use could not verify."""
    if not _counts_unsigned(settings):
        return
    with _asked():
        absent = job_events.absent_keys(settings)
    if absent:
        raise LogMismatchError(
            f"ROLLCALL_LOG_KEYS lacks {', '.join(sorted(absent))}, by which records of"
            f" {settings.topics.job_events.name} are signed: add what the services use, and run"
            " this again."
        )


def _counts_unsigned(settings: Settings) -> bool:
    """Refuse keys with which nobody would count what this service appends."""
    with _asked():
        marks = job_events.digest_marks(settings)
    if mismatch := settings.digest_mismatch(marks):
        raise LogMismatchError(mismatch)
    return not any(mark.is_right for mark in marks)


def _append_key(settings: Settings) -> None:
    event = LogConfigured(
        reconciliation_key=settings.reconciliation_key, configured_at=datetime.now(UTC)
    )
    topics = settings.topics
    # First there, so that whoever finds it in `job-events` knows that it is everywhere.
    signed = [] if settings.keyring is None else [topics.user_events]
    for topic in [*signed, topics.job_events]:
        if failure := append_to_each(settings, topic, event, _KEY):
            raise TopicSetupError(f"{topic.name} can't be appended to: {failure}")
