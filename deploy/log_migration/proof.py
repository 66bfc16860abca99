"""The proofs of a move: what the copy of a log holds, and what the tables made from it hold."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, LiteralString, Protocol

from psycopg import sql

from deploy.log_migration import MoveFailedError
from deploy.log_migration.erase.copy import add_to_checksum
from deploy.log_migration.records import read_records
from schemas.rules.fields import ERASED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg

    from deploy.log_migration.erase.data_subject import Person
    from deploy.log_migration.records import CopiedRecord
    from deploy.log_migration.topic_admin import TopicAdmin
    from schemas.config.settings import Settings
    from schemas.log.topics import Topic

DIFFERING: LiteralString = """
SELECT count(*) FROM (
    ({old} EXCEPT ALL {new}) UNION ALL ({new} EXCEPT ALL {old})
) AS differing
"""
JOBS: LiteralString = """
SELECT job_id, mode, state, lines, inserted, updated, unchanged, rejected, file_name, sha256,
       accepted_at, accepted_by, started_at, finished_at
FROM {schema}.jobs
"""
_JOB_PARTITIONS: LiteralString = """
SELECT job_id, partition, inserted, updated, unchanged, rejected FROM {schema}.job_partition
"""
_OTHER_USERS: LiteralString = "SELECT * FROM {schema}.users WHERE key <> {key}"
_ATTRIBUTES: LiteralString = "SELECT * FROM {schema}.attribute_definitions"
_LINES: LiteralString = "SELECT job_id, record_number, line FROM {schema}.rejection"
_COMPARED: Final[dict[str, LiteralString]] = {
    "users": _OTHER_USERS,
    "jobs": JOBS,
    "counts of jobs by partition": _JOB_PARTITIONS,
    "attributes": _ATTRIBUTES,
    "refused lines": _LINES,
}
_OTHER_REASONS: LiteralString = """
SELECT count(*) FROM (
    SELECT * FROM {new}.rejection WHERE code <> {erased}
    EXCEPT ALL SELECT * FROM {old}.rejection
) AS differing
"""
_TOTALS: LiteralString = """
SELECT (SELECT total FROM {old}.user_total) - (SELECT count(*) FROM {old}.users WHERE key = {key}),
       (SELECT total FROM {new}.user_total)
"""
_COLUMNS: LiteralString = """
SELECT columns.table_schema, columns.table_name, columns.column_name, columns.data_type
FROM information_schema.columns
JOIN pg_class ON pg_class.oid = format('%I.%I', table_schema, table_name)::regclass
WHERE relkind = 'r' AND (table_schema = 'public' OR table_schema ~ '^projection_[0-9]+$')
  AND data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY')
ORDER BY 1, 2, 3
"""
_HITS: LiteralString = "SELECT count(*) FROM {table} WHERE {condition}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the key was found, in how many rows or records."""

    name: str
    hits: int


class Copy(Protocol):
    """What was written to the new log."""

    @property
    def next_offsets(self) -> list[int]:
        """How far it is, by partition."""
        ...

    def checksum(self, partition: int) -> str:
        """Of all that a partition must hold."""
        ...


def check_copy(new: Settings, copy: Copy, person: Person) -> None:
    """Return where the topic holds what was written, no more, and no record of the person.

    Raises:
        MoveFailedError: it does not.
    """
    topic = new.topics.user_events.name

    def look(partition: int, records: Sequence[CopiedRecord]) -> None:
        if person.is_hinted(
            [part for record in records for part in (record.key(), record.value())]
        ):
            _check_erased(topic, partition, person, records)

    check_written(new, copy, look)


def check_written(
    new: Settings, copy: Copy, look: Callable[[int, Sequence[CopiedRecord]], None]
) -> None:
    """Return where the topic holds what was written and no more; each batch was looked at.

    Raises:
        MoveFailedError: it does not.
    """
    topic = new.topics.user_events.name
    for partition, end in enumerate(copy.next_offsets):
        checksum = hashlib.blake2b(digest_size=16)
        for records in read_records(new, topic, partition, 0, end):
            for record in records:
                add_to_checksum(checksum, record)
            look(partition, records)
        if checksum.hexdigest() != copy.checksum(partition):
            raise MoveFailedError(f"{topic}, partition {partition} is not what was written to it")


