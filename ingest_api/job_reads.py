"""Statuses of jobs: known from the ledger, how far they have come from the read model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from ingest_api.reads import date_text, optional_date_text
from ingest_api.responses import UPLOAD_ACCEPTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ingest_api.job_ledger import JobLedger, LedgerJob
    from ingest_api.reads import Row
    from ingest_api.store import Snapshot, Store
    from schemas.events import JobState

ENDED_STATES: Final[frozenset[JobState]] = frozenset(
    {"COMPLETED", "COMPLETED_WITH_ERRORS", "REVERTED"}
)
_COUNTS: Final = ("inserted", "updated", "unchanged", "rejected")


@dataclass(frozen=True, slots=True)
class JobView:
    """A status as it was at one moment; ``version`` rises with each change, 0 before the first."""

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
        return list(_views(jobs, rows))

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
        return {"total": total, "statuses": [view.status for view in _views(page, rows)]}

    # A job that no processor has opened has no row, and is ACCEPTED: so where those are wanted,
    # the jobs that are not are asked for.
    _SELECT_IDS: Final = """
    SELECT COALESCE(array_agg(job_id), '{}') AS job_ids
    FROM public.job_states
    WHERE (state = ANY(%(states)s)) <> %(has_unopened)s
    """

    async def _matching(self, snapshot: Snapshot, wanted: JobFilter) -> list[LedgerJob]:
        jobs = [job for job in reversed(self._ledger.jobs) if wanted.takes(job)]
        if wanted.states is None:
            return jobs
        has_unopened = "ACCEPTED" in wanted.states
        rows = await snapshot.select(
            self._SELECT_IDS, {"states": list(wanted.states), "has_unopened": has_unopened}
        )
        job_ids = set[int](rows[0]["job_ids"] if rows else ())
        return [job for job in jobs if (job.accepted.job_id in job_ids) != has_unopened]


def _ids(jobs: Sequence[LedgerJob]) -> list[int]:
    return [job.accepted.job_id for job in jobs]


def _views(jobs: Sequence[LedgerJob], rows: Sequence[Row]) -> Iterator[JobView]:
    opened = {row["job_id"]: row for row in rows}
    now = datetime.now(UTC)
    for job in jobs:
        row = opened.get(job.accepted.job_id)
        yield JobView(row["version"] if row else 0, _status(job, row, now))


def _status(job: LedgerJob, opened: Mapping[str, Any] | None, now: datetime) -> Row:
    accepted = job.accepted
    state: JobState = opened["state"] if opened else "ACCEPTED"
    done = {name: opened[name] if opened else 0 for name in _COUNTS}
    rate = _rows_per_s(opened, sum(done.values()), now)
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
        "finishedDate": optional_date_text(opened["finished_at"]) if opened else None,
        "estimatedFinishDate": _estimated_finish(opened, sum(done.values()), rate, now),
    }


def _status_message(state: JobState, lines: int) -> str:
    if state == "COMPLETED":
        return f"Successfully uploaded requests of count :{lines}"
    if state == "COMPLETED_WITH_ERRORS":
        return "Uploaded file has got errors"
    return UPLOAD_ACCEPTED


def _rows_per_s(opened: Mapping[str, Any] | None, done: int, now: datetime) -> float | None:
    """How fast the job goes, or went."""
    if opened is None:
        return None
    elapsed_s = ((opened["finished_at"] or now) - opened["started_at"]).total_seconds()
    return done / elapsed_s if elapsed_s > 0 else None


def _estimated_finish(
    opened: Mapping[str, Any] | None, done: int, rate: float | None, now: datetime
) -> str | None:
    if opened is None or opened["finished_at"] is not None or not rate:
        return None
    return date_text(now + timedelta(seconds=(opened["lines"] - done) / rate))
