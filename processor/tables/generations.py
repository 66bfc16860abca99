"""Generations: one full set of user rows each, in leaves of their own; a delsert's switch.

A leaf holds one log partition's rows of one generation, so all its rows have
one writer.  A delsert's leaves are filled by COPY while they have no index, and
get their indexes when that partition's JobSealed is accepted, or before, when
an event comes that must find rows by key.

New leaves are made apart and then attached: ATTACH PARTITION takes only SHARE
UPDATE EXCLUSIVE on the parent, so no reader, however long, holds up a delsert
(PostgreSQL manual, "ALTER TABLE", "ATTACH PARTITION").
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, LiteralString, cast

from psycopg import errors, sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import psycopg

_NEW_GENERATION: LiteralString = """
INSERT INTO {schema}.generation (job_id) VALUES (%(job_id)s)
ON CONFLICT (job_id) DO NOTHING
RETURNING generation
"""
_GENERATION_OF_JOB: LiteralString = """
SELECT generation FROM {schema}.generation WHERE job_id = %(job_id)s
"""
_CREATE_BRANCH: LiteralString = """
CREATE TABLE {branch} (LIKE {schema}.user_row INCLUDING DEFAULTS)
PARTITION BY LIST (partition)
"""
_CREATE_LEAF: LiteralString = """
CREATE TABLE {leaf} PARTITION OF {branch} (
    generation DEFAULT {generation},
    partition DEFAULT {partition}
) FOR VALUES IN ({partition})
WITH (fillfactor = 90, autovacuum_analyze_scale_factor = 0.2)
"""
_ATTACH_BRANCH: LiteralString = """
ALTER TABLE {schema}.user_row ATTACH PARTITION {branch} FOR VALUES IN ({generation})
"""
_COUNT_FROM_ZERO: LiteralString = """
INSERT INTO {schema}.user_count (generation, partition, users)
SELECT %(generation)s, partition, 0 FROM generate_series(0, %(partitions)s - 1) AS partition
"""
_COUNT: LiteralString = """
UPDATE {schema}.user_count SET users = users + %(grown)s
WHERE generation = %(generation)s AND partition = %(partition)s
"""
_INDEX_KEY: LiteralString = "CREATE UNIQUE INDEX {name} ON {leaf} (key)"
_INDEX_ID: LiteralString = "CREATE UNIQUE INDEX {name} ON {leaf} (id)"
_INDEX_ATTRIBUTE: LiteralString = """
CREATE INDEX {name} ON {leaf} (hashtextextended(attributes ->> {attribute}, 0), id)
WHERE attributes ->> {attribute} IS NOT NULL
"""
_TAKE_OUT_REPEATS: LiteralString = """
WITH repeated AS (
    SELECT key, min(id) AS first_id FROM {leaf} GROUP BY key HAVING count(*) > 1
), first AS (
    SELECT repeated.key, repeated.first_id, leaf.record_number
    FROM repeated JOIN {leaf} AS leaf ON leaf.id = repeated.first_id
)
DELETE FROM {leaf} AS leaf USING first
WHERE leaf.key = first.key AND leaf.id <> first.first_id
RETURNING leaf.id, first.record_number
"""
# For joins of whole leaves, which the session's settings are against (they are for batches that
# find a few rows by their keys): hashed, they read each leaf once, and without an index on keys
# a nested loop would read it for each row.
_WHOLE_LEAVES: LiteralString = """
SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_nestloop = off
"""
_FEW_ROWS: LiteralString = """
SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_nestloop = on
"""
_BEFORE: LiteralString = """
SELECT max(generation) FROM {schema}.generation WHERE generation < %(generation)s
"""
_COUNT_REMOVED: LiteralString = """
SELECT count(*) FROM {before} AS before
WHERE NOT EXISTS (SELECT FROM {leaf} AS leaf WHERE leaf.key = before.key)
"""
_ACTIVATE: LiteralString = """
UPDATE {schema}.projection
SET active_generation = GREATEST(active_generation, generation.generation)
FROM {schema}.generation WHERE generation.job_id = %(job_id)s
RETURNING active_generation
"""
_NOTE_ACTIVATION: LiteralString = """
UPDATE {schema}.generation
SET activated_at = CASE WHEN generation = %(generation)s THEN now() ELSE activated_at END,
    retired_at = CASE WHEN generation = %(generation)s THEN NULL ELSE now() END
