"""The OpenAPI operations of dead letters and of other producers' sources."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ingest_api.openapi.operation import (
    JSON,
    Answer,
    Operation,
    Parameter,
    either,
    page_parameters,
    refused,
)
from ingest_api.openapi.response_types import Count
from ingest_api.producers.dead_letter_views import DeadLetterPage, LetterId, WholeDeadLetter
from ingest_api.producers.dead_letters import ALREADY_RETRIED, NOT_RETRIED, UNKNOWN_DEAD_LETTER
from ingest_api.producers.source_counts import SourcePage

_EXAMPLE_ID: Final = "1-42"


class LetterRetried(msgspec.Struct, frozen=True, rename="camel"):
    """The record is in the log once more."""

    id: LetterId
    message: str
    partition: Annotated[Count, Meta(description="Of `user-events`, that it went to.")]
    offset: Annotated[Count, Meta(description="Of the record there.")]


_LETTER_ID: Final = Parameter(
    name="letter_id",
    place="path",
    description="Of the dead letter: its partition and its offset.",
    schema={"type": "string", "pattern": "^[0-9]{1,10}-[0-9]{1,19}$"},
    is_required=True,
    example=_EXAMPLE_ID,
)
_UNKNOWN: Final = refused("There is no such dead letter.", {"message": UNKNOWN_DEAD_LETTER})

LIST_LETTERS: Final = Operation(
    summary="Dead letters, the newest first",
    description="Records of other producers that could not be applied, each with its reason. "
    "Without filters a page costs the same at any depth. With one, all are looked through, the "
    "newest first, for ten seconds at most.",
    tag="Producers",
    role="admin",
    parameters=(
        *page_parameters(),
        Parameter(
            name="reason",
            place="query",
            description="Only letters with this code.",
            schema={"type": "string", "minLength": 1},
            example="MISROUTED",
        ),
        Parameter(
            name="sourcePartition",
            place="query",
            description="Only letters from this partition of `user-events`.",
            schema={"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
            example=3,
        ),
    ),
    answers={200: Answer(description="A page of dead letters.", bodies={JSON: DeadLetterPage})},
)
SHOW_LETTER: Final = Operation(
    summary="One dead letter",
    description="With all that its record holds, as bytes and, where it is an event, as JSON.",
    tag="Producers",
    role="admin",
    parameters=(_LETTER_ID,),
    answers={
        200: Answer(description="The letter.", bodies={JSON: WholeDeadLetter}),
        404: _UNKNOWN,
    },
)
RETRY_LETTER: Final = Operation(
    summary="Retry a dead letter",
    description="The record is appended to `user-events` as it came, with the header "
    "`retried-from`: to the partition of its key where the record's key is its event's, else to "
    "where it was. A letter from before the log was moved goes to the partition of its key in the "
    "log as it is now, unless that has another reconciliation key. What still can't be applied "
    "becomes another dead letter. An event that was applied before is known by its `event_id`.",
    tag="Producers",
    role="admin",
    parameters=(
        _LETTER_ID,
        Parameter(
            name="again",
            place="query",
            description="`true`: also where it was retried before.",
            schema={"type": "string", "enum": ["true", "false"], "default": "false"},
        ),
    ),
    answers={
        200: Answer(description="The record is in the log.", bodies={JSON: LetterRetried}),
        404: _UNKNOWN,
        409: either(
            refused(
                "It was retried before, and `again` is not `true`.",
                {
                    "message": f"{ALREADY_RETRIED}, by admin, to partition 1, offset 2048: say"
                    " again=true to retry it once more"
                },
            ),
            refused(
                "It carries a job, is no event of other producers, doesn't say where it was, or"
                " comes from a log by another key.",
                {"message": f"{NOT_RETRIED}: other producers send UserRow, and this is JobStatus"},
            ),
        ),
    },
)
SOURCES: Final = Operation(
    summary="What other producers sent, by source",
    description="Those heard of last first. Counts what was applied and what was not, this API's "
    "own writes of single users among it, as `rollcall-api`; uploads are counted by job instead.",
    tag="Producers",
    role="reader",
    parameters=page_parameters(),
    answers={200: Answer(description="A page of sources.", bodies={JSON: SourcePage})},
)
