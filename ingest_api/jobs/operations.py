"""What the routes that read jobs and users promise."""

from __future__ import annotations

from typing import Any, Final, get_args

from ingest_api.as_of.diff import KINDS
from ingest_api.as_of.parameters import JOB_RUNS
from ingest_api.jobs.statuses import REVERTED, REVERTING
from ingest_api.openapi.operation import (
    JSON,
    Answer,
    Operation,
    Parameter,
    either,
    page_parameters,
    refused,
    refused_detail,
)
from ingest_api.openapi.response_types import (
    AudienceDifference,
    JobErrors,
    JobProof,
    JobState,
    JobStatus,
    JobStatuses,
    User,
    Users,
)
from ingest_api.web.responses import NO_ERROR_FILE, UNKNOWN_JOB, UNKNOWN_USER, UPLOAD_ACCEPTED
from schemas.events import JOB_MODES
from schemas.log.truncation import truncated

CSV: Final = "text/csv"
UNLISTED: Final = "Unlisted-Lines"
EVENT_STREAM: Final = "text/event-stream"

JOB_ID: Final = Parameter(
    name="job_id",
    place="path",
    description="Of the job, as the upload was answered.",
    schema={"type": "string", "pattern": "^[0-9]{1,19}$"},
    example="5971883457542586123",
)
UNKNOWN_JOB_ID: Final = refused("There is no such job.", {"message": UNKNOWN_JOB})


def _after(description: str, example: int) -> Parameter:
    return Parameter(
        name="after",
        place="query",
        description=description,
        schema={"type": "integer", "minimum": 0, "maximum": 2**63 - 1, "default": 0},
        example=example,
    )


def _job_filter(name: str, what: str, example: str, allowed: tuple[str, ...] = ()) -> Parameter:
    item = {"enum": list(allowed)} if allowed else {"minLength": 1}
    return Parameter(
        name=name,
        place="query",
        description=f"Only jobs {what}; may be repeated, then any of the values will do.",
        schema={"type": "array", "items": {"type": "string", **item}},
        example=[example],
    )


def _user_filter(name: str, description: str, example: str) -> Parameter:
    schema = {"type": "string", "minLength": 1}
    return Parameter(
        name=name, place="query", description=description, schema=schema, example=example
    )


def _point(name: str, description: str, *, is_required: bool) -> Parameter:
    return Parameter(
        name=name,
        place="query",
        description=f"{description} A time (`2016-06-28T05:49:23Z`, in UTC where it says no zone, "
        "or `06/28/2016 05:49:23 AM GMT`) means all that was in the log before it, with what was "
        "undone before it; the id of a job that has ended means after its last line, with what was "
        "undone before it was accepted.",
        schema={"type": "string", "minLength": 1},
        example="5971883457542586123",
        is_required=is_required,
    )


_AS_OF: Final = _point("asOf", "The audience as it was then.", is_required=False)
_NO_SUCH_POINT: Final = refused(
    "There is no such point in time: in the future, or no job's.",
    refused_detail(
        "Invalid request parameter",
        "INVALID_PARAMETER",
        "asOf",
        "asOf is in the future: it is 2016-06-28T05:49:23Z now.",
    ),
)
_PAST_ANSWERS: Final = {
    409: either(
        refused("The job it is to be as of has not ended.", {"message": JOB_RUNS}),
        refused(
            "What was then cannot be built.",
            {
                "message": "The audience as of job 5971883457542586123 could not be built:"
                " DISK_FULL: the disk of Postgres has no room for a second set of tables"
            },
        ),
        refused(
            "The log's first records are gone, so nothing can be built from it.",
            {"message": truncated("user-events", 0, 4711)},
        ),
    ),
    503: refused(
        "What was then is being built, or there are too many such audiences.",
        {"message": "The audience as of job 5971883457542586123 is being built: 43 %; try again"},
        headers={"Retry-After": "Seconds after which it may be sent again."},
    ),
}
_PAST_DESCRIPTION: Final = (
    "The first request `asOf` a point has the audience built from the log; it waits for that up to "
    "20 seconds, and then says how far it is. A few past audiences are kept, each until it has not "
    "been read for a while."
)

_STATUS: Final[dict[str, Any]] = {
    "dataType": "AUDIENCE_MEMBERS",
    "statusMessage": "Successfully uploaded requests of count :10020",
    "importedDate": "06/28/2016 05:49:23 AM GMT",
    "importedBy": "admin",
    "id": "5971883457542586123",
    "state": "COMPLETED",
    "mode": "upsert",
    "fileName": "users.csv",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "total": 10020,
    "inserted": 10000,
    "updated": 15,
    "unchanged": 5,
    "rejected": 0,
    "rowsPerSecond": 50100.0,
    "startedDate": "06/28/2016 05:49:23 AM GMT",
    "finishedDate": "06/28/2016 05:49:24 AM GMT",
    "estimatedFinishDate": None,
    "revertedDate": None,
    "revertedBy": None,
    "undoFailure": None,
}