WHERE generation = %(generation)s OR (generation < %(generation)s AND retired_at IS NULL)
"""
_EXPIRED: LiteralString = """
SELECT generation FROM {schema}.generation
WHERE retired_at < now() - make_interval(secs => %(keep_s)s)
  AND generation NOT IN (SELECT generation FROM {schema}.projection_offset)
ORDER BY generation
"""
_FORGET: LiteralString = "DELETE FROM {schema}.generation WHERE generation = %(generation)s"
_FORGET_COUNT: LiteralString = """
DELETE FROM {schema}.user_count WHERE generation = %(generation)s
"""


class Generations:
    """The generations of the projection in ``schema``; calls join the caller's transaction."""

    def __init__(self, schema: str, partitions: int) -> None:
        self.schema = schema
        self._partitions = partitions

    def leaf(self, generation: int, partition: int) -> sql.Identifier:
        """Return the table of one log partition's rows of a generation."""
        return sql.Identifier(self.schema, f"user_row_g{generation}_p{partition}")

    def make_first(self, cursor: psycopg.Cursor) -> int:
        """Make the generation of an empty log, indexed from the start; return its number."""
        cursor.execute(self._sql(_NEW_GENERATION), {"job_id": None})
        generation = _only_int(cursor)
        self._make_tables(cursor, generation)
        for partition in range(self._partitions):
            self.index(cursor, generation, partition, ())
        return generation

    def open(self, cursor: psycopg.Cursor, job_id: int) -> int:
        """Return a delsert's generation; the first partition to open it makes it for all.

        A worker that comes second waits here until the first has committed.
        """
        cursor.execute(self._sql(_NEW_GENERATION), {"job_id": job_id})
        row = cursor.fetchone()
        if row is not None:
            self._make_tables(cursor, row[0])
            return row[0]
        cursor.execute(self._sql(_GENERATION_OF_JOB), {"job_id": job_id})
        return _only_int(cursor)

    def index(
        self,
        cursor: psycopg.Cursor,
        generation: int,
        partition: int,
        attributes: Iterable[str],
    ) -> list[tuple[int, int]]:
        """Give a leaf its indexes; rows whose key came before are taken out first.

        ``attributes`` are the names of those that readers filter by.

        Returns:
            (id of the row taken out, record number of the row kept), by id.
        """
        leaf = self.leaf(generation, partition)
        name = f"user_row_g{generation}_p{partition}"
        repeats: list[tuple[int, int]] = []
        id_index = sql.Identifier(f"{name}_id")
        cursor.execute(sql.SQL(_INDEX_ID).format(name=id_index, leaf=leaf))
        key_index = sql.SQL(_INDEX_KEY).format(name=sql.Identifier(f"{name}_key"), leaf=leaf)
        try:
            with cursor.connection.transaction():
                cursor.execute(key_index)
        except errors.UniqueViolation:
            cursor.execute(_WHOLE_LEAVES)
            cursor.execute(sql.SQL(_TAKE_OUT_REPEATS).format(leaf=leaf))
            repeats = sorted(cast("list[tuple[int, int]]", cursor.fetchall()))
            cursor.execute(_FEW_ROWS)
            cursor.execute(key_index)
        for attribute in attributes:
            self.index_attribute(cursor, generation, partition, attribute)
        return repeats

    def unindex(self, cursor: psycopg.Cursor, generation: int, partition: int) -> None:
        """Take an empty leaf's indexes away, so that it is filled as a delsert's is."""
        name = f"user_row_g{generation}_p{partition}"
        for index in (f"{name}_key", f"{name}_id"):
            statement = sql.SQL("DROP INDEX IF EXISTS {index}")
            cursor.execute(statement.format(index=sql.Identifier(self.schema, index)))

    def index_attribute(
        self, cursor: psycopg.Cursor, generation: int, partition: int, attribute: str
    ) -> None:
        """Let readers find the leaf's users by an attribute's value."""
        # An attribute's name is too long, and has too many characters, for a table's name.
        short = f"{zlib.crc32(attribute.encode()):08x}"
        name = sql.Identifier(f"user_row_g{generation}_p{partition}_a{short}")
        leaf = self.leaf(generation, partition)
        statement = sql.SQL(_INDEX_ATTRIBUTE)
        cursor.execute(statement.format(name=name, leaf=leaf, attribute=sql.Literal(attribute)))

    def count(self, cursor: psycopg.Cursor, generation: int, partition: int, grown: int) -> None:
        """Note that a leaf holds so many users more, or fewer where it is negative."""
        parameters = {"generation": generation, "partition": partition, "grown": grown}
        cursor.execute(self._sql(_COUNT), parameters)

    def count_removed(self, cursor: psycopg.Cursor, generation: int, partition: int) -> int:
        """Count the users of the leaf before this one whose keys this one has not.

        The leaf before is as the delsert that made this generation found it: from its JobOpened
        on its partition has written here.  It is still there, since readers leave a generation
        only once all partitions have sealed the next one.
        """
        cursor.execute(self._sql(_BEFORE), {"generation": generation})
        before = self.leaf(_only_int(cursor), partition)
        leaf = self.leaf(generation, partition)
        cursor.execute(_WHOLE_LEAVES)
        cursor.execute(sql.SQL(_COUNT_REMOVED).format(before=before, leaf=leaf))
        removed = _only_int(cursor)
        cursor.execute(_FEW_ROWS)
        return removed

    def activate(self, cursor: psycopg.Cursor, job_id: int) -> None:
        """Let readers see the generation of this delsert: one UPDATE.

        Delserts that end in one transaction end in any order, so a generation never gives
        way to an earlier one; generations are numbered in the order of their jobs.
        """
        cursor.execute(self._sql(_ACTIVATE), {"job_id": job_id})
        cursor.execute(self._sql(_NOTE_ACTIVATION), {"generation": _only_int(cursor)})

    def expired(self, cursor: psycopg.Cursor, keep_s: float) -> list[int]:
        """Generations that readers left more than ``keep_s`` seconds ago."""
        cursor.execute(self._sql(_EXPIRED), {"keep_s": keep_s})
        return [row[0] for row in cursor.fetchall()]

    def drop(self, cursor: psycopg.Cursor, generation: int) -> None:
        """Drop a generation's tables; waits for readers as long as lock_timeout says."""
        branch = self._branch(generation)
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {branch}").format(branch=branch))
        for statement in (_FORGET_COUNT, _FORGET):
            cursor.execute(self._sql(statement), {"generation": generation})

    def _make_tables(self, cursor: psycopg.Cursor, generation: int) -> None:
        for statement in self._table_statements(generation):
            cursor.execute(statement)
        parameters = {"generation": generation, "partitions": self._partitions}
        cursor.execute(self._sql(_COUNT_FROM_ZERO), parameters)

    def _table_statements(self, generation: int) -> Iterator[sql.Composed]:
        branch = self._branch(generation)
        yield self._sql(_CREATE_BRANCH, branch=branch)
        for partition in range(self._partitions):
            yield self._sql(
                _CREATE_LEAF,
                leaf=self.leaf(generation, partition),
                branch=branch,
                generation=sql.Literal(generation),
                partition=sql.Literal(partition),
            )
        yield self._sql(_ATTACH_BRANCH, branch=branch, generation=sql.Literal(generation))

    def _branch(self, generation: int) -> sql.Identifier:
        return sql.Identifier(self.schema, f"user_row_g{generation}")

    def _sql(self, statement: LiteralString, **parts: sql.Composable) -> sql.Composed:
        return sql.SQL(statement).format(schema=sql.Identifier(self.schema), **parts)


def _only_int(cursor: psycopg.Cursor) -> int:
    row = cursor.fetchone()
    assert row is not None, "the statement returns exactly one row"
    return int(row[0])
