"""The routes of a job's rejected lines, a page as JSON or all of them as CSV, and of its notes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ingest_api.jobs.error_csv import ErrorFile, disposition
from ingest_api.jobs.job_parameter import job_named
from ingest_api.jobs.notes import select_notes
from ingest_api.jobs.operations import JOB_ERRORS, JOB_NOTES, NO_ERROR_FILE, UNLISTED
from ingest_api.openapi.described import Answered, described
from ingest_api.openapi.operation import JSON
from ingest_api.web.content_negotiation import CSV, preferred
from ingest_api.web.paging import keyed_page_of, page_of
from ingest_api.web.parameters import header_values
from ingest_api.web.refused import Refused
from ingest_api.web.streaming import send_stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sanic import Blueprint, Request

    from ingest_api.auth.account_limits import AccountLimits
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.jobs.errors import ErrorReader
    from ingest_api.openapi.response_types import JobNotes
    from ingest_api.postgres.pool import Database
    from ingest_api.web.dates import Row


def add_error_routes(
    api: Blueprint,
    job_log: JobLog,
    *,
    errors: ErrorReader,
    database: Database,
    limits: AccountLimits,
) -> None:
    """Add the routes below ``/batchinfo/errors`` and ``/batchinfo/notes``."""

    @api.get("/batchinfo/errors/<job_id:str>")
    @described(JOB_ERRORS)
    async def job_errors(request: Request[Any, Any], job_id: str) -> Answered | None:
        page = keyed_page_of(request)
        job = await job_named(request, job_log, job_id)
        if _wants_file(request, job):
            await limits.hold(request, "error file")
            await _send_file(request, job, errors)
            return None
        return Answered(await errors.select_page(job, page), {"Vary": "Accept"})

    @api.get("/batchinfo/notes/<job_id:str>")
    @described(JOB_NOTES)
    async def job_notes(request: Request[Any, Any], job_id: str) -> JobNotes:
        page = page_of(request)
        job = await job_named(request, job_log, job_id)
        return await select_notes(database, job.accepted.job_id, page)

    _ = job_errors, job_notes


def _wants_file(request: Request[Any, Any], job: LedgerJob) -> bool:
    """Return whether the refused lines are wanted as a file.

    Raises:
        Refused: 406, they can't be had as one, and nothing else will do.
    """
    accept = header_values(request, "accept")
    if preferred(accept, (JSON, CSV)) != CSV:
        return False
    if job.accepted.header is not None:
        return True
    if preferred(accept, (JSON,)) is None:
        raise Refused(406, NO_ERROR_FILE, headers={"Vary": "Accept"})
    return False


async def _send_file(request: Request[Any, Any], job: LedgerJob, errors: ErrorReader) -> None:
    first = await errors.select_lines(job, 0)  # a fault is answered as such before the file begins
    unlisted = await errors.count_unlisted(job)
    await send_stream(
        request,
        _file(job, errors, first),
        content_type=f"{CSV}; charset=utf-8; header=present",
        headers={
            "Content-Disposition": disposition(job.accepted.file_name, job.accepted.job_id),
            "Vary": "Accept",
            **({UNLISTED: str(unlisted)} if unlisted else {}),
        },
    )


async def _file(job: LedgerJob, errors: ErrorReader, rows: list[Row]) -> AsyncGenerator[bytes]:
    file = ErrorFile(job.accepted.header or "", job.accepted.delimiter)
    yield file.head()
    while rows:
        # In a thread, because a thousand lines would hold up other requests.
        yield await asyncio.to_thread(file.lines, rows)
        rows = await errors.select_lines(job, rows[-1]["record_number"])
