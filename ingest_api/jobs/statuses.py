"""Statuses of jobs: known from the ledger, how far they have come from the read model.

A job that the log says is reverted is ``REVERTING`` until readers see an
audience without it: until its row is ``REVERTED``, as it is in every instance
of the projection that leaves the job out.  A job that was restored is
``PROCESSING`` until its row is no longer ``REVERTED``.
In between the builder makes that audience; where its last try came to nothing,
the status says why, and when the next one is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, LiteralString

from ingest_api.web.dates import date_text, optional_date_text
from schemas.log.job_states import UPLOAD_ACCEPTED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ingest_api.event_log.ledger import JobLedger, LedgerJob
    from ingest_api.postgres.pool import Snapshot, Store
    from ingest_api.web.dates import Row
    from schemas.events import JobReverted, JobState
    from schemas.log.reverts import Reverts

    _Select = Callable[[LiteralString, Mapping[str, object]], Awaitable[list[Row]]]

ENDED_STATES: Final[frozenset[JobState]] = frozenset(
    {"COMPLETED", "COMPLETED_WITH_ERRORS", "REVERTED"}
)
COUNTS: Final = ("inserted", "updated", "unchanged", "rejected")
RUNNING_STATES: Final[frozenset[JobState]] = frozenset({"ACCEPTED", "PROCESSING"})
REVERTING: Final = "The import is being undone"
REVERTING_FAILED: Final = "The import is being undone: the last try failed, and is made again"
REVERTED: Final = "The import was undone"


@dataclass(frozen=True, slots=True)
class JobView:
    """A status as it was at one moment; ``version`` rises with each change, 0 before the first.

    What only the log says, that the job is reverted or restored, changes no version.
    """

    version: int
    status: Row

    @property
    def is_ended(self) -> bool:
        """Whether it is the job's last."""
        return self.status["state"] in ENDED_STATES

    def shows_as(self, other: JobView | None) -> bool:
        """Whether the other one says the same, but for the speed and what is guessed from it."""
        return other is not None and _shown(self.status) == _shown(other.status)


