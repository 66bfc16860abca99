"""Finds the job that a path names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest_api.errors import UnknownJobError
from ingest_api.web.parameters import whole_number
from ingest_api.web.request_context import context_of

if TYPE_CHECKING:
    from sanic import Request

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.event_log.ledger import LedgerJob


async def job_named(request: Request[Any, Any], job_log: JobLog, text: str) -> LedgerJob:
    """Return the job with this id; one that is not known here may be known to the log.

    Raises:
        InvalidRequestError: there is no such job.
    """
    number = whole_number(text)
    if number is None:
        raise UnknownJobError
    context_of(request).job_id = number
    job = job_log.ledger.job(number)
    if job is None:
        await job_log.catch_up()
        job = job_log.ledger.job(number)
    if job is None:
        raise UnknownJobError
    return job
