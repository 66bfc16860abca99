"""Writes the rows of jobs: opened, counted, finished; and reads their statuses.

A job's row is the only one that several workers write, so all of it happens
last in a transaction and in order of job id: nobody waits for rows that another
partition still writes.  Who holds it sees every other
partition's counts: so a status never goes back, and exactly one worker sees
the last partition sealed.

When a job started and ended is what the log says, its first JobOpened and its
last JobSealed, so a replay says the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, LiteralString

import structlog
from psycopg import sql
from psycopg.rows import class_row, dict_row

from processor.decoding.decode_and_accept import repeated_job
from processor.errors import RecordRefusedError
from processor.runtime.metrics import JOB_SECONDS, JOBS, OUTCOMES_LOST
from schemas.codec.codec import encode
from schemas.events import JobStatus
from schemas.log.job_states import COUNTS, line_outcomes
from schemas.log.record_headers import headers_of
from schemas.runtime.tracing import TRACES, Beginning, traceparent_in

if TYPE_CHECKING:
    import psycopg

    from processor.decoding.accept_rule import Opened, Sealed
    from processor.decoding.records import Record
    from schemas.events import ErasedOutcome

_OPEN: LiteralString = """
INSERT INTO {schema}.job
    (job_id, mode, lines, file_name, sha256, accepted_at, accepted_by, started_at)
VALUES (%(job_id)s, %(mode)s, %(lines)s, %(file_name)s, %(sha256)s, %(accepted_at)s,
        %(accepted_by)s, %(recorded_at)s)
ON CONFLICT (job_id) DO NOTHING
"""
_OPEN_PARTITION: LiteralString = """
INSERT INTO {schema}.job_partition (job_id, partition, opened_offset, opened_at)
VALUES (%(job_id)s, %(partition)s, %(offset)s, %(recorded_at)s)
ON CONFLICT (job_id, partition) DO NOTHING
"""
_SEAL_PARTITION: LiteralString = """
UPDATE {schema}.job_partition
SET sealed_offset = %(offset)s, sealed_at = %(recorded_at)s, rows = %(rows)s, digest = %(digest)s
WHERE job_id = %(job_id)s AND partition = %(partition)s
"""
_COUNT: LiteralString = """
UPDATE {schema}.job_partition
SET inserted = inserted + %(inserted)s, updated = updated + %(updated)s,
    unchanged = unchanged + %(unchanged)s, rejected = rejected + %(rejected)s,
    deleted = deleted + %(deleted)s, notes = notes + %(notes)s
WHERE job_id = %(job_id)s AND partition = %(partition)s
"""
_HOLD: LiteralString = """
UPDATE {schema}.job
SET version = version + %(progress)s, sealed_partitions = sealed_partitions + %(sealed)s,
    started_at = LEAST(started_at, %(opened_at)s)
WHERE job_id = %(job_id)s
RETURNING sealed_partitions, mode
"""
_IS_CANCELLED: LiteralString = "SELECT FROM public.cancelled_job WHERE job_id = %(job_id)s"
_FINISH: LiteralString = """
UPDATE {schema}.job
SET finished_at = counted.sealed_at,
    state = CASE WHEN %(is_reverted)s THEN 'REVERTED'
                 WHEN counted.rejected > 0 THEN 'COMPLETED_WITH_ERRORS' ELSE 'COMPLETED' END
FROM (SELECT max(sealed_at) AS sealed_at, sum(rejected) AS rejected
      FROM {schema}.job_partition WHERE job_id = %(job_id)s) AS counted
WHERE job_id = %(job_id)s
"""
_STATUS: LiteralString = """
SELECT job.job_id, version, state, mode, lines, file_name, sha256, accepted_at, accepted_by,
       started_at, finished_at, sum(inserted)::bigint AS inserted, sum(updated)::bigint AS updated,
       sum(unchanged)::bigint AS unchanged, sum(rejected)::bigint AS rejected,
       sum(deleted)::bigint AS deleted, sum(notes)::bigint AS notes
FROM {schema}.job JOIN {schema}.job_partition USING (job_id)
WHERE job_id = %(job_id)s
GROUP BY job.job_id
"""

_CHANGED: LiteralString = """
SELECT new.job_id, new.version, new.state, new.mode, new.lines, new.file_name, new.sha256,
       new.accepted_at, new.accepted_by, new.started_at, new.finished_at,
       new.inserted, new.updated, new.unchanged, new.rejected, new.deleted, new.notes