JOB_STATUS: Final = Operation(
    summary="Status of one job",
    description=(
        "Known from the instant of the upload's answer, on every instance of the API. "
        f"`statusMessage` is `{UPLOAD_ACCEPTED}` while it runs, "
        "`Successfully uploaded requests of count :N` when all N lines went in, "
        "`Uploaded file has got errors` when some did not. "
        f"Of a job that is being undone it is `{REVERTING}`, of one that was, `{REVERTED}`; "
        "the counts are then those that the job had."
    ),
    tag="Jobs",
    role="reader",
    parameters=(JOB_ID,),
    answers={
        200: Answer(description="The status.", bodies={JSON: JobStatus}, example=_STATUS),
        400: UNKNOWN_JOB_ID,
    },
)
JOB_STATUSES: Final = Operation(
    summary="Statuses of all jobs, the newest first",
    description="`total` counts all jobs that the filters take, whatever the page.",
    tag="Jobs",
    role="reader",
    parameters=(
        *page_parameters(),
        _job_filter("state", "in this state", "PROCESSING", get_args(JobState)),
        _job_filter("mode", "of this mode", "delsert", JOB_MODES),
        _job_filter("importedBy", "of this account", "admin"),
    ),
    answers={
        200: Answer(
            description="A page of statuses.",
            bodies={JSON: JobStatuses},
            example={"total": 1, "statuses": [_STATUS]},
        )
    },
)
_PROOF: Final[dict[str, Any]] = {
    "id": "5971883457542586123",
    "state": "COMPLETED",
    "isProven": True,
    "lines": 10020,
    "inserted": 10000,
    "updated": 15,
    "unchanged": 5,
    "rejected": 0,
    "sum": 10020,
    "eventsInLog": 10020,
    "partitions": [
        {
            "partition": 0,
            "openedOffset": 17,
            "sealedOffset": 10038,
            "events": 10020,
            "digest": "9f86d081",
            "digestFound": "9f86d081",
        }
    ],
    "usersLeft": 10015,
    "usersHash": "884c7d659a2feaa0",
    "logHash": "884c7d659a2feaa0",
    "differences": 0,
    "findings": [],
}
JOB_PROOF: Final = Operation(
    summary="Proof of one job",
    description=(
        "Reads the job's events in the log again and holds against them the counts that were kept"
        " and the users that the job was the last to set: `lines` is the sum of the outcomes and"
        " the number of events, each partition's digest is what was sealed, and both hashes are"
        " the same. What differs is named."
    ),
    tag="Jobs",
    role="reader",
    parameters=(JOB_ID,),
    answers={
        200: Answer(description="The proof.", bodies={JSON: JobProof}, example=_PROOF),
        400: UNKNOWN_JOB_ID,
        409: refused(
            "The job has not ended, or its events are no longer in the log.",
            {
                "message": "The job has not ended, so there is nothing to prove yet: ask again"
                " once its state is COMPLETED or COMPLETED_WITH_ERRORS"
            },
        ),
    },
)
JOB_EVENTS: Final = Operation(
    summary="Status of one job, as server-sent events",
    description=(
        "The status at once, then after each change, at most five a second. "
        "The stream ends after the job's last status; where it ends before, or breaks, come again "
        "with the `id` of the last event as `Last-Event-ID`."
    ),
    tag="Jobs",
    role="reader",
    parameters=(
        JOB_ID,
        Parameter(
            name="Last-Event-ID",
            place="header",
            description="`id` of the last event seen: it is not sent again.",
            schema={"type": "string"},
            example="12",
        ),
    ),
    answers={
        200: Answer(
            description="Events, whose `data` are statuses as JSON.",
            bodies={EVENT_STREAM: {"type": "string"}},
            example="retry: 2000\n\nid: 12\ndata: {…}\n\n",
        ),
        204: Answer(
            description="The job has ended, and its last status was seen: don't come again.",
            bodies={},
        ),
        400: UNKNOWN_JOB_ID,
    },
)
JOB_ERRORS: Final = Operation(
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
    tag="Jobs",
    role="reader",
    parameters=(
        JOB_ID,
        *page_parameters(),
        _after("Only lines after `Line n` of this number; costs the same at any depth.", 1000),
    ),
    answers={
        200: Answer(
            description="A page of errors, or the file.",
            bodies={JSON: JobErrors, CSV: {"type": "string"}},
            example={
                "total": 1,
                "Errors": [
                    {
                        "id": 10023,
                        "errorMessage": "Line 1,Ada,Lovelace,ada@example.org,India,"
                        "Email is being used for one of the audience members.",
                        "line": 2,
                        "column": "Email",
                        "code": "KEY_EXISTS",
                        "value": "ada@example.org",
                        "reason": "Email is being used for one of the audience members.",
                    }
                ],
            },
        ),
        400: UNKNOWN_JOB_ID,
        406: refused(
            "Nothing but `text/csv` is wanted, and the job is older than these files are.",
            {"message": NO_ERROR_FILE},
        ),
    },
)
_USER: Final[dict[str, Any]] = {
    "id": "9",
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "ada@example.org",
    "mobileNumber": "+14155550123",
    "country": "USA",
    "state": "California",
    "active": True,
    "smsSubscription": True,
    "emailSubscription": False,
    "voiceSubscription": None,
    "lastActiveDateStr": "08/28/2017 12:00:00 AM GMT",
    "createdDateStr": "08/28/2017 12:23:28 PM GMT",
    "lastModifiedDateStr": "08/28/2017 12:23:28 PM GMT",
    "attributes": {"tier": "gold"},
}
USERS: Final = Operation(
    summary="Users of the audience",
    description=(
        "By id, so that pages stay stable while users are added. "
        "Filters may be combined: users fulfil all of them, and `total` counts those that do, "
        "whatever the page. A custom attribute is a filter as `attributes.<name>`. "
        + _PAST_DESCRIPTION
    ),
    tag="Users",
    role="reader",
    parameters=(
        *page_parameters(),
        _after("Only users with a greater id: the last of the page before.", 9),
        _user_filter("email", "Whatever its case.", "ada@example.org"),
        _user_filter("mobileNumber", "Compared in E.164; in a URL + is %2B.", "+14155550123"),
        _user_filter("country", "As it is written for the user, but for its case.", "USA"),
        _user_filter("state", "As it is written for the user, but for its case.", "California"),
        _user_filter(
            "attributes.{name}", "Of the custom attribute with this name; of its type.", "gold"
        ),
        _AS_OF,
    ),
    answers={
        200: Answer(
            description="A page of users.",
            bodies={JSON: Users},
            example={
                "total": 3,
                "audience": [_USER],
            },
        ),
        400: _NO_SUCH_POINT,
        **_PAST_ANSWERS,
    },
)
ONE_USER: Final = Operation(
    summary="One user",
    description=_PAST_DESCRIPTION,
    tag="Users",
    role="reader",
    parameters=(
        Parameter(
            name="user_id",
            place="path",
            description="Of the user.",
            schema={"type": "string", "pattern": "^[0-9]{1,19}$"},
            example="9",
        ),
        _AS_OF,
    ),
    answers={
        200: Answer(description="The user.", bodies={JSON: User}, example=_USER),
        400: refused("There is no such user.", {"message": UNKNOWN_USER}),
        **_PAST_ANSWERS,
    },
)
AUDIENCE_DIFF: Final = Operation(
    summary="What has changed in the audience from one point in time to another",
    description=(
        "Users added, changed and removed, by the key that tells users apart; each point is a "
        "time, a job, or `now`. Of a changed user only the fields that differ are shown, custom "
        "attributes as `attributes.<name>`; ids and times of change are not compared. "
        "The counts are of all differences, whatever the page; they are null after the first page "
        "of a diff with `now`. " + _PAST_DESCRIPTION
    ),
    tag="Users",
    role="reader",
    parameters=(
        _point("from", "The point before. `now`, too.", is_required=True),
        _point("to", "The point after. `now`, too.", is_required=True),
        Parameter(
            name="kind",
            place="query",
            description="Only such differences; may be repeated.",
            schema={"type": "array", "items": {"type": "string", "enum": list(KINDS)}},
            example=["changed"],
        ),
        Parameter(
            name="after",
            place="query",
            description="Only users with a greater key: the last of the page before.",
            schema={"type": "string", "maxLength": 1000},
            example="ada@example.org",
        ),
        page_parameters()[1],
    ),
    answers={
        200: Answer(
            description="The counts, and a page of differences.",
            bodies={JSON: AudienceDifference},
            example={
                "from": "5971883457542586123",
                "to": "now",
                "added": 0,
                "changed": 1,
                "removed": 0,
                "entries": [
                    {
                        "kind": "changed",
                        "key": "ada@example.org",
                        "id": "9",
                        "before": {"country": "UK"},
                        "after": {"country": "France"},
                    }
                ],
            },
        ),
        400: _NO_SUCH_POINT,
        **_PAST_ANSWERS,
    },
)
