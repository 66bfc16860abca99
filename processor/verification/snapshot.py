"""One repeatable-read snapshot of the tables: rows, counts and offsets that belong together."""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString

import numpy as np
import pyarrow as pa
from psycopg import errors, sql

from processor.errors import VerificationError
from processor.projection.session import connect
from processor.tables.generations import Generations
from processor.verification.folded_job import rejection_hashes
from processor.verification.leaf_fingerprint import COLUMNS, LeafFingerprint
from schemas.clients.copy_out import copied_rows
from schemas.read_model.column_hashes import hashes
from schemas.read_model.copy_csv import FIELD_TYPES, TIME, copied_columns

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from datetime import datetime

    import psycopg

    from schemas.config.settings import Settings
    from schemas.events import JobMode

APPLICATION: Final = "rollcall-verification"
_ATTEMPTS: Final = 5
_WRAP: Final = (1 << 64) - 1

_PROJECTION: LiteralString = """
SELECT topic, topic_id, partitions, reconciliation_key, active_generation FROM {schema}.projection
"""
_GENERATIONS: LiteralString = """
SELECT generation, COALESCE(job_id, 0) FROM {schema}.generation
"""
_CANCELLED: LiteralString = "SELECT job_id FROM public.cancelled_job"
_OFFSETS: LiteralString = """
SELECT partition, next_offset, generation, is_indexed, sealed_job_id, open_job_id, open_mode,
       open_fills, next_sequence, digest, keeps_opt_outs, has_opt_outs,
       requires_digests
FROM {schema}.projection_offset WHERE topic = %(topic)s
"""
_USER_COUNTS: LiteralString = "SELECT generation, partition, users FROM {schema}.user_count"
_ATTRIBUTES: LiteralString = "SELECT partition, name, type FROM {schema}.attribute_partition"
_JOBS: LiteralString = """
SELECT job_id, mode, lines, file_name, sha256, accepted_at, accepted_by, sealed_partitions,
       started_at, finished_at, state
FROM {schema}.job
"""
_JOB_PARTITIONS: LiteralString = """
SELECT job_id, partition, inserted, updated, unchanged, rejected, deleted, notes,
       opened_offset, opened_at, sealed_offset, sealed_at, rows, digest
FROM {schema}.job_partition
"""
_LINE_OUTCOMES: LiteralString = """
COPY (
    SELECT job_id, partition, rows, outcomes FROM {schema}.line_outcome
    ORDER BY job_id, partition, first_position
) TO STDOUT (FORMAT csv)
"""
_REJECTIONS: LiteralString = """
COPY (
    SELECT job_id, record_number, line, code || COALESCE(further_faults::text, '') AS code
    FROM {schema}.rejection
) TO STDOUT (FORMAT csv)
"""
_NOTES: LiteralString = """
COPY (
    SELECT job_id, record_number, line, code || "column" || COALESCE(value, '') AS code
    FROM {schema}.note
) TO STDOUT (FORMAT csv)
"""
_OPT_OUTS: LiteralString = """
SELECT partition, flags, count(*) FROM {schema}.opt_out GROUP BY partition, flags
"""
_USERS: LiteralString = "COPY (SELECT {columns} FROM {leaf}) TO STDOUT (FORMAT csv)"
_WITH_ATTRIBUTES: LiteralString = """
COPY (SELECT id, attributes FROM {leaf} WHERE attributes <> '{{}}') TO STDOUT (FORMAT csv)
"""
_FINGERPRINT: LiteralString = """
SELECT count(*), COALESCE(sum(hash_record_extended(row, 0)), 0)
FROM (SELECT {columns} FROM {leaf}) AS row
"""
_LOCK: LiteralString = "LOCK TABLE {leaf} IN ACCESS SHARE MODE"

USER_TYPES: Final[dict[str, pa.DataType]] = {
    "id": pa.int64(),
    "key": pa.string(),
    **FIELD_TYPES,
    "attributes": pa.string(),
    "created_at": TIME,
    "modified_at": TIME,
    "job_id": pa.int64(),
    "record_number": pa.int64(),
    "event_id": pa.string(),
    "modified_position": pa.int64(),
}
"""The columns of a leaf that are compared, in the order in which they are read."""
_ATTRIBUTE_TYPES: Final = {"id": pa.int64(), "attributes": pa.string()}
_LINE_OUTCOME_TYPES: Final = {
    "job_id": pa.int64(),
    "partition": pa.int64(),
    "rows": pa.int64(),
    "outcomes": pa.string(),
}
_REJECTION_TYPES: Final = {
    "job_id": pa.int64(),
    "record_number": pa.int64(),
    "line": pa.int64(),
    "code": pa.string(),
}


