"""The job that a path names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest_api.web.asgi_middleware import exchange_of
from ingest_api.web.parameters import whole_number
from ingest_api.web.responses import UNKNOWN_JOB, Refused

if TYPE_CHECKING:
    from sanic import Request

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.event_log.ledger import LedgerJob


async def asked_job(request: Request[Any, Any], job_log: JobLog, text: str) -> LedgerJob:
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
