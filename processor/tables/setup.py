"""Makes and checks the tables before the first record: log and projection must fit together.

Makes the projection's tables where there are none, and refuses to start where
the topic is another one than they were built from.  Waits, and never refuses,
where Kafka or Postgres only cannot be reached, or the topics are still missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import sql

from processor.errors import NotReadyError, RefusedToStartError
from processor.tables.generations import Generations
from processor.tables.instance_registry import (
    adopt_first,
    check_version,
    ensure_registry,
    fetch_active,
    is_left_alone,
    request,
)
from processor.tables.public_views import show, show_earlier
from schemas.read_model import tables as read_model

if TYPE_CHECKING:
    import psycopg

    from processor.kafka.log_description import Log
    from processor.tables.instance_registry import Instance
    from schemas.config.settings import Settings

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


def ensure_active(connection: psycopg.Connection, settings: Settings, log: Log) -> Instance | None:
    """Return the active instance, made where there is none; None while its tables are upgraded.

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
        show_earlier(cursor, active.schema, active.version or 0)
        if not is_left_alone(cursor, "upgrade"):
            request(cursor, "upgrade", "processor")
        return None


def make_tables(cursor: psycopg.Cursor, settings: Settings, schema: str, log: Log) -> None:
    """Make the tables of one projection, empty, at the beginning of the log."""
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
    """Check that log and tables fit together.

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
    """Refuse tables of a later log: a move switches them before the log says where it goes on."""
    version = settings.version_of(built_with[1]) if built_with else None
    if version is not None and version > settings.log_version:
        raise NotReadyError(
            f"the tables are of version {version} of the log, which still says that it is in"
            f" version {settings.log_version}: it is being moved"
        )
