"""The states of a job: which there are, what follows from each, and how a status words it."""

from __future__ import annotations

from typing import Final, get_args

from schemas.events import JobState

JOB_STATES: Final[tuple[JobState, ...]] = get_args(JobState)
RUNNING_STATES: Final[frozenset[JobState]] = frozenset({"ACCEPTED", "PROCESSING"})
"""Not every line has its outcome yet."""
REVERTED_STATES: Final[frozenset[JobState]] = frozenset({"REVERTING", "REVERTED"})
"""The log says that the job counts as if it had never run."""
ENDED_STATES: Final = frozenset(JOB_STATES) - RUNNING_STATES - {"REVERTING"}
"""Nothing more becomes of the job by itself."""
OUTCOMES: Final[tuple[str, ...]] = ("inserted", "updated", "unchanged", "rejected")
"""What becomes of a line; the counts of an ended job add up to its lines."""

UPLOAD_ACCEPTED: Final = "File uploaded successfully, import is in progress."
REVERTING: Final = "The import is being undone"
REVERTING_FAILED: Final = "The import is being undone: the last try failed, and is made again"
REVERTED: Final = "The import was undone"


def status_message(state: JobState, lines: int, *, has_failed: bool = False) -> str:
    """Return the words for a job of so many lines; ``has_failed``: the last try to undo it has."""
    match state:
        case "ACCEPTED" | "PROCESSING":
            return UPLOAD_ACCEPTED
        case "COMPLETED":
            return f"Successfully uploaded requests of count :{lines}"
        case "COMPLETED_WITH_ERRORS":
            return "Uploaded file has got errors"
        case "REVERTING":
            return REVERTING_FAILED if has_failed else REVERTING
        case "REVERTED":
            return REVERTED