FROM {new}.jobs AS new JOIN {old}.jobs AS old USING (job_id)
WHERE (new.state, new.inserted, new.updated, new.unchanged, new.rejected, new.deleted, new.notes)
      IS DISTINCT FROM
      (old.state, old.inserted, old.updated, old.unchanged, old.rejected, old.deleted, old.notes)
ORDER BY new.accepted_at, new.job_id
"""
_TO_OUTBOX: LiteralString = """
INSERT INTO {new}.outbox (topic, key, value) VALUES (%(topic)s, %(key)s, %(value)s)
"""


@dataclass(slots=True)
class Counts:
    """Outcomes of one job in one partition, as one transaction changes them.

    ``deleted``: users that it removes; ``notes``: cells that were not taken as they stood.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    deleted: int = 0
    notes: int = 0

    def add_erased(self, outcome: ErasedOutcome) -> str:
        """Count a line as it counted before its data was erased; return how that is."""
        counted = {"none": "unchanged", "refused": "rejected"}.get(outcome, outcome)
        setattr(self, counted, getattr(self, counted) + 1)
        return counted


@dataclass(frozen=True, slots=True)
class WrittenJob:
    """A job that a transaction changed.

    ``is_whole``: it has just ended; ``ends_delsert``: and readers are to see its users.
    """

    job_id: int
    is_whole: bool
    ends_delsert: bool


class JobChanges:
    """Collects what one transaction does to jobs, until :meth:`write`."""

    def __init__(self, schema: str, partitions: int, reverted: frozenset[int]) -> None:
        self._schema = sql.Identifier(schema)
        self._partitions = partitions
        self._reverted = reverted
        self._counts: dict[tuple[int, int], Counts] = {}
        self._opened: dict[int, dict[str, Any]] = {}
        self._sealed: defaultdict[int, int] = defaultdict(int)
        self._progress: Counter[int] = Counter()
        """By how much the version of each job that is changed grows: openings, lines and seals, so
        in all by the same however its records come. Its last status has the highest version then,
        also where Postgres has lost what was committed and an earlier status was sent before
        that."""

    def open(self, cursor: psycopg.Cursor, opened: Opened, partition: int) -> None:
        """Note that the job began in a partition; of several the first makes its row.

        Raises:
            RecordRefusedError: it has begun there before, and has ended since.
        """
        job = opened.job
        parameters = asdict(job) | {
            "partition": partition, "offset": opened.offset, "recorded_at": opened.recorded_at,
        }  # fmt: skip
        if not cursor.execute(self._sql(_OPEN_PARTITION), parameters).rowcount:
            refusal = repeated_job(opened, partition)
            raise RecordRefusedError(opened.offset, refusal.code, refusal.reason)
        self._progress[job.job_id] += 1
        others = self._opened.get(job.job_id, parameters)
        self._opened[job.job_id] = min(parameters, others, key=itemgetter("recorded_at"))

    def seal(self, cursor: psycopg.Cursor, sealed: Sealed, partition: int) -> None:
        """Note that the job is whole in one more partition."""
        parameters = asdict(sealed.seal) | {
            "partition": partition, "offset": sealed.offset, "recorded_at": sealed.recorded_at,
        }  # fmt: skip
        cursor.execute(self._sql(_SEAL_PARTITION), parameters)
        self._sealed[sealed.seal.job_id] += 1
        self._progress[sealed.seal.job_id] += 1

    def counts(self, job_id: int, partition: int) -> Counts:
        """Return the changes of the job's counts, to be added to."""
        return self._counts.setdefault((job_id, partition), Counts())

    def totals(self) -> Counter[str]:
        """Return the sums of all changes of counts, by name."""
        changes = (Counter(asdict(counts)) for counts in self._counts.values())
        return sum(changes, Counter[str]())

    def write(self, cursor: psycopg.Cursor) -> list[WrittenJob]:
        """Write all changes; the jobs changed, in the order in which they were held."""
        for (job_id, partition), counts in self._counts.items():
            parameters = {"job_id": job_id, "partition": partition} | asdict(counts)
            cursor.execute(self._sql(_COUNT), parameters)
            self._progress[job_id] += sum(getattr(counts, name) for name in COUNTS)
        return [self._write_job(cursor, job_id) for job_id in sorted(self._progress)]

    def _write_job(self, cursor: psycopg.Cursor, job_id: int) -> WrittenJob:
        is_reverted = job_id in self._reverted
        opened = self._opened.get(job_id)
        if opened is not None:
            cursor.execute(self._sql(_OPEN), opened)
        parameters = {
            "job_id": job_id,
            "sealed": self._sealed[job_id],
            "progress": self._progress[job_id],
            "opened_at": None if opened is None else opened["recorded_at"],
            "is_reverted": is_reverted,
        }
        held = cursor.execute(self._sql(_HOLD), parameters).fetchone()
        assert held is not None, "a job's row is made in the transaction that opens it"
        is_whole = self._sealed[job_id] > 0 and held[0] == self._partitions
        if is_whole:
            cursor.execute(self._sql(_FINISH), parameters)
        ends_delsert = is_whole and held[1] == "delsert" and not is_reverted
        if ends_delsert:
            ends_delsert = cursor.execute(_IS_CANCELLED, {"job_id": job_id}).fetchone() is None
        return WrittenJob(job_id, is_whole=is_whole, ends_delsert=ends_delsert)

    def status(self, cursor: psycopg.Cursor, job_id: int) -> JobStatus:
        """Return a snapshot of a job whose row this transaction holds."""
        with cursor.connection.cursor(row_factory=dict_row) as rows:
            row = rows.execute(self._sql(_STATUS), {"job_id": job_id}).fetchone()
        assert row is not None, "counts were written before"
        return JobStatus(**row)

    def _sql(self, statement: LiteralString) -> sql.Composed:
        return sql.SQL(statement).format(schema=self._schema)


