"""The settings that all processes share: addresses of Kafka and Postgres, and the log's shape."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from schemas.config.declared import ANY_PROPERTY, Section, secret, secret_in_address, text, whole
from schemas.config.log_settings import LogSettings
from schemas.config.metrics import MetricsSettings
from schemas.config.registry import SchemaRegistry
from schemas.log.digests import keyring_fault, keyring_of
from schemas.log.moves import FIRST_VERSION, version_of, versioned
from schemas.log.topics import Topics, topics
from schemas.rules.attributes import NAME_PATTERN, TAKEN_NAMES, plain_name
from schemas.rules.fields import KEY_FIELD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.log.digests import Keyring, Mark

MAX_PARTITIONS: Final = 4096
"""A user's id keeps 12 bits for the partition (see processor.projection.transaction)."""


def _key_fault(key: str) -> str | None:
    is_free = re.match(NAME_PATTERN, key) and plain_name(key) not in TAKEN_NAMES
    if key in KEY_FIELD or is_free:
        return None
    return f"is {key!r}: email, mobileNumber or the name of a custom attribute."


def _conninfo_fault(conninfo: str) -> str | None:
    # Slow to import, and commands read settings that never connect.
    import psycopg  # noqa: PLC0415
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        conninfo_to_dict(conninfo)
    except (psycopg.ProgrammingError, UnicodeEncodeError):
        # libpq's own words may hold a part of the password.
        return "is no libpq conninfo or URL, such as postgresql://user@host/database."
    return None


class LogShape(Section, frozen=True, kw_only=True):
    """The topics and the reconciliation key; needs neither Kafka nor Postgres."""

    topic_prefix: Annotated[str, text("put before each topic's name")] = ""
    partitions: Annotated[
        int,
        whole(
            1,
            MAX_PARTITIONS,
            "of `user-events`, when it is made; `rollcall rekey` moves to another number",
        ),
    ] = 6
    uploads_retention_days: Annotated[
        int, whole(1, 3650, "how long uploaded files are kept", unit="days")
    ] = 7
    reconciliation_key: Annotated[
        str,
        text(
            "what tells users apart: `email`, `mobileNumber` or a custom attribute's name;"
            " the log remembers it",
            fault=_key_fault,
        ),
    ] = "email"

    @property
    def first_topics(self) -> Topics:
        """The topics of the log's first version."""
        return topics(
            prefix=self.topic_prefix,
            partitions=self.partitions,
            uploads_retention_days=self.uploads_retention_days,
        )


class Settings(LogShape, frozen=True, kw_only=True):
    """The shared settings of one process."""

    bootstrap_servers: Annotated[str, text("Kafka's brokers as host:port, separated by commas")] = (
        msgspec.field(name="ROLLCALL_KAFKA_BOOTSTRAP_SERVERS")
    )
    kafka: Annotated[
        dict[str, str],
        text(
            "any librdkafka property, `_` for `.`: TLS, SASL and so on;"
            " `ROLLCALL_KAFKA_COMPRESSION_TYPE=lz4` for a smaller log at some speed"
        ),
    ] = msgspec.field(name=f"ROLLCALL_KAFKA_{ANY_PROPERTY}", default_factory=dict)
    database_url: Annotated[
        str, secret_in_address("Postgres, as a libpq conninfo or URL", fault=_conninfo_fault)
    ]
    group: Annotated[
        str, text("consumer group of the processors; the publishers' is named after it")
    ] = "rollcall"
    replication_factor: Annotated[int, whole(1, 7, "of topics, when they are made")] = 1
    generation_retention_hours: Annotated[
        int,
        whole(
            1, 24 * 365, "how long a replaced audience, and replaced tables, are kept", unit="hours"
        ),
    ] = 24
    schema_registry: SchemaRegistry | None = None
    log_keys: Annotated[
        str,
        secret(
            "`id:secret`, separated by commas: the first signs what Rollcall appends to"
            " `job-events` and `user-events`, but for rows of users; all verify; the same for all"
            " services; once set, what has no right digest has no effect",
            fault=keyring_fault,
        ),
    ] = ""
    metrics: MetricsSettings
    logs: LogSettings
    avro: Annotated[
        Literal["pyruhvro", "fastavro"],
        text("what turns whole batches into Avro and back; `fastavro` is about 40 times slower"),
    ] = "pyruhvro"
    log_version: Annotated[
        int,
        whole(
            FIRST_VERSION,
            1_000_000,
            "set by a service that starts itself again after the log was moved",
        ),
    ] = FIRST_VERSION
    """The number of times that the log has been moved, and one; `job-events` decides."""

    @property
    def keyring(self) -> Keyring | None:
        """The keys that sign and verify records; None where none is set."""
        return keyring_of(self.log_keys)

    @property
    def topics(self) -> Topics:
        """The topics of the log at this version."""
        return Topics(
            **{
                part: replace(topic, name=versioned(topic.name, self.log_version))
                for part, topic in self.first_topics.by_part().items()
            }
        )

    def at_version(self, version: int) -> Settings:
        """Return the settings for that version of the log."""
        return msgspec.structs.replace(self, log_version=version)

    def with_partitions(self, partitions: int) -> Settings:
        """Return the settings for a log with this number of partitions of ``user-events``."""
        return msgspec.structs.replace(self, partitions=partitions)

    def version_of(self, user_events: str) -> int | None:
        """Return the log version in which ``user-events`` has that name, or None."""
        return version_of(user_events, self.first_topics.user_events.name)

    def digest_mismatch(self, marks: Sequence[Mark]) -> str | None:
        """Return why these keys read the log otherwise than others do, and the remedy; or None.

        ``marks``: each ``LogConfigured`` of the log, up to the first one with a right digest.
        """
        absent = sorted({mark.absent_key for mark in marks if mark.absent_key})
        is_verified = any(mark.is_right for mark in marks)
        if not absent and (is_verified or all(mark.is_right is None for mark in marks)):
            return None
        # Before a mark that can't be verified all would count that anybody has written.
        key = f'the key "{", ".join(absent)}"' if absent else "the key"
        return (
            f"The records of {self.topics.job_events.name} are signed, and ROLLCALL_LOG_KEYS does"
            f" not have {key}: set it as the other services have it, or had it (SECURITY.md says"
            " what to do about a key that there never was)."
        )

    def key_mismatch(self, made_for: str) -> str | None:
        """Return why the settings don't fit a log made for that key, and the remedy; or None."""
        if made_for == self.reconciliation_key:
            return None
        return (
            f"The log {self.topics.job_events.name} was made for the reconciliation key"
            f' "{made_for}", and ROLLCALL_RECONCILIATION_KEY is "{self.reconciliation_key}":'
            f' set it back to "{made_for}", or make a new log from this one with'
            " `rollcall rekey`."
        )
