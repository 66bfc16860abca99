"""Before the first record: do the log and the projection fit together?

Makes the projection's tables where there are none, and refuses to start where
the topic is another one than they were built from.  Waits, and never refuses,
where Kafka or Postgres only cannot be reached, or the topics are still missing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString, cast

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    ResourceType,
)
from psycopg import sql

from processor import ProcessorError, RefusedToStartError
from processor.tables.generations import Generations
from processor.tables.instance_registry import (
    adopt_first,
    check_version,
    ensure_registry,
    fetch_active,
    is_left_alone,
    request,
    show,
)
from schemas.read_model import tables as read_model

if TYPE_CHECKING:
    import psycopg
    from confluent_kafka.admin import (
        ConfigEntry,
        TopicDescription,
    )

    from processor.tables.instance_registry import Instance
    from schemas.config.settings import Settings

_ADMIN_TIMEOUT_S: Final = 10.0
_BUILT_WITH: LiteralString = """
SELECT version, topic, topic_id, partitions, reconciliation_key FROM {schema}.projection
"""
_BUILD: LiteralString = """
INSERT INTO {schema}.projection
    (version, topic, topic_id, partitions, reconciliation_key, active_generation)
VALUES (%(version)s, %(topic)s, %(topic_id)s, %(partitions)s, %(reconciliation_key)s,
        %(generation)s)
"""
_START: LiteralString = """
INSERT INTO {schema}.projection_offset
    (topic, partition, next_offset, epoch, generation, is_indexed, sealed_job_id,
     next_sequence, digest)
SELECT %(topic)s, partition, 0, 0, %(generation)s, true, 0, 0, 0
FROM generate_series(0, %(partitions)s - 1) AS partition
"""
_ACTIVATED: LiteralString = """
UPDATE {schema}.generation SET activated_at = now() WHERE generation = %(generation)s
"""


class NotReadyError(ProcessorError):
    """Kafka cannot be reached or a topic is missing: wait and try again."""


@dataclass(frozen=True, slots=True)
class Log:
    """``user-events`` as Kafka has it."""

    topic_id: str
    partitions: int


def describe_log(settings: Settings) -> Log:
    """Look at ``user-events``.

    Raises:
        NotReadyError: Kafka cannot be reached, or the topic is not there yet.
        RefusedToStartError: the topic does not keep its records for ever.
    """
    name = settings.topics.user_events.name
    admin = AdminClient(dict[str, Any](settings.kafka), logger=logging.getLogger("rollcall.kafka"))
    try:
        topics = cast(
            "dict[str, Any]",
            admin.describe_topics(TopicCollection([name]), request_timeout=_ADMIN_TIMEOUT_S),
        )
        described = cast("TopicDescription", topics[name].result())
        resource = ConfigResource(ResourceType.TOPIC, name)
        configs = cast(
            "dict[Any, Any]",
            admin.describe_configs([resource], request_timeout=_ADMIN_TIMEOUT_S),
        )
        entries = cast("dict[str, ConfigEntry]", configs[resource].result())
    except KafkaException as error:
        raise NotReadyError(f"topic {name}: {error.args[0].str()}") from error
    retention = {key: entries[key].value for key in ("cleanup.policy", "retention.ms")}
    if retention != {"cleanup.policy": "delete", "retention.ms": "-1"}:
        raise RefusedToStartError(
            f"topic {name} does not keep its records for ever ({retention}), so a replay would "
            "lose users. Set cleanup.policy=delete and retention.ms=-1 on it."
        )
    return Log(topic_id=str(described.topic_id), partitions=len(described.partitions))


def ensure_active(connection: psycopg.Connection, settings: Settings, log: Log) -> Instance | None:
    """The active instance, made where there is none; None while its tables are being upgraded.

    Safe when several workers start at once.

    Raises:
        NotReadyError: the tables are those of a later version of the log: it is being moved.
        RefusedToStartError: the tables were built from another topic or with other settings.
    """
    with connection.transaction(), connection.cursor() as cursor:
        ensure_registry(cursor)
        active = fetch_active(cursor)
        if active is None:
            active = adopt_first(cursor)
            make_tables(cursor, settings, active.schema, log)
            show(cursor, active.schema)
        if check_version(active):
            check_tables(cursor, settings, active.schema, log)
            return active
        if not is_left_alone(cursor, "upgrade"):
            request(cursor, "upgrade", "processor")
        return None


def make_tables(cursor: psycopg.Cursor, settings: Settings, schema: str, log: Log) -> None:
    """The tables of one projection, empty, at the beginning of the log."""
    generations = Generations(schema, log.partitions)
    name = sql.Identifier(schema)
    cursor.execute(sql.SQL(read_model.ddl()).format(schema=name))
    parameters = {
        "version": read_model.VERSION,
        "topic": settings.topics.user_events.name,
        "topic_id": log.topic_id,
        "partitions": log.partitions,
        "reconciliation_key": settings.reconciliation_key,
        "generation": generations.make_first(cursor),
    }
    for statement in (_BUILD, _START, _ACTIVATED):
        cursor.execute(sql.SQL(statement).format(schema=name), parameters)


def check_tables(cursor: psycopg.Cursor, settings: Settings, schema: str, log: Log) -> None:
    """Whether log and tables fit together.

    Raises:
        NotReadyError: the tables are those of a later version of the log: it is being moved.
        RefusedToStartError: they do not.
    """
    statement = sql.SQL(_BUILT_WITH).format(schema=sql.Identifier(schema))
    built_with = cursor.execute(statement).fetchone()
    _check_not_ahead(settings, built_with)
    expected = (
        read_model.VERSION,
        settings.topics.user_events.name,
        log.topic_id,
        log.partitions,
        settings.reconciliation_key,
    )
    names = ("version", "topic", "topic id", "partitions", "reconciliation key")
    differences = [
        f"{name} was {old!r} and is {new!r}"
        for name, old, new in zip(names, built_with or (), expected, strict=True)
        if old != new
    ]
    if differences:
        raise RefusedToStartError(
            f"The projection in schema {schema} was built from something else: "
            f"{'; '.join(differences)}. Put the setting or the topic back, or build the "
            "projection anew in an empty database."
        )


def _check_not_ahead(settings: Settings, built_with: tuple[Any, ...] | None) -> None:
    """A move switches the tables first, and then says in the log where it goes on."""
    version = settings.version_of(built_with[1]) if built_with else None
    if version is not None and version > settings.log_version:
        raise NotReadyError(
            f"the tables are of version {version} of the log, which still says that it is in"
            f" version {settings.log_version}: it is being moved"
        )
