"""What the routes that read jobs and users promise."""

from __future__ import annotations

from typing import Any, Final

from ingest_api.answers import JobErrors, JobStatus, JobStatuses, Users
from ingest_api.operations import JSON, Answer, Operation, Parameter, page_parameters, refused
from ingest_api.responses import UNKNOWN_JOB, UPLOAD_ACCEPTED

_JOB_ID: Final = Parameter(
    name="job_id",
    place="path",
    description="Of the job, as the upload was answered.",
    schema={"type": "string", "pattern": "^[0-9]{1,19}$"},
    example="5971883457542586123",
)
_UNKNOWN_JOB: Final = refused("There is no such job.", {"message": UNKNOWN_JOB})
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
}

JOB_STATUS: Final = Operation(
    summary="Status of one job",
    description=(
        "Known from the instant of the upload's answer, on every instance of the API. "
        f"`statusMessage` is `{UPLOAD_ACCEPTED}` while it runs, "
        "`Successfully uploaded requests of count :N` when all N lines went in, "
        "`Uploaded file has got errors` when some did not."
    ),
    tag="Jobs",
    role="reader",
    parameters=(_JOB_ID,),
    answers={
        200: Answer(description="The status.", bodies={JSON: JobStatus}, example=_STATUS),
        400: _UNKNOWN_JOB,
    },
)
JOB_STATUSES: Final = Operation(
    summary="Statuses of all jobs, the newest first",
    tag="Jobs",
    role="reader",
    parameters=page_parameters(),
    answers={
        200: Answer(
            description="A page of statuses.",
            bodies={JSON: JobStatuses},
            example={"total": 1, "statuses": [_STATUS]},
        )
    },
)
JOB_ERRORS: Final = Operation(
    summary="Rejected lines of a job",
    description="In the order of the file.",
    tag="Jobs",
    role="reader",
    parameters=(_JOB_ID, *page_parameters()),
    answers={
        200: Answer(
            description="A page of errors.",
            bodies={JSON: JobErrors},
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
        400: _UNKNOWN_JOB,
    },
)
USERS: Final = Operation(
    summary="Users of the audience",
    description="By id, so that pages stay stable while users are added; "
    "`after` costs the same at any depth.",
    tag="Users",
    role="reader",
    parameters=(
        *page_parameters(),
        Parameter(
            name="after",
            place="query",
            description="Only users whose id is greater: the last id of the page before.",
            schema={"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
            example=9,
        ),
    ),
    answers={
        200: Answer(
            description="A page of users.",
            bodies={JSON: Users},
            example={
                "total": 3,
                "audience": [
                    {
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
                ],
            },
        )
    },
)
