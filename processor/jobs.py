"""The jobs' rows: opened, counted, finished, and their statuses on the way to Kafka.

A job's row is the only one that several workers write, so all of it happens
last in a transaction and in order of job id.  Who holds it sees every other
partition's counts: so a status never goes back, and exactly one worker sees
the last partition sealed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, LiteralString

import structlog
from psycopg import sql
from psycopg.rows import dict_row

from schemas.events import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from schemas.events import JobOpened

_OPEN: LiteralString = """
INSERT INTO {schema}.job
    (job_id, mode, lines, file_name, sha256, accepted_at, accepted_by, started_at)
VALUES (%(job_id)s, %(mode)s, %(lines)s, %(file_name)s, %(sha256)s, %(accepted_at)s,
        %(accepted_by)s, clock_timestamp())
ON CONFLICT (job_id) DO NOTHING
"""
_COUNT: LiteralString = """
INSERT INTO {schema}.job_partition AS counted
    (job_id, partition, inserted, updated, unchanged, rejected)
VALUES (%(job_id)s, %(partition)s, %(inserted)s, %(updated)s, %(unchanged)s, %(rejected)s)
ON CONFLICT (job_id, partition) DO UPDATE
SET inserted = counted.inserted + EXCLUDED.inserted,
    updated = counted.updated + EXCLUDED.updated,
    unchanged = counted.unchanged + EXCLUDED.unchanged,
    rejected = counted.rejected + EXCLUDED.rejected
"""
_HOLD: LiteralString = """
UPDATE {schema}.job
SET version = version + 1, sealed_partitions = sealed_partitions + %(sealed)s
WHERE job_id = %(job_id)s
RETURNING sealed_partitions
"""
_FINISH: LiteralString = """
UPDATE {schema}.job
SET finished_at = clock_timestamp(),
    state = CASE WHEN (SELECT sum(rejected) FROM {schema}.job_partition
                       WHERE job_id = %(job_id)s) > 0
            THEN 'COMPLETED_WITH_ERRORS' ELSE 'COMPLETED' END
WHERE job_id = %(job_id)s
"""
_STATUS: LiteralString = """
SELECT job.job_id, version, state, mode, lines, file_name, sha256, accepted_at, accepted_by,
       started_at, finished_at, sum(inserted)::bigint AS inserted, sum(updated)::bigint AS updated,
       sum(unchanged)::bigint AS unchanged, sum(rejected)::bigint AS rejected
FROM {schema}.job JOIN {schema}.job_partition USING (job_id)
WHERE job_id = %(job_id)s
GROUP BY job.job_id
"""


@dataclass(slots=True)
class Counts:
    """Outcomes of one job in one partition, as one transaction changes them."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0


class JobChanges:
    """What one transaction does to jobs, gathered until :meth:`write`."""

    def __init__(self, schema: str, partitions: int) -> None:
        self._schema = sql.Identifier(schema)
        self._partitions = partitions
        self._counts: dict[tuple[int, int], Counts] = {}
        self._sealed: defaultdict[int, int] = defaultdict(int)

    def open(self, cursor: psycopg.Cursor, job: JobOpened, partition: int) -> None:
        """Note that the job began in a partition; the first one makes its row."""
        cursor.execute(self._sql(_OPEN), asdict(job))
        self.counts(job.job_id, partition)

    def seal(self, job_id: int) -> None:
        """Note that the job is whole in one more partition."""
        self._sealed[job_id] += 1

    def counts(self, job_id: int, partition: int) -> Counts:
        """The changes of the job's counts, to be added to."""
        return self._counts.setdefault((job_id, partition), Counts())

    def write(
        self, cursor: psycopg.Cursor, finish_delsert: Callable[[int], None]
    ) -> list[JobStatus]:
        """Write all changes; ``finish_delsert`` is called with each delsert that is whole.

        Returns:
            A status of each job changed, in the order in which they were held.
        """
        for (job_id, partition), counts in self._counts.items():
            parameters = {"job_id": job_id, "partition": partition} | asdict(counts)
            cursor.execute(self._sql(_COUNT), parameters)
        touched = sorted({job_id for job_id, _ in self._counts} | self._sealed.keys())
        return [self._write_job(cursor, job_id, finish_delsert) for job_id in touched]

    def _write_job(
        self, cursor: psycopg.Cursor, job_id: int, finish_delsert: Callable[[int], None]
    ) -> JobStatus:
        parameters = {"job_id": job_id, "sealed": self._sealed[job_id]}
        held = cursor.execute(self._sql(_HOLD), parameters).fetchone()
        assert held is not None, "a job's row is made when it opens"
        is_whole = self._sealed[job_id] > 0 and held[0] == self._partitions
        if is_whole:
            cursor.execute(self._sql(_FINISH), parameters)
        status = self._status(cursor, job_id)
        if is_whole:
            _log_finished(status)
            if status.mode == "delsert":
                finish_delsert(job_id)
        return status

    def _status(self, cursor: psycopg.Cursor, job_id: int) -> JobStatus:
        with cursor.connection.cursor(row_factory=dict_row) as rows:
            row = rows.execute(self._sql(_STATUS), {"job_id": job_id}).fetchone()
        assert row is not None, "counts were written before"
        return JobStatus(**row)

    def _sql(self, statement: LiteralString) -> sql.Composed:
        return sql.SQL(statement).format(schema=self._schema)


def _log_finished(status: JobStatus) -> None:
    """The canonical line of a finished job; its outcomes must add up to its lines."""
    log = structlog.stdlib.get_logger("rollcall.processor").bind(
        job_id=status.job_id, mode=status.mode, state=status.state, lines=status.lines
    )
    outcomes = {
        name: getattr(status, name) for name in ("inserted", "updated", "unchanged", "rejected")
    }
    if sum(outcomes.values()) == status.lines:
        log.info("job finished", **outcomes)
    else:
        log.error("outcomes do not add up to the lines", **outcomes)
