"""The OpenAPI operation of the export."""

from __future__ import annotations

from typing import Final

from ingest_api.as_of.operations import AS_OF, NO_SUCH_POINT, PAST_ANSWERS, PAST_DESCRIPTION
from ingest_api.export.audience import FORMATS
from ingest_api.export.columns import OTHER_COLUMNS
from ingest_api.openapi.operation import TEXT_BODY, Answer, Operation, query_parameter
from ingest_api.users.read_operations import USER_FILTERS
from ingest_api.web.content_negotiation import CSV, NDJSON, PARQUET
from ingest_api.web.paging import TOTAL_COUNT

_OTHERS: Final = ", ".join(f"`{column.name}`" for column in OTHER_COLUMNS)

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
