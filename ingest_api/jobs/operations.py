"""The OpenAPI operations of the routes that read jobs."""

from __future__ import annotations

from functools import partial
from typing import Final

from ingest_api.errors import UNKNOWN_JOB
from ingest_api.openapi.operation import (
    JSON,
    TEXT_BODY,
    Answer,
    Operation,
    Parameter,
    after_parameter,
    answer,
    page_parameters,
    path_parameter,
    query_parameter,
    refused,
)
from ingest_api.openapi.response_types import JobErrors, JobNotes, JobStatus, JobStatuses
from ingest_api.web.content_negotiation import CSV
from schemas.events import JOB_MODES
from schemas.log.job_states import (
    CANCELLED,
    CANCELLING,
    JOB_STATES,
    REVERTED,
    REVERTING,
    UNDO_QUEUED,
    UPLOAD_ACCEPTED,
)

NO_ERROR_FILE: Final = (
    "There is no CSV of this job's errors, because its file was taken before headers were kept:"
    " ask for application/json"
)
UNLISTED: Final = "Unlisted-Lines"
EVENT_STREAM: Final = "text/event-stream"
LAST_EVENT_ID: Final = "lastEventId"
"""What replacements of the browser's EventSource, which can send credentials, put in the query."""

JOB_ID: Final = path_parameter(
    "job_id",
    "Of the job, as the upload was answered.",
    example="5971883457542586123",
    pattern="^[0-9]{1,19}$",
)
UNKNOWN_JOB_ID: Final = refused("There is no such job.", UNKNOWN_JOB)


def _job_filter(name: str, what: str, example: str, allowed: tuple[str, ...] = ()) -> Parameter:
    item = {"enum": list(allowed)} if allowed else {"minLength": 1}
    text = f"Only jobs {what}; may be repeated, then any of the values will do."
    schema = {"type": "array", "items": {"type": "string", **item}}
    return query_parameter(name, text, schema=schema, example=[example])


_for_readers: Final = partial(Operation, tag="Jobs", role="reader")
JOB_STATUS: Final = _for_readers(
    summary="Status of one job",
    description=(
        "Known from the instant of the upload's answer, on every instance of the API. "
        f"`statusMessage` is `{UPLOAD_ACCEPTED}` while it runs, "
        "`Successfully uploaded requests of count :N` when all N lines went in, "
        "`Uploaded file has got errors` when some did not. "
        f"Of a job whose undo is queued it is `{UNDO_QUEUED}`, "
        f"of one that is being undone `{REVERTING}`, of one that was, `{REVERTED}`; "
        "the counts are then those that the job had. "
        f"Of one that is being cancelled it is `{CANCELLING}`, of one that was, `{CANCELLED}`."
    ),
    parameters=(JOB_ID,),
    answers={200: answer("The status.", JobStatus), 400: UNKNOWN_JOB_ID},
)
JOB_STATUSES: Final = _for_readers(
    summary="Statuses of all jobs, the newest first",
    description="`total` counts all jobs that the filters take, whatever the page.",
    parameters=(
        *page_parameters(),
        _job_filter("state", "in this state", "PROCESSING", JOB_STATES),
        _job_filter("mode", "of this mode", "delsert", JOB_MODES),
        _job_filter("importedBy", "of this account", "admin"),
    ),
    answers={200: answer("A page of statuses.", JobStatuses)},
)
JOB_EVENTS: Final = _for_readers(
    summary="Status of one job, as server-sent events",
    work="stream",
    description=(
        "The status at once, then after each change, at most five a second. "
        "The stream ends after the job's last status; where it ends before, or breaks, come again "
        "with the `id` of the last event as `Last-Event-ID`."
    ),
    parameters=(
        JOB_ID,
        Parameter(
            name="Last-Event-ID",
            place="header",
            description="`id` of the last event seen: it is not sent again.",
            schema={"type": "string"},
            example="12",
        ),
        Parameter(
            name=LAST_EVENT_ID,
            place="query",
            description="The same, of clients that can't set a header; the header counts before.",
            schema={"type": "string"},
            example="12",
        ),
    ),
    answers={
        200: Answer(
            description="Events, whose `data` are statuses as JSON.",
            bodies={EVENT_STREAM: TEXT_BODY},
        ),
        204: Answer(
            description="The job has ended, and its last status was seen: don't come again.",
            bodies={},
        ),
        400: UNKNOWN_JOB_ID,
    },
)
JOB_ERRORS: Final = _for_readers(
    summary="Rejected lines of a job",
    description=(
        "In the order of the file. "
        "With `Accept: text/csv` a file of all of them, whatever the page: each as it was uploaded,"
        " with the columns `Error Line`, `Error Code` and `Error Reason` after it. "
        "Correct it and upload it again as it is: the added columns are ignored, and cells that a "
        "spreadsheet would run as formulas lose the apostrophe that they begin with in the file. "
        "Of a job that is undone they are those that are unfit by themselves; how many it had "
        "rejected besides, because of users who were there then, is said by `unlisted`, or by the "
        f"file's header `{UNLISTED}`; they would be judged anew."
    ),
    parameters=(
        JOB_ID,
        *page_parameters(),
        after_parameter(
            "Only lines after `Line n` of this number; costs the same at any depth.", 1000
        ),
    ),
    answers={
        200: Answer(
            description="A page of errors, or the file.",
            bodies={JSON: JobErrors, CSV: TEXT_BODY},
        ),
        400: UNKNOWN_JOB_ID,
        406: refused(
            "Nothing but `text/csv` is wanted, and the job is older than these files are.",
            NO_ERROR_FILE,
        ),
    },
)
JOB_NOTES: Final = _for_readers(
    summary="Notes of a job",
    description=(
        "Cells that were not taken as they stood, though their lines count, in the order of the "
        "file. `OPT_OUT_KEPT`: the line would have opted in a person who has opted out, and does "
        "not; without a value it would have done so for a new user. "
        "Of a job that is undone there are none."
    ),
    parameters=(JOB_ID, *page_parameters()),
    answers={200: answer("A page of notes.", JobNotes), 400: UNKNOWN_JOB_ID},
)
