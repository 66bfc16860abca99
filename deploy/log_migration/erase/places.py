"""Finds where a data subject's key still stands: in topics, and in columns of all tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

from psycopg import sql

from deploy.log_migration.records import read_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from deploy.log_migration.erase.data_subject import DataSubject
    from deploy.log_migration.topic_admin import TopicAdmin
    from schemas.config.settings import Settings
    from schemas.log.topics import Topic

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
    """A topic or column that holds the key, and the number of its records or rows that do."""

    name: str
    hits: int


def find_in_topics(
    settings: Settings, admin: TopicAdmin, topics: Sequence[Topic], subject: DataSubject
) -> list[Place]:
    """Return the topics in which any record mentions the key; read them whole."""
    found: list[Place] = []
    for topic in topics:
        bounds = admin.bounds(topic)
        hits = sum(
            subject.mentions(record)
            for partition, (begin, end) in enumerate(bounds)
            for records in read_records(settings, topic.name, partition, begin, end)
            if subject.may_mention(*records)
            for record in records
        )
        if hits:
            found.append(Place(f"topic {topic.name}", hits))
    return found


def find_in_tables(connection: psycopg.Connection, subject: DataSubject) -> list[Place]:
    """Return the columns of our tables, in any schema, that hold the key; read them whole."""
    found: list[Place] = []
    for schema, table, column, data_type in connection.execute(_COLUMNS).fetchall():
        statement = sql.SQL(_HITS).format(
            table=sql.Identifier(schema, table),
            condition=_condition(subject, sql.Identifier(column), data_type),
        )
        row = connection.execute(statement).fetchone()
        if row and row[0]:
            found.append(Place(f"table {schema}.{table}, column {column}", row[0]))
    return found


def _condition(subject: DataSubject, column: sql.Identifier, data_type: str) -> sql.Composed:
    parts = {
        "column": column,
        "key": sql.Literal(subject.key),
        "pattern": sql.Literal(subject.pattern if subject.is_unambiguous else ""),
    }
    if data_type == "bytea":
        return sql.SQL("position(convert_to({key}, 'UTF8') IN {column}) > 0").format(**parts)
    if subject.is_unambiguous:
        return sql.SQL("lower({column}::text) ~ {pattern}").format(**parts)
    if data_type == "jsonb":
        values: LiteralString = (
            "jsonb_path_exists({column}, '$.** ? (@ == $key)', jsonb_build_object('key', {key}))"
        )
        return sql.SQL(values).format(**parts)
    return sql.SQL("{column}::text = {key}").format(**parts)
