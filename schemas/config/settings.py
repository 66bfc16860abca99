"""Where Kafka and Postgres are: the settings that both sides share.

Read once from the environment; every mistake is reported together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from schemas.config.registry import read_schema_registry
from schemas.log.moves import FIRST_VERSION, version_of, versioned
from schemas.log.topics import Topics, topics
from schemas.rules.attributes import NAME_PATTERN, TAKEN_NAMES, plain_name
from schemas.rules.fields import KEY_FIELD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.config.registry import SchemaRegistry

_KAFKA_PREFIX: Final = "ROLLCALL_KAFKA_"
LOG_VERSION: Final = "ROLLCALL_LOG_VERSION"
PARTITIONS: Final = "ROLLCALL_PARTITIONS"
_MAX_VERSION: Final = 1_000_000
MAX_PARTITIONS: Final = 4096
"""A user's id keeps 12 bits for the partition (see processor.projection.transaction)."""


class SettingsError(ValueError):
    """One or more settings are wrong; the message has a line for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The effective settings.

    ``kafka`` holds librdkafka properties, ``database_url`` is a libpq
    conninfo string or URL.
    """

    kafka: dict[str, str] = field(repr=False)
    database_url: str = field(repr=False)
    topics: Topics
    replication_factor: int
    reconciliation_key: str
    generation_retention_hours: int
    """How long a replaced audience is kept before its tables are dropped."""
    group: str
    """Consumer group of the processors; the publishers' is named after it."""
    schema_registry: SchemaRegistry | None = None
    """Where set, values are written in the Confluent wire format."""
    first_topics: Topics
    """Of the log as it was made first."""
    log_version: int
    """Of ``topics``: how many times the log has been moved, and one."""

    def at_version(self, version: int) -> Settings:
        """The same for that version of the log."""
        names = {
            part: replace(topic, name=versioned(topic.name, version))
            for part, topic in self.first_topics.by_part().items()
        }
        return replace(self, topics=Topics(**names), log_version=version)

    def version_of(self, user_events: str) -> int | None:
        """The version of this log in which ``user-events`` has that name; None where none has."""
        return version_of(user_events, self.first_topics.user_events.name)

    def key_mismatch(self, made_for: str) -> str | None:
        """Why these settings don't fit a log made for that reconciliation key; None where they do.

        It says what to do.
        """
        if made_for == self.reconciliation_key:
            return None
        return (
            f"The log {self.topics.job_events.name} was made for the reconciliation key"
            f' "{made_for}", and ROLLCALL_RECONCILIATION_KEY is "{self.reconciliation_key}":'
            f' set it back to "{made_for}", or make a new log from this one with'
            " `./rollcall rekey`."
        )

    def with_partitions(self, partitions: int) -> Settings:
        """The same for a log whose ``user-events`` has so many partitions."""
        first, now = (
            replace(these, user_events=replace(these.user_events, partitions=partitions))
            for these in (self.first_topics, self.topics)
        )
        return replace(self, first_topics=first, topics=now)


