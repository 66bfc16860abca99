"""The OpenAPI operations of exports."""

from __future__ import annotations

from typing import Final

from ingest_api.as_of.operations import AS_OF, NO_SUCH_POINT, PAST_ANSWERS, PAST_DESCRIPTION
from ingest_api.errors import UNKNOWN_USER
from ingest_api.export.audience import FORMATS
from ingest_api.export.columns import OTHER_COLUMNS
from ingest_api.openapi.operation import (
    TEXT_BODY,
    Answer,
    Operation,
    Parameter,
    answer,
    query_parameter,
    refused,
)
from ingest_api.openapi.response_types import Person
from ingest_api.users.read_operations import USER_FILTERS
from ingest_api.web.content_negotiation import CSV, NDJSON, PARQUET
from ingest_api.web.paging import TOTAL_COUNT

_OTHERS: Final = ", ".join(f"`{column.name}`" for column in OTHER_COLUMNS)

PERSON: Final = Operation(
    summary="All that is stored of one person",
    description=(
        "The user with this reconciliation key, its history, the rejected lines that hold the key, "
        "and the jobs of both. Of a user that was deleted the lines are left. Dead letters of "
        "other producers are not searched."
    ),
    tag="Users",
    role="reader",
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
    parameters=(
        query_parameter(
            "format",
            "Without it `Accept` decides between the three, and CSV is the first.",
            schema={"type": "string", "enum": list(FORMATS)},
            example="ndjson",
        ),
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
            bodies={
                CSV: TEXT_BODY,
                NDJSON: TEXT_BODY,
                PARQUET: {"type": "string", "format": "binary"},
            },
            headers={TOTAL_COUNT: "How many users they are."},
        ),
        400: NO_SUCH_POINT,
        **PAST_ANSWERS,
    },
)
