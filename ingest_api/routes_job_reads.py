"""The routes that read jobs: their statuses, as pages and as events, and their refused lines."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from sanic.response import HTTPResponse

from ingest_api.appender import LogUnavailableError
from ingest_api.error_file import ErrorFile, disposition
from ingest_api.error_reads import ErrorList
from ingest_api.event_stream import EVENT_STREAM, event_id, event_texts
from ingest_api.exchange import exchange_of
from ingest_api.gateway import account_of
from ingest_api.job_reads import JobFilter, Status, StatusList
from ingest_api.media_types import preferred
from ingest_api.operations import Answer, Operation, Parameter, described
from ingest_api.paging import PAGE_PARAMETERS, after_parameter, keyed_page_of, page_of
from ingest_api.request_head import header, header_values, query_values, whole_number
from ingest_api.responses import UNKNOWN_JOB, Refused, invalid_parameter, json_answer
from ingest_api.streaming import send_stream
from schemas.events import JOB_MODES, JobState

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sanic import Blueprint, Request

    from ingest_api.error_reads import ErrorReads
    from ingest_api.job_ledger import LedgerJob
    from ingest_api.job_log import JobLog
    from ingest_api.job_reads import JobReads
    from ingest_api.job_watch import JobWatch
    from ingest_api.reads import Row

_TAG: Final = "Imports"
_JSON: Final = "application/json"
_CSV: Final = "text/csv"
_STATES: Final[tuple[str, ...]] = get_args(JobState)
_NO_HEADER: Final = (
    "There is no CSV of this job's errors, because its file was taken before headers were kept:"
    " ask for application/json"
)
_REFUSAL: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"message": {"type": "string"}, "details": {"type": "array"}},
    "required": ["message"],
}
_STATUS_EXAMPLE: Final[dict[str, Any]] = {
    "dataType": "AUDIENCE_MEMBERS",
    "statusMessage": "Successfully uploaded requests of count :10020",
    "importedDate": "06/28/2016 05:49:23 AM GMT",
    "importedBy": "admin",
    "id": "5971883457542586123",
    "state": "COMPLETED",
    "mode": "insert",
    "fileName": "users.csv",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "total": 10020,
    "inserted": 10020,
    "updated": 0,
    "unchanged": 0,
    "rejected": 0,
    "rowsPerSecond": 52300.4,
    "startedDate": "06/28/2016 05:49:24 AM GMT",
    "finishedDate": "06/28/2016 05:49:24 AM GMT",
    "estimatedFinishDate": None,
}
_ERRORS_EXAMPLE: Final[dict[str, Any]] = {
    "total": 1,
    "Errors": [
        {
            "id": 10023,
            "errorMessage": "Line 1,Zoë,Smith,zoe@example.com,USA,Texas,"
            "Email is being used for one of the audience members.",
            "line": 2,
            "column": "Email",
            "code": "KEY_EXISTS",
            "value": "zoe@example.com",
            "reason": "Email is being used for one of the audience members.",
        }
    ],
}
_UNKNOWN_JOB: Final = Answer(
    description="There is no such job, or a parameter is not as described.",
    bodies={_JSON: _REFUSAL},
    example={"message": UNKNOWN_JOB},
)
_JOB_ID: Final = Parameter(
    name="job_id",
    place="path",
    description="The id that the upload was answered with.",
    schema={"type": "string"},
    is_required=True,
)


def _filter_parameter(name: str, what: str, schema: dict[str, Any]) -> Parameter:
    return Parameter(
        name=name,
        place="query",
        description=f"Only jobs {what}; may be repeated, then any of the values will do.",
        schema={"type": "array", "items": schema},
    )


_STATUS: Final = Operation(
    summary="Status of an import",
    description="Known from the instant of the upload's answer, also while no processor runs.",
    tag=_TAG,
    role="reader",
    parameters=(_JOB_ID,),
    answers={
        200: Answer(
            description="How far the import is.", bodies={_JSON: Status}, example=_STATUS_EXAMPLE
        ),
        400: _UNKNOWN_JOB,
    },
)
_STATUSES: Final = Operation(
    summary="Statuses of all imports",
    description="The newest first.",
    tag=_TAG,
    role="reader",
    parameters=(
        *PAGE_PARAMETERS,
        _filter_parameter("state", "in this state", {"type": "string", "enum": list(_STATES)}),
        _filter_parameter("mode", "of this mode", {"type": "string", "enum": list(JOB_MODES)}),
        _filter_parameter(
            "importedBy", "of this account", {"type": "string", "minLength": 1, "maxLength": 255}
        ),
    ),
    answers={
        200: Answer(
            description="A page of statuses; `total` counts all that the filters take.",
            bodies={_JSON: StatusList},
            example={"total": 11, "statuses": [_STATUS_EXAMPLE]},
        ),
        400: Answer(
            description="A parameter is not as described.",
            bodies={_JSON: _REFUSAL},
            example={
                "message": "Invalid request parameter",
                "details": [
                    {
                        "line": None,
                        "column": "pageSize",
                        "code": "INVALID_PARAMETER",
                        "message": "pageSize is a whole number from 1 to 1000.",
                    }
                ],
            },
        ),
    },
)
_ERRORS: Final = Operation(
    summary="Refused lines of an import",
    description=(
        "In the order of the file. As `text/csv` a file of all of them, each as it was uploaded,"
        " with `Error Line`, `Error Code` and `Error Reason`: correct it and upload it again as it"
        " is, the added columns are ignored. There the page's parameters mean nothing, and cells"
        " that a spreadsheet would run as formulas begin with an apostrophe, which the upload takes"
        " off again."
    ),
    tag=_TAG,
    role="reader",
    parameters=(
        _JOB_ID,
        *PAGE_PARAMETERS,
        after_parameter("Only lines after `Line n` of this number; costs the same at any depth."),
        Parameter(
            name="Accept",
            place="header",
            description="`text/csv` for the file; JSON for anything that takes it as gladly.",
            schema={"type": "string", "default": _JSON},
        ),
    ),
    answers={
        200: Answer(
            description="A page of refused lines, or all of them as a file.",
            bodies={_JSON: ErrorList, _CSV: {"type": "string"}},
            example=_ERRORS_EXAMPLE,
        ),
        400: _UNKNOWN_JOB,
        406: Answer(
            description="Only `text/csv` is wanted, and the job is older than these files are.",
            bodies={_JSON: _REFUSAL},
            example={"message": _NO_HEADER},
        ),
    },
)
_EVENTS: Final = Operation(
    summary="Status of an import, as server-sent events",
    description=(
        "The status at once, then after each change, at most five a second; the stream ends after"
        " the last one. Where it ends before, come again with `Last-Event-ID`."
    ),
    tag=_TAG,
    role="reader",
    parameters=(
        _JOB_ID,
        Parameter(
            name="Last-Event-ID",
            place="header",
            description="`id` of the last event seen: that one is not sent again.",
            schema={"type": "string"},
        ),
    ),
    answers={
        200: Answer(
            description="Events whose data are statuses.",
            bodies={EVENT_STREAM: {"type": "string"}},
        ),
        204: Answer(
            description="The import has ended, and its last status has been seen.", bodies={}
        ),
        400: _UNKNOWN_JOB,
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSources:
    """Where what is said of jobs comes from."""

    log: JobLog
    jobs: JobReads
    errors: ErrorReads
    watch: JobWatch


def add_job_routes(api: Blueprint, sources: JobSources) -> None:
    """Add the routes below ``/batchinfo`` that read."""

    @api.get("/batchinfo/status/<job_id:str>")
    @described(_STATUS)
    async def job_status(request: Request[Any, Any], job_id: str) -> HTTPResponse:
        account_of(request, "reader")
        job = await _job(request, sources.log, job_id)
        return json_answer(200, (await sources.jobs.view(job)).status)

    @api.get("/batchinfo/status")
    @described(_STATUSES)
    async def job_statuses(request: Request[Any, Any]) -> HTTPResponse:
        account_of(request, "reader")
        page, wanted = page_of(request), _filter(request)
        # Without Kafka the list is what this instance has read so far.
        with contextlib.suppress(LogUnavailableError):
            await sources.log.catch_up()
        return json_answer(200, await sources.jobs.select_page(wanted, page.start, page.size))

    @api.get("/batchinfo/status/<job_id:str>/events")
    @described(_EVENTS)
    async def job_events(request: Request[Any, Any], job_id: str) -> HTTPResponse | None:
        account_of(request, "reader")
        job = await _job(request, sources.log, job_id)
        with sources.watch.one_more():
            seen = header(request, "last-event-id")
            view = await sources.jobs.view(job)
            if view.is_ended and event_id(view) == seen:
                return HTTPResponse(status=204)
            events = event_texts(sources.watch.views(job), seen)
            await send_stream(request, events, content_type=EVENT_STREAM)
        return None

    @api.get("/batchinfo/errors/<job_id:str>")
    @described(_ERRORS)
    async def job_errors(request: Request[Any, Any], job_id: str) -> HTTPResponse | None:
        account_of(request, "reader")
        page = keyed_page_of(request)
        job = await _job(request, sources.log, job_id)
        if _wants_file(request, job):
            await _send_error_file(request, job, sources.errors)
            return None
        errors = await sources.errors.select_page(job, page)
        return json_answer(200, errors, {"Vary": "Accept"})

    _ = job_status, job_statuses, job_events, job_errors


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


def _filter(request: Request[Any, Any]) -> JobFilter:
    """Which jobs the query asks for.

    Raises:
        Refused: 400, where it names a state or a mode that there isn't.
    """
    query = query_values(request)
    return JobFilter(
        states=_wanted("state", query.get("state"), _STATES),
        modes=_wanted("mode", query.get("mode"), JOB_MODES),
        accounts=_wanted("importedBy", query.get("importedBy"), None),
    )


def _wanted(
    name: str, values: list[str] | None, allowed: tuple[str, ...] | None
) -> frozenset[str] | None:
    if values is None:
        return None
    if allowed is None and not all(values):
        raise invalid_parameter(name, f"{name} is empty: leave it out, or name an account.")
    if allowed is not None and not set(values) <= set(allowed):
        raise invalid_parameter(name, f"{name} is one of {', '.join(allowed)}.")
    return frozenset(values)


def _wants_file(request: Request[Any, Any], job: LedgerJob) -> bool:
    """Whether the refused lines are wanted as a file.

    Raises:
        Refused: 406, they can't be had as one, and nothing else will do.
    """
    accept = header_values(request, "accept")
    if preferred(accept, (_JSON, _CSV)) != _CSV:
        return False
    if job.accepted.header is not None:
        return True
    if preferred(accept, (_JSON,)) is None:
        raise Refused(406, _NO_HEADER, headers={"Vary": "Accept"})
    return False


async def _send_error_file(request: Request[Any, Any], job: LedgerJob, errors: ErrorReads) -> None:
    first = await errors.select_lines(job, 0)  # a fault is answered as such before the file begins
    await send_stream(
        request,
        _error_file(job, errors, first),
        content_type="text/csv; charset=utf-8; header=present",
        headers={
            "Content-Disposition": disposition(job.accepted.file_name, job.accepted.job_id),
            "Vary": "Accept",
        },
    )


async def _error_file(job: LedgerJob, errors: ErrorReads, rows: list[Row]) -> AsyncGenerator[bytes]:
    file = ErrorFile(job.accepted.header or "", job.accepted.delimiter)
    yield file.head()
    while rows:
        # In a thread, because a thousand lines would hold up other requests.
        yield await asyncio.to_thread(file.lines, rows)
        rows = await errors.select_lines(job, rows[-1]["record_number"])