def announce_changed(cursor: psycopg.Cursor, old: str, new: str, topic: str) -> None:
    """Send the statuses of jobs that ended otherwise in the new tables than in the old ones.

    Both are schemas, at equal offsets; the versions of the new one are the later ones already.
    """
    names = {"old": sql.Identifier(old), "new": sql.Identifier(new)}
    with cursor.connection.cursor(row_factory=class_row(JobStatus)) as rows:
        statuses = rows.execute(sql.SQL(_CHANGED).format(**names)).fetchall()
    records = [
        {"topic": topic, "key": str(status.job_id).encode(), "value": encode(status)}
        for status in statuses
    ]
    if records:
        cursor.executemany(sql.SQL(_TO_OUTBOX).format(**names), records)


class FinishedJobs:
    """The jobs that one transaction ends, told of once it is committed."""

    def __init__(self) -> None:
        self._began_at = datetime.now(UTC)
        self._traceparents: dict[int, str | None] = {}
        self._statuses: list[tuple[JobStatus, str]] = []

    def note_seal(self, job_id: int, seal: Record) -> None:
        """Remember which trace the job belongs to: its seals say it, whoever read its rows."""
        self._traceparents[job_id] = traceparent_in(headers_of(seal))

    def add(self, status: JobStatus, *, has_switched: bool) -> None:
        """Note a job that has ended, and whether readers see its users from now on."""
        self._statuses.append((status, "switch" if has_switched else "complete"))

    def tell(self) -> None:
        """Log and count each job, in a span of its whole projection and one of its end."""
        for status, end in self._statuses:
            told = {"rollcall.job_id": str(status.job_id), "rollcall.state": status.state}
            traceparent = self._traceparents.get(status.job_id)
            whole = Beginning("project", traceparent, "CONSUMER", status.started_at, told)
            with TRACES.span(whole), TRACES.span(Beginning(end, at=self._began_at)):
                _log_finished(status)


def _log_finished(status: JobStatus) -> None:
    """Log the canonical line of a finished job; its outcomes must add up to its lines.

    Of a reverted job they do not: its rows have none.
    """
    log = structlog.stdlib.get_logger("rollcall.processor").bind(
        job_id=status.job_id, mode=status.mode, state=status.state, lines=status.lines
    )
    JOBS.labels(status.mode, status.state).inc()
    if status.finished_at is not None:
        JOB_SECONDS.observe((status.finished_at - status.accepted_at).total_seconds())
    counts = {name: getattr(status, name) for name in COUNTS}
    if status.state == "REVERTED" or line_outcomes(status.mode, counts) == status.lines:
        log.info("job finished", **counts, notes=status.notes)
    else:
        OUTCOMES_LOST.inc()
        log.error("outcomes do not add up to the lines", **counts)
