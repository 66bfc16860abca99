"""What the API says about jobs, their rejections and users.

A job is known from `job-events`, so it is known as soon as its upload was
answered; how far it has come is in the read model, once the processor has
opened it there.
Each query stands above the function that runs it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from ingest_api.responses import UPLOAD_ACCEPTED
from schemas.user_rules import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from ingest_api.job_ledger import JobLedger, LedgerJob
    from ingest_api.store import Store

Row = dict[str, Any]
_ERROR_ID_BITS: Final = 31
"""Of the line's number in the id of an error; above them stands the job's place in the log."""
_COUNTS: Final = ("inserted", "updated", "unchanged", "rejected")


def date_text(at: datetime) -> str:
    """A time in the contract's form: ``06/28/2016 05:49:23 AM GMT``."""
    return at.astimezone(UTC).strftime("%m/%d/%Y %I:%M:%S %p GMT")


def _optional_date_text(at: datetime | None) -> str | None:
    return None if at is None else date_text(at)


class Reads:
    """Queries for one API process.

    Each raises :class:`ingest_api.store.StoreUnavailableError` where Postgres doesn't answer.
    """

    def __init__(self, store: Store, ledger: JobLedger) -> None:
        self._store = store
        self._ledger = ledger

    async def status(self, job: LedgerJob) -> Row:
        """The status of one job."""
        return (await self._statuses([job]))[0]

    async def select_statuses(self, start: int, page_size: int) -> Row:
        """A page of the statuses of all jobs, the newest first."""
        jobs = self._ledger.jobs
        page = list(islice(reversed(jobs), start, start + page_size))
        return {"total": len(jobs), "statuses": await self._statuses(page)}

    _SELECT_JOBS: Final = """
    SELECT job_id, state, lines, inserted, updated, unchanged, rejected, started_at, finished_at
    FROM public.jobs
    WHERE job_id = ANY(%s)
    """

    async def _statuses(self, jobs: Sequence[LedgerJob]) -> list[Row]:
        job_ids = [job.accepted.job_id for job in jobs]
        rows = await self._store.select_projected(self._SELECT_JOBS, (job_ids,))
        opened = {row["job_id"]: row for row in rows}
        now = datetime.now(UTC)
        return [_status(job, opened.get(job.accepted.job_id), now) for job in jobs]

    # One statement counts and selects, so that both see the same snapshot; a page beyond the
    # end is one row of nulls beside the count.
    _SELECT_REJECTIONS: Final = """
    SELECT counted.total, page.*
    FROM (
        SELECT count(*) AS total FROM public.rejections WHERE job_id = %(job_id)s
    ) AS counted
    LEFT JOIN (
        SELECT record_number, line, "column", code, reason, value, raw
        FROM public.rejections
        WHERE job_id = %(job_id)s
        ORDER BY record_number
        LIMIT %(page_size)s OFFSET %(start)s
    ) AS page ON true
    ORDER BY page.record_number
    """

    async def select_errors(self, job: LedgerJob, start: int, page_size: int) -> Row:
        """A page of the lines of a job that were refused so far, in the file's order."""
        rows = await self._store.select_projected(
            self._SELECT_REJECTIONS,
            {"job_id": job.accepted.job_id, "start": start, "page_size": page_size},
        )
        errors = [_error(job, row) for row in rows if row["record_number"] is not None]
        return {"total": _total(rows), "Errors": errors}

    _SELECT_USERS: Final = """
    SELECT counted.total, page.*
    FROM (SELECT count(*) AS total FROM public.users) AS counted
    LEFT JOIN (
        SELECT id, first_name, last_name, email, mobile_number, country, state,
               last_active_date, sms_subscription, email_subscription, voice_subscription,
               attributes, created_at, modified_at
        FROM public.users
        WHERE id > %(after)s
        ORDER BY id
        LIMIT %(page_size)s OFFSET %(start)s
    ) AS page ON true
    ORDER BY page.id
    """

    async def select_users(self, *, after: int, start: int, page_size: int) -> Row:
        """A page of the users whose id is above ``after``, by id, and how many there are in all."""
        rows = await self._store.select_projected(
            self._SELECT_USERS, {"after": after, "start": start, "page_size": page_size}
        )
        users = [_user(row) for row in rows if row["id"] is not None]
        return {"total": _total(rows), "audience": users}

    _HAS_READ_MODEL: Final = """
    SELECT to_regclass('public.users') IS NOT NULL
       AND to_regclass('public.jobs') IS NOT NULL
       AND to_regclass('public.rejections') IS NOT NULL AS is_there
    """

    async def has_read_model(self) -> bool:
        """Whether the processor has made its tables."""
        return bool((await self._store.select(self._HAS_READ_MODEL))[0]["is_there"])


def _total(rows: Sequence[Row]) -> int:
    return rows[0]["total"] if rows else 0


def _status(job: LedgerJob, opened: Mapping[str, Any] | None, now: datetime) -> Row:
    accepted = job.accepted
    state: str = opened["state"] if opened else "ACCEPTED"
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
        **{name: opened[name] if opened else 0 for name in _COUNTS},
        **_progress(opened, now),
    }


def _status_message(state: str, lines: int) -> str:
    if state == "COMPLETED":
        return f"Successfully uploaded requests of count :{lines}"
    if state == "COMPLETED_WITH_ERRORS":
        return "Uploaded file has got errors"
    return UPLOAD_ACCEPTED


def _progress(opened: Mapping[str, Any] | None, now: datetime) -> Row:
    """How fast the job goes or went, and its times; all None until it was opened."""
    if opened is None:
        names = ("rowsPerSecond", "startedDate", "finishedDate", "estimatedFinishDate")
        return dict.fromkeys(names)
    done = sum(opened[name] for name in _COUNTS)
    started_at: datetime = opened["started_at"]
    finished_at: datetime | None = opened["finished_at"]
    elapsed_s = ((finished_at or now) - started_at).total_seconds()
    rate = done / elapsed_s if elapsed_s > 0 else None
    estimated_at = None
    if finished_at is None and rate:
        estimated_at = now + timedelta(seconds=(opened["lines"] - done) / rate)
    return {
        "rowsPerSecond": None if rate is None else round(rate, 1),
        "startedDate": date_text(started_at),
        "finishedDate": _optional_date_text(finished_at),
        "estimatedFinishDate": _optional_date_text(estimated_at),
    }


def _error(job: LedgerJob, row: Row) -> Row:
    return {
        "id": (job.offset << _ERROR_ID_BITS) | row["record_number"],
        "errorMessage": f"Line {row['record_number']},{row['raw']},{row['reason']}",
        "line": row["line"],
        "column": row["column"],
        "code": row["code"],
        "value": row["value"],
        "reason": row["reason"],
    }


def _user(row: Row) -> Row:
    user: Row = {"id": str(row["id"]), "active": True}
    user |= {field.json_name: row[field.name] for field in FIELDS if field.kind != "date"}
    user["lastActiveDateStr"] = _day_text(row["last_active_date"])
    user["createdDateStr"] = date_text(row["created_at"])
    user["lastModifiedDateStr"] = date_text(row["modified_at"])
    user["attributes"] = row["attributes"]
    return user


def _day_text(day: date | None) -> str | None:
    return None if day is None else date_text(datetime(day.year, day.month, day.day, tzinfo=UTC))