def _shown(status: Row) -> tuple[object, ...]:
    return (status["state"], status["undoFailure"], *(status[name] for name in COUNTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs are listed: those with one of the values of each; None means any."""

    states: frozenset[str] | None = None
    modes: frozenset[str] | None = None
    accounts: frozenset[str] | None = None

    def takes(self, job: LedgerJob) -> bool:
        """Whether mode and account are among those wanted."""
        return (self.modes is None or job.accepted.mode in self.modes) and (
            self.accounts is None or job.accepted.accepted_by in self.accounts
        )


ANY_JOB: Final = JobFilter()


class JobReads:
    """Queries for one API process.

    Each raises :class:`ingest_api.postgres.pool.StoreUnavailableError` where Postgres doesn't
    answer.
    """

    def __init__(self, store: Store, ledger: JobLedger) -> None:
        self._store = store
        self._ledger = ledger

    async def view(self, job: LedgerJob) -> JobView:
        """What is known of one job."""
        return (await self.select_views([job]))[0]

    _SELECT_JOBS: Final = """
    SELECT job_id, state, lines, inserted, updated, unchanged, rejected, started_at, finished_at,
           version
    FROM public.jobs
    WHERE job_id = ANY(%s)
    """

    async def select_views(self, jobs: Sequence[LedgerJob]) -> list[JobView]:
        """What is known of these jobs, in their order."""
        select = self._store.select_projected
        rows = await select(self._SELECT_JOBS, (_ids(jobs),))
        return _views(jobs, rows, self._ledger.reverts, await self._failure(select, rows))

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

    async def _failure(self, select: _Select, rows: Sequence[Row]) -> Row | None:
        """Why the last try failed to make what some of these jobs wait for; None if none did."""
        reverts = self._ledger.reverts
        if not any(_waits(row, reverts.reverted(row["job_id"])) for row in rows):
            return None
        found = await select(self._SELECT_FAILURE, {"reverted": sorted(reverts.now())})
        return found[0] if found else None

    async def select_page(self, wanted: JobFilter, start: int, page_size: int) -> Row:
        """A page of the statuses of the jobs wanted, the newest first."""
        return await self._store.read(
            partial(self._page, wanted=wanted, start=start, page_size=page_size)
        )

    async def _page(
        self, snapshot: Snapshot, *, wanted: JobFilter, start: int, page_size: int
    ) -> Row:
        jobs = self._ledger.jobs
        if wanted == ANY_JOB:
            total, first = len(jobs), min(start, len(jobs))
            page = list(islice(reversed(jobs), first, first + page_size))
        else:
            matching = await self._matching(snapshot, wanted)
            total, page = len(matching), matching[start : start + page_size]
        rows = await snapshot.select(self._SELECT_JOBS, (_ids(page),))
        failure = await self._failure(snapshot.select, rows)
        views = _views(page, rows, self._ledger.reverts, failure)
        return {"total": total, "statuses": [view.status for view in views]}

    # A job that no processor has opened has no row, and is ACCEPTED: so where those are wanted,
    # the jobs that are not are asked for.  The states are those that _state shows.
    _SELECT_IDS: Final = """
    SELECT COALESCE(array_agg(job_id), '{}') AS job_ids
    FROM (SELECT job_id, CASE
              WHEN job_id = ANY(%(reverted)s) AND state <> 'REVERTED' THEN 'REVERTING'
              WHEN job_id <> ALL(%(reverted)s) AND state = 'REVERTED' THEN 'PROCESSING'
              ELSE state END AS state
          FROM public.job_states) AS shown
    WHERE (state = ANY(%(states)s)) <> %(has_unopened)s
    """

    async def _matching(self, snapshot: Snapshot, wanted: JobFilter) -> list[LedgerJob]:
        jobs = [job for job in reversed(self._ledger.jobs) if wanted.takes(job)]
        if wanted.states is None:
            return jobs
        has_unopened = "ACCEPTED" in wanted.states
        parameters = {
            "states": list(wanted.states),
            "has_unopened": has_unopened,
            "reverted": list(self._ledger.reverts.now()),
        }
        rows = await snapshot.select(self._SELECT_IDS, parameters)
        job_ids = set[int](rows[0]["job_ids"] if rows else ())
        return [job for job in jobs if (job.accepted.job_id in job_ids) != has_unopened]


def _ids(jobs: Sequence[LedgerJob]) -> list[int]:
    return [job.accepted.job_id for job in jobs]


def _views(
    jobs: Sequence[LedgerJob], rows: Sequence[Row], reverts: Reverts, failure: Row | None
) -> list[JobView]:
    opened = {row["job_id"]: row for row in rows}
    now = datetime.now(UTC)
    views: list[JobView] = []
    for job in jobs:
        job_id = job.accepted.job_id
        row, reverted = opened.get(job_id), reverts.reverted(job_id)
        own = failure if row is not None and _waits(row, reverted) else None
        status = _status(job, row, reverted, now) | _failed(own, reverted)
        views.append(JobView(row["version"] if row else 0, status))
    return views


def _waits(opened: Row, reverted: JobReverted | None) -> bool:
    """Whether readers don't see the audience yet that the log's last word on the job asks for."""
    return (opened["state"] == "REVERTED") != (reverted is not None)


def _failed(failure: Row | None, reverted: JobReverted | None) -> Row:
    """What a status says of the last try."""
    if failure is None:
        return {"undoFailure": None}
    said = {
        "reason": failure["failure"],
        "failures": failure["failures"],
        "date": date_text(failure["failed_at"]),
        "nextTryDate": optional_date_text(failure["next_try_at"]),
    }
    message = {} if reverted is None else {"statusMessage": REVERTING_FAILED}
    return message | {"undoFailure": said}


def _status(job: LedgerJob, opened: Row | None, reverted: JobReverted | None, now: datetime) -> Row:
    accepted = job.accepted
    state = _state(opened, reverted)
    done = _counts(state, opened, reverted)
    rate = _rows_per_s(opened, sum(done.values()), now)
    is_running = state in RUNNING_STATES
    return {
        "dataType": "AUDIENCE_MEMBERS",
        "statusMessage": _status_message(state, accepted.lines),
        "importedDate": date_text(accepted.accepted_at),
        "importedBy": accepted.accepted_by,
        "id": str(accepted.job_id),
        "state": state,
        "mode": accepted.mode,
        "fileName": accepted.file_name,
        "sha256": accepted.sha256,
        "total": accepted.lines,
        **done,
        "rowsPerSecond": None if rate is None else round(rate, 1),
        "startedDate": optional_date_text(opened["started_at"]) if opened else None,
        "finishedDate": (
            None if opened is None or is_running else optional_date_text(opened["finished_at"])
        ),
        "estimatedFinishDate": _estimated_finish(opened, sum(done.values()), rate, now),
        "revertedDate": None if reverted is None else date_text(reverted.requested_at),
        "revertedBy": None if reverted is None else reverted.requested_by,
    }


def _state(opened: Row | None, reverted: JobReverted | None) -> JobState:
    if opened is None:
        return "ACCEPTED"
    state: JobState = opened["state"]
    if reverted is not None:
        return "REVERTED" if state == "REVERTED" else "REVERTING"
    return "PROCESSING" if state == "REVERTED" else state


def _counts(state: JobState, opened: Row | None, reverted: JobReverted | None) -> dict[str, int]:
    """A job that is left out has no rows to count, so the log says what it had."""
    if state == "REVERTED":
        return {name: getattr(reverted, name) for name in COUNTS}
    return {name: opened[name] if opened else 0 for name in COUNTS}


def _status_message(state: JobState, lines: int) -> str:
    messages: dict[JobState, str] = {
        "COMPLETED": f"Successfully uploaded requests of count :{lines}",
        "COMPLETED_WITH_ERRORS": "Uploaded file has got errors",
        "REVERTING": REVERTING,
        "REVERTED": REVERTED,
    }
    return messages.get(state, UPLOAD_ACCEPTED)


def _rows_per_s(opened: Row | None, done: int, now: datetime) -> float | None:
    """How fast the job goes, or went."""
    if opened is None:
        return None
    elapsed_s = ((opened["finished_at"] or now) - opened["started_at"]).total_seconds()
    return done / elapsed_s if elapsed_s > 0 else None


def _estimated_finish(
    opened: Row | None, done: int, rate: float | None, now: datetime
) -> str | None:
    if opened is None or opened["finished_at"] is not None or not rate:
        return None
    return date_text(now + timedelta(seconds=(opened["lines"] - done) / rate))
