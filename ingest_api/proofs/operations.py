"""The OpenAPI operation of the proof of a job."""

from __future__ import annotations

from typing import Final

from ingest_api.jobs.operations import JOB_ID, UNKNOWN_JOB_ID
from ingest_api.openapi.operation import Operation, answer, refused
from ingest_api.openapi.response_types import JobProof

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
    work="search",
    parameters=(JOB_ID,),
    answers={
        200: answer("The proof.", JobProof),
        400: UNKNOWN_JOB_ID,
        409: refused(
            "The job has not ended, or its events are no longer in the log.",
            "The job has not ended, so there is nothing to prove yet: ask again"
            " once its state is COMPLETED or COMPLETED_WITH_ERRORS; a cancelled one ends in its"
            " turn",
        ),
    },
)
