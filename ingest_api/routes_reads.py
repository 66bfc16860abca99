"""The routes that read: statuses and errors of jobs, and users."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from ingest_api.appender import LogUnavailableError
from ingest_api.exchange import exchange_of
from ingest_api.gateway import account_of
from ingest_api.operations import described
from ingest_api.read_operations import JOB_ERRORS, JOB_STATUS, JOB_STATUSES, USERS
from ingest_api.request_head import MOST_INT64, query_number, whole_number
from ingest_api.responses import UNKNOWN_JOB, Refused, json_answer

if TYPE_CHECKING:
    from sanic import Blueprint, HTTPResponse, Request

    from ingest_api.job_ledger import LedgerJob
    from ingest_api.job_log import JobLog
    from ingest_api.reads import Reads

_PAGE_SIZE: Final = 20
_MOST_PAGE_SIZE: Final = 1000


def add_job_routes(api: Blueprint, reads: Reads, job_log: JobLog) -> None:
    """Add the routes below ``/batchinfo``."""

    @api.get("/batchinfo/status/<job_id:str>")
    @described(JOB_STATUS)
    async def job_status(request: Request[Any, Any], job_id: str) -> HTTPResponse:
        account_of(request, "reader")
        job = await _job(request, job_log, job_id)
        return json_answer(200, await reads.status(job))

    @api.get("/batchinfo/status")
    @described(JOB_STATUSES)
    async def job_statuses(request: Request[Any, Any]) -> HTTPResponse:
        account_of(request, "reader")
        start, page_size = _page(request)
        # Without Kafka the list is what this instance has read so far.
        with contextlib.suppress(LogUnavailableError):
            await job_log.catch_up()
        return json_answer(200, await reads.select_statuses(start, page_size))

    @api.get("/batchinfo/errors/<job_id:str>")
    @described(JOB_ERRORS)
    async def job_errors(request: Request[Any, Any], job_id: str) -> HTTPResponse:
        account_of(request, "reader")
        start, page_size = _page(request)
        job = await _job(request, job_log, job_id)
        return json_answer(200, await reads.select_errors(job, start, page_size))

    _ = job_status, job_statuses, job_errors


def add_user_routes(api: Blueprint, reads: Reads) -> None:
    """Add the routes below ``/audience`` that read."""

    @api.get("/audience")
    @described(USERS)
    async def users(request: Request[Any, Any]) -> HTTPResponse:
        account_of(request, "reader")
        start, page_size = _page(request)
        after = query_number(request, "after", 0, least=0, most=MOST_INT64)
        page = await reads.select_users(after=after, start=start, page_size=page_size)
        return json_answer(200, page)

    _ = users


async def _job(request: Request[Any, Any], job_log: JobLog, text: str) -> LedgerJob:
    """The job with this id; an id that is not known here may be known to the log.

    Raises:
        Refused: 400, there is no such job.
    """
    number = whole_number(text)
    if number is None:
        raise Refused(400, UNKNOWN_JOB)
    exchange_of(request).job_id = number
    job = job_log.ledger.job(number)
    if job is None:
        await job_log.catch_up()
        job = job_log.ledger.job(number)
    if job is None:
        raise Refused(400, UNKNOWN_JOB)
    return job


def _page(request: Request[Any, Any]) -> tuple[int, int]:
    start = query_number(request, "start", 0, least=0, most=MOST_INT64)
    size = query_number(request, "pageSize", _PAGE_SIZE, least=1, most=_MOST_PAGE_SIZE)
    return start, size