@dataclass(frozen=True, slots=True)
class OffsetRow:
    """A row of projection_offset."""

    partition: int
    next_offset: int
    generation: int
    is_indexed: bool
    sealed_job_id: int
    open_job_id: int | None
    open_mode: str | None
    open_fills: int
    next_sequence: int
    digest: int
    keeps_opt_outs: bool
    has_opt_outs: bool
    requires_digests: bool


@dataclass(frozen=True, slots=True)
class JobRow:
    """A row of job."""

    job_id: int
    mode: JobMode
    lines: int
    file_name: str | None
    sha256: str
    accepted_at: datetime
    accepted_by: str
    sealed_partitions: int
    started_at: datetime
    finished_at: datetime | None
    state: str


@dataclass(frozen=True, slots=True)
class JobPartitionRow:
    """A row of job_partition."""

    job_id: int
    partition: int
    inserted: int
    updated: int
    unchanged: int
    rejected: int
    deleted: int
    notes: int
    opened_offset: int
    opened_at: datetime
    sealed_offset: int | None
    sealed_at: datetime | None
    rows: int | None
    digest: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """All that is small.

    ``generations``: the delsert of each, 0 of the first.  ``rejections`` and ``notes``: how many
    and the sum of their hashes, by job.  ``opt_outs``: keys by partition and flags.
    ``line_outcomes``: the digest of their letters, by job and partition.
    """

    schema: str
    topic_id: str
    partitions: int
    reconciliation_key: str
    active_generation: int
    generations: dict[int, int]
    cancelled: frozenset[int]
    offsets: dict[int, OffsetRow]
    user_counts: dict[tuple[int, int], int]
    attributes: dict[tuple[int, str], str]
    jobs: dict[int, JobRow]
    job_partitions: dict[tuple[int, int], JobPartitionRow]
    rejections: dict[int, tuple[int, int]]
    line_outcomes: dict[tuple[int, int], int]
    notes: dict[int, tuple[int, int]]
    opt_outs: dict[tuple[int, int], int]

    @property
    def seen_generations(self) -> list[int]:
        """The one that readers see, and those that are being filled."""
        return sorted(number for number in self.generations if number >= self.active_generation)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tables, and the name under which other sessions see the same rows."""

    name: str
    tables: Tables


@contextlib.contextmanager
def snapshot(settings: Settings, schema: str) -> Generator[Snapshot]:
    """A snapshot of the tables in ``schema``, good as long as the context is open.

    It takes no lock that a writer waits for; only an old generation is dropped later.

    Raises:
        VerificationError: there are no such tables.
    """
    for attempt in range(_ATTEMPTS):
        with contextlib.closing(connect(settings, APPLICATION)) as connection:
            try:
                taken = _take(connection, settings, schema)
            except errors.UndefinedTable as error:
                # A generation was dropped after the snapshot had been taken: take another one.
                if attempt == _ATTEMPTS - 1:
                    raise VerificationError(
                        f"There is no projection in the schema {schema}: {error}"
                    ) from error
                continue
            yield taken
            return


@contextlib.contextmanager
def session(settings: Settings, name: str) -> Generator[psycopg.Connection]:
    """A session that sees what the snapshot of this name sees."""
    with contextlib.closing(connect(settings, APPLICATION)) as connection:
        _begin(connection)
        connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(name)))
        yield connection


@dataclass(frozen=True, slots=True)
class Leaves:
    """The leaves of one partition, by generation, as one session sees them."""

    connection: psycopg.Connection
    schema: str
    partition: int

    def fingerprint(self, generation: int) -> LeafFingerprint:
        """Return the fingerprint of a leaf's rows, computed by Postgres."""
        statement = self._statement(_FINGERPRINT, generation, COLUMNS)
        row = self.connection.execute(statement).fetchone()
        assert row is not None, "an aggregate has one row"
        return LeafFingerprint(row[0], int(row[1]) & _WRAP)

    def attributes(self, generation: int) -> Iterator[pa.Table]:
        """Ids and attributes of those users that have any, some thousand at a time."""
        statement = self._statement(_WITH_ATTRIBUTES, generation)
        return _copied(self.connection, statement, _ATTRIBUTE_TYPES)

    def users(self, generation: int) -> Iterator[pa.Table]:
        """Yield a leaf's rows, in columns as :data:`USER_TYPES`, some thousand at a time."""
        statement = self._statement(_USERS, generation, USER_TYPES)
        return _copied(self.connection, statement, USER_TYPES)

    def _statement(
        self, text: LiteralString, generation: int, columns: Iterable[str] = ()
    ) -> sql.Composed:
        return sql.SQL(text).format(
            columns=sql.SQL(", ").join(sql.Identifier(name) for name in columns),
            leaf=Generations(self.schema, 0).leaf(generation, self.partition),
        )


