"""Compares the tables of two projections of one log at equal offsets, by hashes of rows.

Logical columns only: what the log decides.  Not compared is what differs from
one run to the next: the numbers of generations, how often a job's row was
written, epochs and holders, when an outcome was written.

A fingerprint is taken in a transaction of the caller's that sees one state
(REPEATABLE READ): its offsets are then those of its hashes, and a projection
that is at work meanwhile can be compared with one that is built up to exactly
these offsets.  Each hash is a sum over the hashes of rows, so their order does
not matter.

    with one.transaction(): fingerprint of the live tables, at some offsets
        a replay runs to these offsets
        with other.transaction(): fingerprint of its tables; then the differences
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString, cast

from psycopg import sql
from psycopg.rows import dict_row, tuple_row

from schemas.log.positions import last_position_sql
from schemas.read_model.tables import REPEAT_OFFSETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import psycopg

LISTED_KEYS: Final = 20
"""So many differing keys of a table are listed."""
USERS: Final = "users"
_BUCKETS_AT_ONCE: Final = 64
"""Of 1024: so much of a table is held in memory at most."""

_AUDIENCES: LiteralString = """
SELECT generation, COALESCE(generation.job_id, 0) AS job_id
FROM {schema}.generation, {schema}.projection
WHERE generation >= active_generation
ORDER BY generation
"""
"""The generation that readers see and those that are being filled, by the job that made them."""
_LEAF: LiteralString = """
SELECT key, id, first_name, last_name, email, mobile_number, country, state, last_active_date,
       sms_subscription, email_subscription, voice_subscription, attributes, created_at,
       modified_at, job_id, record_number, event_id, modified_position
FROM {schema}.{leaf}
"""
_ROWS: Final[Mapping[str, tuple[tuple[str, ...], LiteralString]]] = {
    "projection": (
        ("topic",),
        """
        SELECT topic, topic_id, partitions, reconciliation_key,
               COALESCE(generation.job_id, 0) AS audience
        FROM {schema}.projection LEFT JOIN {schema}.generation ON generation = active_generation
        """,
    ),
    "projection_offset": (
        ("partition",),
        """
        SELECT partition, next_offset, sealed_job_id, open_job_id, open_mode, open_fills,
               next_sequence, digest, keeps_opt_outs, has_opt_outs,
               requires_digests,
               COALESCE(generation.job_id, 0) AS audience
        FROM {schema}.projection_offset JOIN {schema}.generation USING (generation)
        """,
    ),
    "job": (
        ("job_id",),
        """
        SELECT job_id, mode, lines, file_name, sha256, accepted_at, accepted_by, started_at,
               finished_at, sealed_partitions, state
        FROM {schema}.job
        """,
    ),
    "job_partition": (
        ("job_id", "partition"),
        """
        SELECT job_id, partition, inserted, updated, unchanged, rejected, deleted, notes,
               opened_offset, opened_at, sealed_offset, sealed_at, rows, digest
        FROM {schema}.job_partition
        """,
    ),
    "rejection": (
        ("job_id", "record_number"),
        """
        SELECT job_id, record_number, line, "column", code, reason, value, raw,
               further_faults::text AS further_faults
        FROM {schema}.rejection
        """,
    ),
    "line_outcome": (
        ("job_id", "partition"),
        """
        SELECT job_id, partition, sum(rows) AS rows,
               md5(string_agg(CASE WHEN length(outcomes) = rows THEN outcomes
                              ELSE repeat(outcomes, rows) END, '' ORDER BY first_position))
        FROM {schema}.line_outcome GROUP BY job_id, partition
        """,
    ),
    "note": (
        ("job_id", "record_number", "column", "code"),
        """
        SELECT job_id, record_number, line, "column", code, reason, value FROM {schema}.note
        """,
    ),
    "opt_out": (
        ("partition", "key_hash"),
        "SELECT partition, key_hash, flags FROM {schema}.opt_out",
    ),
    "source_partition": (
        ("partition", "source"),
        """
        SELECT partition, source, inserted, updated, unchanged, deleted, rejected, dead, repeats,
               first_at, last_at
        FROM {schema}.source_partition
        """,
    ),
    "attribute": (
        ("name",),
        """
        SELECT name, type, is_reconciliation_key, is_indexed, defined_at, defined_by
        FROM {schema}.attribute
        """,
    ),
    "attribute_partition": (
        ("name", "partition"),
        "SELECT name, partition, type FROM {schema}.attribute_partition",
    ),
    "user_count": (
        ("audience", "partition"),
        """
        SELECT COALESCE(made.job_id, 0) AS audience, partition, users
        FROM {schema}.user_count JOIN {schema}.generation AS made USING (generation)
        WHERE generation >= (SELECT active_generation FROM {schema}.projection)
        """,
    ),
    # What is older decides nothing any more, and may have been swept.
    "write_outcome": (
        ("event_id", "partition"),
        f"""
        SELECT event_id, partition, position, outcome, user_id, code, reason, "column"
        FROM {{schema}}.write_outcome
        JOIN {{schema}}.projection_offset AS reached USING (partition)
        WHERE position + {{window}} >= {last_position_sql("reached")}
        """,  # noqa: S608 - an expression of ours
    ),
}
"""By table: the columns that identify a row, and the logical columns of its rows."""
_FINGERPRINT: LiteralString = """
SELECT count(*), COALESCE(sum(hash_record_extended(row, 0)), 0) FROM ({rows}) AS row
"""
_BUCKETS: LiteralString = """
SELECT hash_record_extended(ROW({keys}), 0) & 1023 AS bucket, count(*),
       sum(hash_record_extended(row, 0))
