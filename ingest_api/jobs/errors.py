"""Queries of the rejected lines of jobs.

Of a job that is undone those are listed that are unfit by themselves: what the
users who were there then made unfit is not known any more, and would be judged
anew.  A page says how many these are, so that with them it adds up to what the
job's status says.  Of a job that is cancelled there are none.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from ingest_api.jobs.faults import line_faults
from ingest_api.jobs.file_columns import FileColumns
from ingest_api.openapi.response_types import JobError, JobErrors
from ingest_api.web.dates import nearer_end
from ingest_api.web.parameters import MOST_INT64
from schemas.events import JobReverted

if TYPE_CHECKING:
    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.postgres.pool import Database, Snapshot
    from ingest_api.web.dates import Row
    from ingest_api.web.paging import Page
    from schemas.log.reverts import Reverts

_ERROR_ID_BITS: Final = 31
"""The bits of the line's number in the id of an error; above them is the job's offset."""
_MOST_LINES: Final = 1000
_MOST_LINES_BYTES: Final = 1_000_000
_MOST_PAGE_BYTES: Final = 8_000_000
_CUT_CHARACTERS: Final = 200


class ErrorReader:
    """Queries for one API process.

    Each raises :class:`ingest_api.postgres.pool.StoreUnavailableError` where Postgres doesn't
    answer.
    """

    def __init__(self, database: Database, reverts: Reverts) -> None:
        self._database = database
        self._reverts = reverts

    async def select_page(self, job: LedgerJob, page: Page) -> JobErrors:
        """Return a page of the lines of a job that were refused so far, in the file's order.

        Only those after line ``page.after`` of data are gone through; the total is of all.
        ``unlisted`` is how many more the job had refused before it was undone, where it had.
        """
        if self._is_cancelled(job):
            return JobErrors(total=0, errors=[])
        return await self._database.read(partial(self._page, job=job, page=page))

    def _is_cancelled(self, job: LedgerJob) -> bool:
        return job.accepted.job_id in self._reverts.cancelled()

    _SELECT_TOTAL: Final = """
    SELECT rejected, state FROM public.jobs WHERE job_id = %s
    """
    # Lines are long at times (64 KiB at most): ``before`` says what those before one come to.
    _SUMMED: Final = """
    WITH summed AS (
        SELECT following.*,
               sum(octet_length(raw)) OVER (ORDER BY record_number) - octet_length(raw) AS before
        FROM (
            SELECT record_number, line, "column", code, reason, value, raw,
                   further_faults::text AS further_faults
            FROM public.rejections
            WHERE job_id = %(job_id)s AND record_number > %(after)s
            ORDER BY record_number
            LIMIT %(most_lines)s
        ) AS following
    )
    """
    # A page has all its lines: what would be too much is cut off. The error file has it whole.
    _SELECT_PAGE: Final = f"""{_SUMMED}
    SELECT record_number, line, "column", code, reason, value, further_faults,
           CASE WHEN before < %(most_bytes)s OR length(raw) <= %(cut)s THEN raw
           ELSE left(raw, %(cut)s) || '…' END AS raw
    FROM summed
    ORDER BY record_number
    """  # noqa: S608 - made of constants

    async def _page(self, snapshot: Snapshot, *, job: LedgerJob, page: Page) -> JobErrors:
        counted = await snapshot.select(self._SELECT_TOTAL, (job.accepted.job_id,))
        total: int = counted[0]["rejected"] if counted else 0
        rows: list[Row] = []
        if page.start < total:
            parameters = {
                "job_id": job.accepted.job_id,
                "after": await self._after(snapshot, job, page, total),
                "most_lines": page.size,
                "most_bytes": _MOST_PAGE_BYTES,
                "cut": _CUT_CHARACTERS,
            }
            rows = await snapshot.select(self._SELECT_PAGE, parameters)
        unlisted = self._unlisted(job, counted[0]) if counted else 0
        return JobErrors(
            total=total,
            unlisted=unlisted or UNSET,
            errors=[_error(job, row) for row in FileColumns(job.accepted).in_rows(rows)],
        )

    def _unlisted(self, job: LedgerJob, counted: Row) -> int:
        reverted = self._reverts.reverted(job.accepted.job_id)
        if not isinstance(reverted, JobReverted) or counted["state"] != "REVERTED":
            return 0
        return max(0, reverted.rejected - counted["rejected"])

    async def count_unlisted(self, job: LedgerJob) -> int:
        """Return how many lines more a job that is undone had refused than are listed."""
        rows = await self._database.select_projected(self._SELECT_TOTAL, (job.accepted.job_id,))
        return self._unlisted(job, rows[0]) if rows else 0

    # From the index alone; the rows between are not looked at.
    _SELECT_NTH: Final = """
    SELECT record_number FROM public.rejections
    WHERE job_id = %(job_id)s AND record_number > %(after)s
    ORDER BY record_number
    LIMIT 1 OFFSET %(skipped)s
    """
    _SELECT_NTH_FROM_END: Final = """
    SELECT record_number FROM public.rejections
    WHERE job_id = %(job_id)s
    ORDER BY record_number DESC
    LIMIT 1 OFFSET %(skipped)s
    """

    async def _after(self, snapshot: Snapshot, job: LedgerJob, page: Page, total: int) -> int:
        """Return the number after which the page begins."""
        if not page.start:
            return page.after
        statement, skipped = self._SELECT_NTH, page.start
        if not page.after:
            skipped, is_from_end = nearer_end(page.start, total)
            statement = self._SELECT_NTH_FROM_END if is_from_end else self._SELECT_NTH
        parameters = {"job_id": job.accepted.job_id, "after": page.after, "skipped": skipped}
        found = await snapshot.select(statement, parameters)
        return found[0]["record_number"] - 1 if found else MOST_INT64

    # The first of them always comes.
    _SELECT_LINES: Final = f"""{_SUMMED}
    SELECT record_number, line, "column", code, reason, raw, further_faults
    FROM summed
    WHERE before < %(most_bytes)s
    ORDER BY record_number
    """  # noqa: S608 - made of constants

    async def select_lines(self, job: LedgerJob, after: int) -> list[Row]:
        """Return some of the refused lines after this line of data, as uploaded; none at the end.

        Columns: ``record_number``, ``line``, ``column``, ``code``, ``reason``, ``raw``,
        ``further_faults``.
        About a megabyte at most.
        """
        if self._is_cancelled(job):
            return []
        parameters = {
            "job_id": job.accepted.job_id,
            "after": after,
            "most_lines": _MOST_LINES,
            "most_bytes": _MOST_LINES_BYTES,
        }
        rows = await self._database.select_projected(self._SELECT_LINES, parameters)
        return FileColumns(job.accepted).in_rows(rows)


def _error(job: LedgerJob, row: Row) -> JobError:
    return JobError(
        id=(job.offset << _ERROR_ID_BITS) | row["record_number"],
        error_message=f"Line {row['record_number']},{row['raw']},{row['reason']}",
        line=row["line"],
        column=row["column"],
        code=row["code"],
        value=row["value"],
        reason=row["reason"],
        faults=line_faults(row),
    )