class EnvironmentReader:
    """Reads typed settings and gathers what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._mistakes: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """The value; without a default, it must be set."""
        value = self._environ.get(name, default)
        if not value and default is None:
            self._mistakes.append(f"{name} is not set.")
        return value or ""

    def integer(self, name: str, default: int, *, least: int, most: int) -> int:
        """The value as a whole number within the bounds, both included."""
        text = self._environ.get(name) or str(default)
        value = int(text) if text.isascii() and text.isdigit() else least - 1
        if not least <= value <= most:
            self._mistakes.append(f"{name} is {text!r}: a whole number from {least} to {most}.")
            return default
        return value

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """The value, one of the choices."""
        value = self._environ.get(name) or default
        if value not in choices:
            self._mistakes.append(f"{name} is {value!r}: one of {', '.join(choices)}.")
        return value

    def note(self, mistake: str) -> None:
        """Add a mistake that the caller has found."""
        self._mistakes.append(mistake)

    def check(self) -> None:
        """Raise SettingsError with a line for each mistake found so far."""
        if self._mistakes:
            raise SettingsError("\n".join(self._mistakes))


def _reconciliation_key(read: EnvironmentReader) -> str:
    name = "ROLLCALL_RECONCILIATION_KEY"
    key = read.text(name, "email") or "email"
    is_free = re.match(NAME_PATTERN, key) and plain_name(key) not in TAKEN_NAMES
    if key not in KEY_FIELD and not is_free:
        read.note(f"{name} is {key!r}: email, mobileNumber or the name of a custom attribute.")
    return key


def _topics(read: EnvironmentReader) -> Topics:
    return topics(
        prefix=read.text("ROLLCALL_TOPIC_PREFIX", ""),
        partitions=read.integer(PARTITIONS, 6, least=1, most=MAX_PARTITIONS),
        uploads_retention_days=read.integer(
            "ROLLCALL_UPLOADS_RETENTION_DAYS", 7, least=1, most=3650
        ),
    )


def read_log_shape(environ: Mapping[str, str]) -> tuple[Topics, str]:
    """The topics and the reconciliation key, for what needs neither Kafka nor Postgres.

    Raises:
        SettingsError: naming every one of these settings that is wrong.
    """
    read = EnvironmentReader(environ)
    shape = _topics(read), _reconciliation_key(read)
    read.check()
    return shape


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The shared settings.

    ================================  =========  ==================================
    ROLLCALL_KAFKA_BOOTSTRAP_SERVERS  required   host:port, separated by commas
    ROLLCALL_KAFKA_<PROPERTY>         none       any librdkafka property, ``_`` for ``.``
    ROLLCALL_DATABASE_URL             required   libpq conninfo or URL
    ROLLCALL_TOPIC_PREFIX             empty      put before each topic's name
    ROLLCALL_GROUP                    rollcall   consumer group of the processors
    ROLLCALL_PARTITIONS               6          of user-events; `./rollcall rekey` moves to others
    ROLLCALL_REPLICATION_FACTOR       1          of topics that the service makes
    ROLLCALL_UPLOADS_RETENTION_DAYS   7          how long uploaded files are kept
    ROLLCALL_RECONCILIATION_KEY       email      or mobileNumber, or a custom attribute's name
    ROLLCALL_GENERATION_RETENTION_HOURS  24      of an audience that a delsert replaced
    ================================  =========  ==================================

    Those of :func:`schemas.config.registry.read_schema_registry` besides.

    Raises:
        SettingsError: naming every setting that is missing or wrong.
    """
    read = EnvironmentReader(environ)
    read.text(f"{_KAFKA_PREFIX}BOOTSTRAP_SERVERS")
    first_topics = _topics(read)
    settings = Settings(
        kafka={
            name.removeprefix(_KAFKA_PREFIX).lower().replace("_", "."): value
            for name, value in environ.items()
            if name.startswith(_KAFKA_PREFIX)
        },
        database_url=read.text("ROLLCALL_DATABASE_URL"),
        first_topics=first_topics,
        topics=first_topics,
        log_version=FIRST_VERSION,
        replication_factor=read.integer("ROLLCALL_REPLICATION_FACTOR", 1, least=1, most=7),
        reconciliation_key=_reconciliation_key(read),
        generation_retention_hours=read.integer(
            "ROLLCALL_GENERATION_RETENTION_HOURS", 24, least=1, most=24 * 365
        ),
        group=read.text("ROLLCALL_GROUP", "rollcall"),
        schema_registry=read_schema_registry(read),
    )
    # Where a service found the log before it started itself again; `job-events` decides.
    version = read.integer(LOG_VERSION, FIRST_VERSION, least=FIRST_VERSION, most=_MAX_VERSION)
    read.check()
    return settings.at_version(version)
