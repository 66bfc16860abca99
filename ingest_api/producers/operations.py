"""The OpenAPI operations of dead letters and of other producers' sources."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from ingest_api.openapi.operation import (
    JSON,
    Answer,
    Operation,
    Refusal,
    answer,
    either,
    flag_parameter,
    page_parameters,
    path_parameter,
    query_parameter,
    refused,
    refused_detail,
)
from ingest_api.openapi.response_types import Count
from ingest_api.producers.dead_letter_views import (
    ChangedBy,
    DeadLetterPage,
    LetterId,
    RefusedRetry,
    WholeDeadLetter,
    changed_text,
)
from ingest_api.producers.dead_letters import ALREADY_RETRIED, KEY_CHANGED, UNKNOWN_DEAD_LETTER
from ingest_api.producers.retry_rules import NOT_RETRIED
from ingest_api.producers.source_counts import SourcePage

_EXAMPLE_ID: Final = "1-42"


class LetterRetried(msgspec.Struct, frozen=True, rename="camel"):
    """The record is in the log once more."""

    id: LetterId
    message: str
    partition: Annotated[Count, Meta(description="Of `user-events`, that it went to.")]
    offset: Annotated[Count, Meta(description="Of the record there.")]
    overtaken: Annotated[
        ChangedBy | None,
        Meta(
            description="What changed the key between the check and the append, so that the retry"
            " has gone over it; null where nothing did, or with `overNewer`."
        ),
    ]


_CHANGED_BY: Final[dict[str, Any]] = {
    "mode": "upsert",
    "date": "06/29/2016 08:00:01 AM GMT",
    "recordedDate": "06/29/2016 08:00:02 AM GMT",
    "jobId": "5971883457542586123",
    "fileName": "june.csv",
    "importedBy": "admin",
    "line": 3,
    "recordNumber": 2,
    "source": None,
    "partition": 1,
    "offset": 1999,
}
_CHANGED_TEXT: Final = changed_text(msgspec.convert(_CHANGED_BY, ChangedBy))
_CHANGED: Final = "The key was changed after the letter, and `overNewer` is not `true`."
_LETTER_ID: Final = path_parameter(
    "letter_id",
    "Of the dead letter: its partition and its offset.",
    example=_EXAMPLE_ID,
    pattern="^[0-9]{1,10}-[0-9]{1,19}$",
)
_UNKNOWN: Final = refused("There is no such dead letter.", UNKNOWN_DEAD_LETTER)

_for_admins: Final = partial(Operation, tag="Producers", role="admin")
LIST_LETTERS: Final = _for_admins(
    summary="Dead letters, the newest first",
    description="Records of other producers that could not be applied, each with its reason. "
    "Without filters a page costs the same at any depth. With one, all are looked through, the "
    "newest first, for ten seconds at most.",
    parameters=(
        *page_parameters(),
        query_parameter("reason", "Only letters with this code.", example="MISROUTED"),
        query_parameter(
            "sourcePartition",
            "Only letters from this partition of `user-events`.",
            schema={"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
            example=3,
        ),
    ),
    answers={200: answer("A page of dead letters.", DeadLetterPage)},
)
SHOW_LETTER: Final = _for_admins(
    summary="One dead letter",
    description="With all that its record holds, as bytes and, where it is an event, as JSON.",
    parameters=(_LETTER_ID,),
    answers={200: answer("The letter.", WholeDeadLetter), 404: _UNKNOWN},
)
RETRY_LETTER: Final = _for_admins(
    summary="Retry a dead letter",
    act="dead-letter.retry",
    description="The record is appended to `user-events` as it came, with the header "
    "`retried-from`: to the partition of its key where the record's key is its event's, else to "
    "where it was. A letter from before the log was moved goes to the partition of its key in the "
    "log as it is now, unless that has another reconciliation key. What still can't be applied "
    "becomes another dead letter. An event that was applied before is known by its `event_id`. "
    "Where the letter's key was changed after it, by whatever the log has behind it, the retry is "
    "refused, because it would set the user back; letters of one key that are retried in the "
    "order of the log are not in each other's way.",
    parameters=(
        _LETTER_ID,
        flag_parameter("again", "`true`: also where it was retried before."),
        flag_parameter(
            "overNewer",
            "`true`: also where its key was changed after the letter, which is not looked for"
            " then.",
        ),
    ),
    answers={
        200: answer("The record is in the log.", LetterRetried),
        404: _UNKNOWN,
        409: either(
            Answer(
                description=_CHANGED,
                bodies={JSON: (Refusal, RefusedRetry)},
                examples={
                    _CHANGED: refused_detail(
                        KEY_CHANGED,
                        "KEY_CHANGED_LATER",
                        "overNewer",
                        f"It was changed by {_CHANGED_TEXT}: say"
                        " overNewer=true to retry it all the same",
                    )
                    | {
                        "changedBy": _CHANGED_BY,
                        "wouldSet": {"lastName": {"now": "Newest", "wouldBe": "Old"}},
                    }
                },
            ),
            refused(
                "It was retried before, and `again` is not `true`.",
                f"{ALREADY_RETRIED}, by admin, to partition 1, offset 2048: say"
                " again=true to retry it once more",
            ),
            refused(
                "It carries a job, is no event of other producers, doesn't say where it was, or"
                " comes from a log by another key.",
                f"{NOT_RETRIED}: other producers send UserRow, and this is JobStatus",
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
    answers={200: answer("A page of sources.", SourcePage)},
)
