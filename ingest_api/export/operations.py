"""The OpenAPI operations of exports."""

from __future__ import annotations

from typing import Final

from ingest_api.as_of.operations import AS_OF, NO_SUCH_POINT, PAST_ANSWERS, PAST_DESCRIPTION
from ingest_api.errors import UNKNOWN_USER
from ingest_api.export.columns import OTHER_COLUMNS
from ingest_api.export.job_results import RUNS, SCHEMA, TOO_OLD, UNDONE
from ingest_api.formats.tables import FORMATS
from ingest_api.jobs.operations import JOB_ID, UNKNOWN_JOB_ID
from ingest_api.openapi.operation import (
    BINARY_BODY,
    TEXT_BODY,
    Answer,
    Operation,
    Parameter,
    answer,
    either,
    query_parameter,
    refused,
)
from ingest_api.openapi.response_types import Person
from ingest_api.users.read_operations import USER_FILTERS
from ingest_api.web.content_negotiation import CSV, NDJSON, PARQUET
from ingest_api.web.paging import TOTAL_COUNT

_OTHERS: Final = ", ".join(f"`{column.name}`" for column in OTHER_COLUMNS)

_RESULT_COLUMNS: Final = ", ".join(f"`{name}`" for name in SCHEMA.names)
_FORMAT: Final = query_parameter(
    "format",
    "Without it `Accept` decides between the three, and CSV is the first.",
    schema={"type": "string", "enum": list(FORMATS)},
    example="ndjson",
)
_FILE_BODIES: Final = {
    CSV: TEXT_BODY,
    NDJSON: TEXT_BODY,
    PARQUET: BINARY_BODY,
}

JOB_RESULTS: Final = Operation(
    summary="What became of each line of a job, as a file",
    description=(
        f"One row a line, in the order of the file, streamed, with {_RESULT_COLUMNS}. "
        "`line` is that of the file, whose header is 1; `outcome` is `inserted`, `updated`, "
        "`unchanged`, `deleted` or `rejected`, and adds up to the counts of the job's status. "
        "`id` and `key` are the user's; a user that is no longer there has no id, unless the line "
        "made it. Of a rejected line `column`, `code` and `reason` tell the first fault, all of "
        "them `…/errors/{id}`. `notes` names the cells of a line that were not taken as they "
        "stood, with their codes, as in `…/notes/{id}`. "
        "An answer that breaks off, without the last chunk, is not whole. "
        "Cells are as they are: a spreadsheet may run one that begins with `=`."
    ),
    tag="Jobs",
    role="reader",
    work="export",
    parameters=(JOB_ID, _FORMAT),
    answers={
        200: Answer(
            description="The results.",
            bodies=_FILE_BODIES,
            headers={TOTAL_COUNT: "How many lines they are."},
        ),
        400: UNKNOWN_JOB_ID,
        409: either(
            refused("The job has not ended.", RUNS),
            refused("The job is undone or cancelled.", UNDONE),
            refused("The tables are of an earlier version.", TOO_OLD),
        ),
    },
)
PERSON: Final = Operation(
    summary="All that is stored of one person",
    description=(
        "The user with this reconciliation key, its history, the rejected lines that hold the key, "
        "and the jobs of both. Of a user that was deleted the lines are left. Dead letters of "
        "other producers are not searched."
    ),
    tag="Users",
    role="reader",
    work="search",
    parameters=(
        Parameter(
            name="key",
            place="query",
            description="The reconciliation key, such as an email.",
            schema={"type": "string", "minLength": 1, "maxLength": 1000},
            example="ada@example.org",
            is_required=True,
        ),
    ),
    answers={
        200: answer("What is stored.", Person),
        400: refused("Nothing is stored of this person.", UNKNOWN_USER),
    },
)
EXPORT: Final = Operation(
    summary="The whole audience, or what filters take of it, as a file",
    description=(
        "By id, from one snapshot, streamed. "
        "CSV has the columns that an import takes, so that the file can be imported again, which "
        "changes nothing; NDJSON has an object on each line, with the names of `POST /audience`; "
        "Parquet has typed columns. "
        "An answer that breaks off, without the last chunk, is not whole. "
        "Cells are as they are: a spreadsheet may run one that begins with `=`. " + PAST_DESCRIPTION
    ),
    tag="Users",
    role="reader",
    work="export",
    parameters=(
        _FORMAT,
        query_parameter(
            "columns",
            "Names of columns in their order, separated by commas or repeated, as a "
            "file's header or JSON has them; without it those that an import takes. "
            f"Besides these there are {_OTHERS}.",
            schema={"type": "array", "items": {"type": "string", "minLength": 1}},
            example=["email"],
        ),
        *USER_FILTERS,
        AS_OF,
    ),
    answers={
        200: Answer(
            description="The users.",
            bodies=_FILE_BODIES,
            headers={TOTAL_COUNT: "How many users they are."},
        ),
        400: NO_SUCH_POINT,
        **PAST_ANSWERS,
    },
)