def _take(connection: psycopg.Connection, settings: Settings, schema: str) -> Snapshot:
    _begin(connection)
    tables = _read_tables(connection, settings, schema)
    leaves = Generations(schema, tables.partitions)
    for generation in tables.seen_generations:
        for partition in range(tables.partitions):
            leaf = leaves.leaf(generation, partition)
            connection.execute(sql.SQL(_LOCK).format(leaf=leaf))
    row = connection.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None, "a function answers"
    return Snapshot(row[0], tables)


def _begin(connection: psycopg.Connection) -> None:
    for statement in (
        "SET TimeZone = 'UTC'",
        "SET DateStyle = 'ISO'",
        "SET search_path = pg_catalog",
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    ):
        connection.execute(statement.encode())


def _read_tables(connection: psycopg.Connection, settings: Settings, schema: str) -> Tables:
    name = sql.Identifier(schema)

    def select(statement: LiteralString, **values: object) -> list[Any]:
        return connection.execute(sql.SQL(statement).format(schema=name), values).fetchall()

    projections = select(_PROJECTION)
    if not projections:
        raise VerificationError(f"The projection in the schema {schema} is empty: none was made.")
    topic, topic_id, partitions, reconciliation_key, active_generation = projections[0]
    if topic != settings.topics.user_events.name:
        raise VerificationError(
            f"The projection was made from {topic}, and the settings name "
            f"{settings.topics.user_events.name}: set ROLLCALL_TOPIC_PREFIX as it was."
        )
    if active_generation is None:
        raise VerificationError(
            f"The projection in the schema {schema} has no active generation: readers see no users."
        )
    return Tables(
        schema=schema,
        topic_id=topic_id,
        partitions=partitions,
        reconciliation_key=reconciliation_key,
        active_generation=active_generation,
        generations=dict(select(_GENERATIONS)),
        cancelled=frozenset(row[0] for row in select(_CANCELLED)),
        offsets={row[0]: OffsetRow(*row) for row in select(_OFFSETS, topic=topic)},
        user_counts={(row[0], row[1]): row[2] for row in select(_USER_COUNTS)},
        attributes={(row[0], row[1]): row[2] for row in select(_ATTRIBUTES)},
        jobs={row[0]: JobRow(*row) for row in select(_JOBS)},
        job_partitions={(row[0], row[1]): JobPartitionRow(*row) for row in select(_JOB_PARTITIONS)},
        rejections=_rejections(connection, sql.SQL(_REJECTIONS).format(schema=name)),
        line_outcomes=_line_outcomes(connection, sql.SQL(_LINE_OUTCOMES).format(schema=name)),
        notes=_rejections(connection, sql.SQL(_NOTES).format(schema=name)),
        opt_outs={(row[0], row[1]): row[2] for row in select(_OPT_OUTS)},
    )


def _rejections(
    connection: psycopg.Connection, statement: sql.Composed
) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for part in _copied(connection, statement, _REJECTION_TYPES):
        job_ids, record_numbers, lines = (
            np.asarray(part.column(name)) for name in ("job_id", "record_number", "line")
        )
        numbers = rejection_hashes(
            record_numbers, lines, hashes(part.column("code").combine_chunks())
        )
        for job_id in np.unique(job_ids).tolist():
            chosen = numbers[job_ids == job_id]
            count, total = found.get(job_id, (0, 0))
            found[job_id] = count + len(chosen), (total + int(chosen.sum())) & _WRAP
    return found


def _line_outcomes(
    connection: psycopg.Connection, statement: sql.Composed
) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    for part in _copied(connection, statement, _LINE_OUTCOME_TYPES):
        for row in part.to_pylist():
            key, letters = (row["job_id"], row["partition"]), row["outcomes"]
            whole = letters * row["rows"] if len(letters) == 1 else letters
            found[key] = zlib.crc32(whole.encode(), found.get(key, 0))
    return found


def _copied(
    connection: psycopg.Connection, statement: sql.Composed, types: Mapping[str, pa.DataType]
) -> Iterator[pa.Table]:
    return copied_columns(copied_rows(connection.pgconn, statement.as_bytes(connection)), types)
