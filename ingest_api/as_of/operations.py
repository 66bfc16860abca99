"""The OpenAPI description of the ``asOf`` parameter, and the operation of the diff."""

from __future__ import annotations

from typing import Final

from ingest_api.as_of.diff import KINDS
from ingest_api.as_of.parameters import JOB_RUNS
from ingest_api.openapi.operation import (
    BINARY_BODY,
    JSON,
    RETRY_AFTER,
    TEXT_BODY,
    Answer,
    Operation,
    Parameter,
    either,
    page_parameters,
    query_parameter,
    refused,
    refused_detail,
)
from ingest_api.openapi.response_types import AudienceDifference
from ingest_api.projections.operations import LOG_TRUNCATED
from ingest_api.web.content_negotiation import CSV, NDJSON, PARQUET


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


AS_OF: Final = _point("asOf", "The audience as it was then.", is_required=False)
NO_SUCH_POINT: Final = refused(
    "There is no such point in time: in the future, or no job's.",
    refused_detail(
        "Invalid request parameter",
        "INVALID_PARAMETER",
        "asOf",
        "asOf is in the future: it is 2016-06-28T05:49:23Z now.",
    ),
)
PAST_ANSWERS: Final = {
    409: either(
        refused("The job it is to be as of has not ended.", JOB_RUNS),
        refused(
            "What was then cannot be built.",
            "The audience as of job 5971883457542586123 could not be built:"
            " DISK_FULL: the disk of Postgres has no room for a second set of tables",
        ),
        LOG_TRUNCATED,
    ),
    503: refused(
        "What was then is being built, or there are too many such audiences.",
        "The audience as of job 5971883457542586123 is being built: 43 %; try again",
        headers=RETRY_AFTER,
    ),
}
PAST_DESCRIPTION: Final = (
    "The first request `asOf` a point has the audience built from the log; it waits for that up to "
    "20 seconds, and then says how far it is. A few past audiences are kept, each until it has not "
    "been read for a while."
)

AUDIENCE_DIFF: Final = Operation(
    summary="What has changed in the audience from one point in time to another",
    description=(
        "Users added, changed and removed, by the key that tells users apart; each point is a "
        "time, a job, or `now`. Of a changed user only the fields that differ are shown, custom "
        "attributes as `attributes.<name>`; ids and times of change are not compared. "
        "The counts are of all differences, whatever the page; they are null after the first page "
        "of a diff with `now`. As CSV, NDJSON or Parquet, which `Accept` asks for, come all "
        "differences of these kinds after this key, from one snapshot and by key: in CSV and "
        "Parquet a line for each field, in NDJSON one for each user; an answer that breaks off is "
        "not whole. " + PAST_DESCRIPTION
    ),
    tag="Users",
    role="reader",
    work="export",
    parameters=(
        _point("from", "The point before. `now`, too.", is_required=True),
        _point("to", "The point after. `now`, too.", is_required=True),
        query_parameter(
            "kind",
            "Only such differences; may be repeated.",
            schema={"type": "array", "items": {"type": "string", "enum": list(KINDS)}},
            example=["changed"],
        ),
        query_parameter(
            "after",
            "Only users with a greater key: the last of the page before.",
            schema={"type": "string", "maxLength": 1000},
            example="ada@example.org",
        ),
        page_parameters()[1],
    ),
    answers={
        200: Answer(
            description="The counts, and a page of differences; else all differences.",
            bodies={
                JSON: AudienceDifference,
                CSV: TEXT_BODY,
                NDJSON: TEXT_BODY,
                PARQUET: BINARY_BODY,
            },
        ),
        400: NO_SUCH_POINT,
        **PAST_ANSWERS,
    },
)