def _check_erased(
    topic: str, partition: int, person: Person, records: Sequence[CopiedRecord]
) -> None:
    for record in records:
        if person.owns(record):
            raise MoveFailedError(
                f"{topic}, partition {partition} still has a record of the user at offset"
                f" {record.offset()}"
            )


def compare(connection: psycopg.Connection, old: str, new: str, key: str) -> None:
    """Return where the tables of two schemas are the same but for the user with this key.

    Raises:
        MoveFailedError: they are not.
    """
    schemas = {"old": sql.Identifier(old), "new": sql.Identifier(new)}
    parts = {"key": sql.Literal(key), "erased": sql.Literal(ERASED.code), **schemas}
    for name, query in _COMPARED.items():
        old_rows, new_rows = (
            sql.SQL(query).format(schema=schema, **parts) for schema in schemas.values()
        )
        statement = sql.SQL(DIFFERING).format(old=old_rows, new=new_rows)
        check_none(connection, statement, name)
    check_none(connection, sql.SQL(_OTHER_REASONS).format(**parts), "reasons of refused lines")
    totals = connection.execute(sql.SQL(_TOTALS).format(**parts)).fetchone()
    if totals is None or totals[0] != totals[1]:
        raise MoveFailedError(f"the number of users would be another one: {totals}")


def check_none(connection: psycopg.Connection, statement: sql.Composed, name: str) -> None:
    """Return where the statement counts none; ``name`` says of what.

    Raises:
        MoveFailedError: it counts some.
    """
    row = connection.execute(statement).fetchone()
    if row is None or row[0]:
        raise MoveFailedError(f"the tables made from the copy differ: {name}, {row and row[0]}")


def find_in_topics(
    settings: Settings, admin: TopicAdmin, topics: Sequence[Topic], person: Person
) -> list[Place]:
    """Topics in which a record says the key, whosever it is; reads them whole."""
    found: list[Place] = []
    for topic in topics:
        bounds = admin.bounds(topic)
        hits = sum(
            person.is_mentioned(record)
            for partition, (begin, end) in enumerate(bounds)
            for records in read_records(settings, topic.name, partition, begin, end)
            if person.is_hinted([part for record in records
                                 for part in (record.key(), record.value())])
            for record in records
        )  # fmt: skip
        if hits:
            found.append(Place(f"topic {topic.name}", hits))
    return found


def find_in_tables(connection: psycopg.Connection, person: Person) -> list[Place]:
    """Columns of all our tables, of any schema, in which the key stands; reads them whole."""
    found: list[Place] = []
    for schema, table, column, data_type in connection.execute(_COLUMNS).fetchall():
        statement = sql.SQL(_HITS).format(
            table=sql.Identifier(schema, table),
            condition=_condition(person, sql.Identifier(column), data_type),
        )
        row = connection.execute(statement).fetchone()
        if row and row[0]:
            found.append(Place(f"table {schema}.{table}, column {column}", row[0]))
    return found


def _condition(person: Person, column: sql.Identifier, data_type: str) -> sql.Composed:
    parts = {
        "column": column,
        "key": sql.Literal(person.key),
        "pattern": sql.Literal(person.pattern if person.is_telling else ""),
    }
    if data_type == "bytea":
        return sql.SQL("position(convert_to({key}, 'UTF8') IN {column}) > 0").format(**parts)
    if person.is_telling:
        return sql.SQL("lower({column}::text) ~ {pattern}").format(**parts)
    if data_type == "jsonb":
        values: LiteralString = (
            "jsonb_path_exists({column}, '$.** ? (@ == $key)', jsonb_build_object('key', {key}))"
        )
        return sql.SQL(values).format(**parts)
    return sql.SQL("{column}::text = {key}").format(**parts)
