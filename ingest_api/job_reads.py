"""Statuses of jobs: known from the ledger, how far they have come from the read model.

A job that the log says is reverted is ``REVERTING`` until readers see an
audience without it: until its row is ``REVERTED``, as it is in every instance
of the projection that leaves the job out.  A job that was restored is
``PROCESSING`` until its row is no longer ``REVERTED``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from ingest_api.reads import date_text, optional_date_text
from ingest_api.responses import UPLOAD_ACCEPTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ingest_api.job_ledger import JobLedger, LedgerJob
    from ingest_api.reads import Row
    from ingest_api.store import Snapshot, Store
    from schemas.events import JobReverted, JobState
    from schemas.reverts import Reverts

ENDED_STATES: Final[frozenset[JobState]] = frozenset(
    {"COMPLETED", "COMPLETED_WITH_ERRORS", "REVERTED"}
)
_COUNTS: Final = ("inserted", "updated", "unchanged", "rejected")
RUNNING_STATES: Final[frozenset[JobState]] = frozenset({"ACCEPTED", "PROCESSING"})
REVERTING: Final = "The import is being undone"
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
    return (status["state"], *(status[name] for name in _COUNTS))


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

    Each raises :class:`ingest_api.store.StoreUnavailableError` where Postgres doesn't answer.
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
        rows = await self._store.select_projected(self._SELECT_JOBS, (_ids(jobs),))
        return list(_views(jobs, rows, self._ledger.reverts))

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
        views = _views(page, rows, self._ledger.reverts)
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


def _views(jobs: Sequence[LedgerJob], rows: Sequence[Row], reverts: Reverts) -> Iterator[JobView]:
    opened = {row["job_id"]: row for row in rows}
    now = datetime.now(UTC)
    for job in jobs:
        job_id = job.accepted.job_id
        row = opened.get(job_id)
        status = _status(job, row, reverts.reverted(job_id), now)
        yield JobView(row["version"] if row else 0, status)


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
        return {name: getattr(reverted, name) for name in _COUNTS}
    return {name: opened[name] if opened else 0 for name in _COUNTS}


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
