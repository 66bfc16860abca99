"""Selects statuses of jobs: which jobs from the ledger, their progress from the read model.

A job that the log says is reverted is ``REVERTING`` until readers see an
audience without it: until the active instance of the projection leaves it out,
which its row, ``REVERTED``, says.  A job that was restored is ``PROCESSING``
until its row is no longer ``REVERTED``.
Of a job that was cancelled the same two are ``CANCELLING`` and ``CANCELLED``; one that
failed goes on as it was, and is ``FAILED`` once it is left out.
In between the builder makes that audience; where its last try came to nothing,
the status says why, and when the next one is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, LiteralString

from msgspec import UNSET

from ingest_api.jobs.faults import select_fault_counts
from ingest_api.jobs.views import UndoTry, job_view
from schemas.events import JobFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from msgspec import UnsetType

    from ingest_api.event_log.ledger import JobLedger, LedgerJob
    from ingest_api.jobs.views import JobView
    from ingest_api.openapi.response_types import FaultCount
    from ingest_api.postgres.pool import Database, Snapshot
    from ingest_api.web.dates import Row
    from schemas.log.reverts import Revert, Reverts

    _Select = Callable[[LiteralString, Mapping[str, object]], Awaitable[list[Row]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """The values that listed jobs may have, of each field; None means any."""

    states: frozenset[str] | None = None
    modes: frozenset[str] | None = None
    accounts: frozenset[str] | None = None

    def takes(self, job: LedgerJob) -> bool:
        """Return whether mode and account are among those wanted."""
        return (self.modes is None or job.accepted.mode in self.modes) and (
            self.accounts is None or job.accepted.accepted_by in self.accounts
        )


ANY_JOB: Final = JobFilter()
_MOST_COUNTED: Final = 1000
"""The number of jobs of which what was wrong with their lines is kept."""


class JobReader:
    """Queries for one API process.

    Each raises :class:`ingest_api.postgres.pool.StoreUnavailableError` where Postgres doesn't
    answer.
    """

    def __init__(self, database: Database, ledger: JobLedger) -> None:
        self._database = database
        self._ledger = ledger
        self._fault_counts: dict[int, tuple[int, list[FaultCount]]] = {}

    async def view(self, job: LedgerJob) -> JobView:
        """Fetch the view of one job."""
        return (await self.select_views([job]))[0]

    async def fault_counts(self, view: JobView) -> list[FaultCount] | UnsetType:
        """Select what lines of a job that has ended were rejected for; unset before, or if none."""
        if not view.is_ended or not view.counts["rejected"]:
            return UNSET
        job_id, select = view.accepted.job_id, self._database.select_projected
        # To count them is to read them all, and they change only with the job's version.
        known = self._fault_counts.get(job_id)
        if known is None or known[0] != view.version:
            if len(self._fault_counts) >= _MOST_COUNTED:
                self._fault_counts.clear()
            known = self._fault_counts[job_id] = (
                view.version,
                await select_fault_counts(select, view.accepted),
            )
        return known[1]

    # A job that is left out is REVERTED, also where its rows are still to come.
    _SELECT_JOBS: Final = """
    WITH left_out AS (
        SELECT unnest(reverted_job_ids) AS job_id
        FROM public.projection_instance WHERE state = 'active'
    )
    SELECT job_id,
           CASE WHEN job_id IN (SELECT job_id FROM left_out) THEN 'REVERTED' ELSE state END
               AS state,
           lines, inserted, updated, unchanged, rejected, deleted, notes,
           started_at, finished_at, version
    FROM public.jobs
    WHERE job_id = ANY(%(job_ids)s)
    UNION ALL
    SELECT job_id, 'REVERTED', 0, 0, 0, 0, 0, 0, 0, NULL, NULL, 0
    FROM left_out
    WHERE job_id = ANY(%(job_ids)s) AND job_id NOT IN (SELECT job_id FROM public.job_states)
    """

    async def select_views(self, jobs: Sequence[LedgerJob]) -> list[JobView]:
        """Select the views of these jobs, in their order."""
        select = self._database.select_projected
        rows = await select(self._SELECT_JOBS, _ids(jobs))
        return _views(jobs, rows, self._ledger.reverts, await self._undo_try(select, rows))

    # Of the audience that the log asks for now. While it is tried again no next try is known.
    _SELECT_FAILURE: Final = """
    SELECT failure, (result -> 'retry' ->> 'failures')::integer AS failures,
           (result -> 'retry' ->> 'failedAt')::timestamptz AS failed_at,
           CASE WHEN later.states IS NULL
               THEN (result -> 'retry' ->> 'nextTryAt')::timestamptz END AS next_try_at
    FROM public.projection_instance AS failed,
    LATERAL (SELECT array_agg(state) AS states FROM public.projection_instance AS after
             WHERE after.purpose = 'undo' AND after.number > failed.number) AS later
    WHERE purpose = 'undo' AND state = 'failed' AND result ? 'retry'
      AND reverted_job_ids = %(reverted)s::bigint[]
      AND COALESCE(later.states <@ ARRAY['requested', 'building'], true)
    ORDER BY number DESC
    LIMIT 1
    """

    async def _undo_try(self, select: _Select, rows: Sequence[Row]) -> UndoTry | None:
        """Return the failed try of the undo or redo that some of these jobs wait for, if any."""
        reverts = self._ledger.reverts
        if not any(_waits(row, reverts.reverted(row["job_id"])) for row in rows):
            return None
        found = await select(self._SELECT_FAILURE, {"reverted": sorted(reverts.now())})
        return UndoTry(**found[0]) if found else None

    async def select_page(
        self, job_filter: JobFilter, start: int, page_size: int
    ) -> tuple[int, list[JobView]]:
        """Return how many jobs are wanted, and a page of them, the newest first."""
        return await self._database.read(
            partial(self._page, job_filter=job_filter, start=start, page_size=page_size)
        )

    async def _page(
        self, snapshot: Snapshot, *, job_filter: JobFilter, start: int, page_size: int
    ) -> tuple[int, list[JobView]]:
        jobs = self._ledger.jobs
        if job_filter == ANY_JOB:
            total, first = len(jobs), min(start, len(jobs))
            page = list(islice(reversed(jobs), first, first + page_size))
        else:
            matching = await self._matching(snapshot, job_filter)
            total, page = len(matching), matching[start : start + page_size]
        rows = await snapshot.select(self._SELECT_JOBS, _ids(page))
        undo_try = await self._undo_try(snapshot.select, rows)
        return total, _views(page, rows, self._ledger.reverts, undo_try)

    # A job that no processor has opened has no row, and is ACCEPTED, unless it is to be left
    # out: so where those are wanted, the jobs that are not are asked for.  The states are those
    # that _state shows.
    _SELECT_IDS: Final = """
    WITH left_out AS (
        SELECT unnest(reverted_job_ids) AS job_id
        FROM public.projection_instance WHERE state = 'active'
    ), known AS (
        SELECT job_id, state,
               state = 'REVERTED' OR job_id IN (SELECT job_id FROM left_out) AS is_left_out
        FROM public.job_states
        UNION ALL
        SELECT job_id, 'ACCEPTED', job_id IN (SELECT job_id FROM left_out)
        FROM unnest(%(reverted)s::bigint[]) AS job_id
        WHERE job_id NOT IN (SELECT job_id FROM public.job_states)
    )
    SELECT COALESCE(array_agg(job_id), '{}') AS job_ids
    FROM (SELECT job_id, CASE
              WHEN job_id = ANY(%(failed)s)
                  THEN CASE WHEN is_left_out THEN 'FAILED' ELSE state END
              WHEN job_id = ANY(%(cancelled)s)
                  THEN CASE WHEN is_left_out THEN 'CANCELLED' ELSE 'CANCELLING' END
              WHEN job_id = ANY(%(reverted)s)
                  THEN CASE WHEN is_left_out THEN 'REVERTED' ELSE 'REVERTING' END
              WHEN is_left_out THEN 'PROCESSING'
              ELSE state END AS state
          FROM known) AS shown
    WHERE (state = ANY(%(states)s)) <> %(has_unopened)s
    """

    async def _matching(self, snapshot: Snapshot, job_filter: JobFilter) -> list[LedgerJob]:
        jobs = [job for job in reversed(self._ledger.jobs) if job_filter.takes(job)]
        if job_filter.states is None:
            return jobs
        has_unopened, reverts = "ACCEPTED" in job_filter.states, self._ledger.reverts
        parameters = {
            "states": list(job_filter.states),
            "has_unopened": has_unopened,
            "reverted": [*reverts.now(), *reverts.queued()],
            "cancelled": list(reverts.cancelled()),
            "failed": [
                job_id
                for job_id in reverts.failed()
                if isinstance(reverts.reverted(job_id), JobFailed)
            ],
        }
        rows = await snapshot.select(self._SELECT_IDS, parameters)
        job_ids = set[int](rows[0]["job_ids"] if rows else ())
        return [job for job in jobs if (job.accepted.job_id in job_ids) != has_unopened]


def _ids(jobs: Sequence[LedgerJob]) -> dict[str, object]:
    return {"job_ids": [job.accepted.job_id for job in jobs]}


def _views(
    jobs: Sequence[LedgerJob], rows: Sequence[Row], reverts: Reverts, undo_try: UndoTry | None
) -> list[JobView]:
    opened = {row["job_id"]: row for row in rows}
    now = datetime.now(UTC)
    views: list[JobView] = []
    for job in jobs:
        job_id = job.accepted.job_id
        row, reverted = opened.get(job_id), reverts.reverted(job_id)
        own = undo_try if row is not None and _waits(row, reverted) else None
        to_revert = reverted or reverts.queued().get(job_id)
        views.append(job_view(job.accepted, row, to_revert, own, at=now))
    return views


def _waits(opened: Row, reverted: Revert | None) -> bool:
    """Return whether readers don't see yet what the last undo or redo of the job asks for."""
    return (opened["state"] == "REVERTED") != (reverted is not None)