FROM ({rows}) AS row GROUP BY 1
"""
_HASHES: LiteralString = """
SELECT {keys}, hash_record_extended(row, 0) FROM ({rows}) AS row
WHERE hash_record_extended(ROW({keys}), 0) & 1023 = ANY(%(buckets)s)
"""
_ROW: LiteralString = "SELECT * FROM ({rows}) AS row WHERE ({keys}) = ({values})"
_NEXT_OFFSETS: LiteralString = """
SELECT next_offset FROM {schema}.projection_offset ORDER BY partition
"""

Part = tuple[int, int]
"""Rows, and the sum of their hashes."""


@dataclass(frozen=True, slots=True)
class Side:
    """The tables of one schema, as a transaction of this cursor sees them."""

    cursor: psycopg.Cursor[Any]
    schema: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The rows and hashes of a projection at these offsets, by partition.

    ``tables`` has the parts of each table; users have one for each audience (by the job
    that made it, 0 for the first) and partition, other tables have one.
    """

    next_offsets: tuple[int, ...]
    tables: Mapping[str, Mapping[tuple[int, int], Part]]

    def rows(self, table: str) -> int:
        """Return how many rows of a table were hashed."""
        return sum(rows for rows, _ in self.tables[table].values())


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that is not the same in both; ``columns`` are those that differ.

    ``where``: ``one`` or ``other`` where only that one has it, else ``both``.
    """

    key: tuple[Any, ...]
    where: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableDifference:
    """A table that is not the same in both: its rows, how many differ, and the first of these."""

    table: str
    rows: int
    other_rows: int
    differing: int
    keys: tuple[RowDifference, ...]


@dataclass(frozen=True, slots=True)
class _Rows:
    """A query of logical rows, and the columns that tell which row is which."""

    query: sql.Composed
    keys: tuple[str, ...]

    def statement(self, text: LiteralString, **parts: sql.Composable) -> sql.Composed:
        """Return a statement about these rows."""
        keys = sql.SQL(", ").join(sql.Identifier(key) for key in self.keys)
        return sql.SQL(text).format(rows=self.query, keys=keys, **parts)


def compare(one: Side, other: Side) -> list[TableDifference]:
    """Return the tables that differ; none where both sides are equal."""
    return differences(one, fingerprint(one), other, fingerprint(other))


def fingerprint(side: Side) -> Fingerprint:
    """Count and hash the rows of all tables; each is read once."""
    cursor = side.cursor.connection.cursor(row_factory=tuple_row)
    offsets = sql.SQL(_NEXT_OFFSETS).format(schema=sql.Identifier(side.schema))
    next_offsets = tuple(row[0] for row in cursor.execute(offsets))
    tables: dict[str, dict[tuple[int, int], Part]] = {USERS: {}}
    for leaf, rows in _leaves(side, len(next_offsets)).items():
        tables[USERS][leaf] = _part(cursor, rows)
    for table in _ROWS:
        tables[table] = {(0, 0): _part(cursor, _table_rows(side.schema, table))}
    return Fingerprint(next_offsets, tables)


def differences(
    one: Side, of_one: Fingerprint, other: Side, of_other: Fingerprint
) -> list[TableDifference]:
    """Return the tables whose fingerprints differ, with what differs in them.

    Both transactions must still see what was hashed.
    """
    found: list[TableDifference] = []
    for table, parts in of_one.tables.items():
        other_parts = of_other.tables[table]
        unlike = [
            part
            for part in sorted(parts.keys() | other_parts.keys())
            if parts.get(part) != other_parts.get(part)
        ]
        if unlike:
            rows = _rows_of(one, table, len(of_one.next_offsets))
            other_rows = _rows_of(other, table, len(of_other.next_offsets))
            differing, keys = _differing(
                one, other, [(rows.get(part), other_rows.get(part)) for part in unlike]
            )
            found.append(
                TableDifference(table, of_one.rows(table), of_other.rows(table), differing, keys)
            )
    return found


def _rows_of(side: Side, table: str, partitions: int) -> dict[tuple[int, int], _Rows]:
    if table == USERS:
        return _leaves(side, partitions)
    return {(0, 0): _table_rows(side.schema, table)}


def _table_rows(schema: str, table: str) -> _Rows:
    keys, query = _ROWS[table]
    window = sql.Literal(REPEAT_OFFSETS)
    return _Rows(sql.SQL(query).format(schema=sql.Identifier(schema), window=window), keys)


def _leaves(side: Side, partitions: int) -> dict[tuple[int, int], _Rows]:
    """Return the leaves that count, by audience and partition."""
    schema = sql.Identifier(side.schema)
    cursor = side.cursor.connection.cursor(row_factory=tuple_row)
    audiences = cursor.execute(sql.SQL(_AUDIENCES).format(schema=schema)).fetchall()
    return {
        (job_id, partition): _Rows(
            sql.SQL(_LEAF).format(
                schema=schema, leaf=sql.Identifier(f"user_row_g{generation}_p{partition}")
            ),
            ("key",),
        )
        for generation, job_id in audiences
        for partition in range(partitions)
    }


def _part(cursor: psycopg.Cursor[tuple[Any, ...]], rows: _Rows) -> Part:
    found = cursor.execute(rows.statement(_FINGERPRINT)).fetchone()
    assert found is not None, "an aggregate has one row"
    return int(found[0]), int(found[1])


def _differing(
    one: Side, other: Side, parts: Sequence[tuple[_Rows | None, _Rows | None]]
) -> tuple[int, tuple[RowDifference, ...]]:
    """Return how many rows differ in these parts, and the first of them by key."""
    differing = 0
    listed: list[RowDifference] = []
    for rows, other_rows in parts:
        keys = _differing_keys(one, rows, other, other_rows)
        differing += len(keys)
        for key in keys[: LISTED_KEYS - len(listed)]:
            row, other_row = _row(one, rows, key), _row(other, other_rows, key)
            listed.append(_row_difference(key, row, other_row))
    return differing, tuple(listed)


def _row_difference(
    key: tuple[Any, ...], row: dict[str, Any] | None, other: dict[str, Any] | None
) -> RowDifference:
    if row is None or other is None:
        return RowDifference(key, "other" if row is None else "one")
    columns = tuple(name for name, value in row.items() if other[name] != value)
    return RowDifference(key, "both", columns)


def _differing_keys(
    one: Side, rows: _Rows | None, other: Side, other_rows: _Rows | None
) -> list[tuple[Any, ...]]:
    """Return the keys whose rows differ; only buckets of keys that differ are read row by row."""
    buckets, other_buckets = _buckets(one, rows), _buckets(other, other_rows)
    unlike = sorted(
        bucket
        for bucket in buckets.keys() | other_buckets.keys()
        if buckets.get(bucket) != other_buckets.get(bucket)
    )
    found: list[tuple[Any, ...]] = []
    for begin in range(0, len(unlike), _BUCKETS_AT_ONCE):
        some = unlike[begin : begin + _BUCKETS_AT_ONCE]
        hashes = dict(_hashes(one, rows, some))
        others = dict(_hashes(other, other_rows, some))
        found += (
            key for key in hashes.keys() | others.keys() if hashes.get(key) != others.get(key)
        )
    return sorted(found)


def _buckets(side: Side, rows: _Rows | None) -> dict[int, Part]:
    if rows is None:
        return {}
    cursor = side.cursor.connection.cursor(row_factory=tuple_row)
    found = cursor.execute(rows.statement(_BUCKETS)).fetchall()
    return {bucket: (int(count), int(total)) for bucket, count, total in found}


def _hashes(
    side: Side, rows: _Rows | None, buckets: list[int]
) -> Iterator[tuple[tuple[Any, ...], int]]:
    if rows is None or not buckets:
        return
    cursor = side.cursor.connection.cursor(row_factory=tuple_row)
    for *key, row_hash in cursor.execute(rows.statement(_HASHES), {"buckets": buckets}):
        yield tuple(key), cast("int", row_hash)


def _row(side: Side, rows: _Rows | None, key: tuple[Any, ...]) -> dict[str, Any] | None:
    if rows is None:
        return None
    values = sql.SQL(", ").join(sql.Literal(value) for value in key)
    with side.cursor.connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(rows.statement(_ROW, values=values)).fetchone()
