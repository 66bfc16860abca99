"""The OpenAPI operations of undo and redo."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ingest_api.jobs.operations import JOB_ID, UNKNOWN_JOB_ID
from ingest_api.openapi.operation import (
    JSON,
    RETRY_AFTER,
    Answer,
    Operation,
    answer,
    either,
    idempotency_key,
    query_parameter,
    refused,
)
from ingest_api.openapi.response_types import Id
from ingest_api.projections.operations import LOG_TRUNCATED
from ingest_api.undo.preview import PreviewProgress, UndoPreview
from ingest_api.web.json_body import JsonBody

UNDO_STARTED: Final = (
    "The import is being undone: its status is REVERTED once every reader sees the audience"
    " without it."
)
REDO_STARTED: Final = (
    "The import is being done again: its status is as it was once every reader sees the audience"
    " with it."
)
CANCEL_STARTED: Final = (
    "The import is being cancelled: its status is CANCELLED once nothing of it is left."
)
_EXAMPLE_ID: Final = "5971883457542586123"


class UndoBody(JsonBody, frozen=True):
    """What may be asked of an undo."""

    dry_run: Annotated[
        bool, Meta(description="Whether only to tell what it would do, and change nothing.")
    ] = False


class UndoStarted(msgspec.Struct, frozen=True, rename="camel"):
    """The log says so, whatever dies now."""

    id: Annotated[Id, Meta(description="Of the job.")]
    message: str


_DRY_RUN: Final = query_parameter(
    "dryRun",
    "`true` answers what would change, with samples, and changes nothing."
    " Counts before the body; a form with this one field is taken as well.",
    schema={"type": "boolean"},
)
_IDEMPOTENCY_KEY: Final = idempotency_key(
    "A text of your own for this one request: sent again with it, it gets the same answer and"
    " changes nothing again. It means nothing to a dry run."
)
_AT_WORK: Final = refused(
    "A build is at work that would be in its way.",
    ("The projection 7 (rebuild) is being built, 40 % of it is done: try again when it has ended"),
)
_NO_PREVIEW: Final = refused(
    "The preview could not be made.",
    "The preview failed, and nothing was changed: DISK_FULL: the disk of Postgres"
    " has no room for a second set of tables",
)
_NOT_KNOWN: Final = refused(
    "It is not known whether it was taken.",
    {
        "message": "Kafka can't be reached: it is not known whether the undo was taken."
        " A retry with the same Idempotency-Key is safe",
        "id": _EXAMPLE_ID,
    },
)


_WHO: Final = (
    "Of a job of their own importers may do it while nobody else has changed the audience since,"
    " by an import, an undo or a write; of any other it takes the role `admin`. The dry run is"
    " for every importer."
)


def _operation(act: str, summary: str, description: str, *conflicts: Answer) -> Operation:
    return Operation(
        summary=summary,
        act=act,
        description=f"{description} {_WHO}",
        tag="Jobs",
        role="importer",
        parameters=(JOB_ID, _DRY_RUN, _IDEMPOTENCY_KEY),
        body={JSON: UndoBody},
        is_body_required=False,
        answers={
            200: answer(
                "It is in the log; or, of a dry run, what it would do.", UndoStarted, UndoPreview
            ),
            202: Answer(
                description="The preview is being made: the same request finds it again.",
                bodies={JSON: PreviewProgress},
                headers=RETRY_AFTER,
            ),
            400: UNKNOWN_JOB_ID,
            409: either(*conflicts, _AT_WORK, LOG_TRUNCATED, _NO_PREVIEW),
            503: _NOT_KNOWN,
        },
    )


UNDO: Final = _operation(
    "job.undo",
    "Undo a job",
    "The audience becomes as if the job had never run; what later jobs, other producers and single"
    " writes did is kept. Readers see the users as they are until all is ready, and then, in one"
    " switch, the others. The undo is in the log, so every rebuild gives the same, and it can be"
    " taken back with `redo`. Of a job that has not ended it is queued: it"
    " begins when the job has ended, and can be cancelled together with it.",
    refused(
        "The job is undone already; or it runs, and its preview is asked for.",
        "The job has not ended, it is PROCESSING:"
        " wait until its status says that it has to see what an undo would do; an undo that nobody"
        " looks at first is queued",
    ),
)
REDO: Final = _operation(
    "job.redo",
    "Do an undone job again",
    "The undo of an undo: the job counts again, in its old place among the others.",
    refused(
        "The job is not undone.",
        "The job is not undone, it is COMPLETED: there is nothing to do again",
    ),
)
CANCEL: Final = Operation(
    summary="Cancel a job that waits or runs",
    act="job.cancel",
    description=(
        "The audience is as if the job had never run, for good: `redo` doesn't take it back. "
        "A job that waits never changes anybody; of one that runs readers may see what it has done"
        " so far, until they see the audience without it. A `delsert` that has not ended is never"
        " seen. Of a CANCELLED job all counts are 0. "
        "Managers may cancel each job, importers their own."
    ),
    tag="Jobs",
    role="importer",
    parameters=(JOB_ID, _IDEMPOTENCY_KEY),
    answers={
        200: answer("It is in the log.", UndoStarted),
        400: UNKNOWN_JOB_ID,
        409: either(
            refused(
                "The job has ended, or is cancelled or undone already.",
                "The job has ended, it is COMPLETED: nothing is left to cancel, but it can be"
                " undone",
            ),
            LOG_TRUNCATED,
        ),
        503: _NOT_KNOWN,
    },
)
