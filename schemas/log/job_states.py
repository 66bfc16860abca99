"""The states of a job, groups of them, and the words for each in a status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from schemas.events import JobState
from schemas.rules.modes import MODES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.events import JobMode

JOB_STATES: Final[tuple[JobState, ...]] = get_args(JobState)
RUNNING_STATES: Final[frozenset[JobState]] = frozenset({"ACCEPTED", "PROCESSING"})
"""States in which some lines have no outcome yet."""
REVERTED_STATES: Final[frozenset[JobState]] = frozenset(
    {"REVERTING", "REVERTED", "CANCELLING", "CANCELLED", "FAILED"}
)
"""States in which the job counts as if it had never run."""
ENDED_STATES: Final = frozenset(JOB_STATES) - RUNNING_STATES - {"REVERTING", "CANCELLING"}
"""States that a job does not leave by itself."""
OUTCOMES: Final[tuple[str, ...]] = ("inserted", "updated", "unchanged", "rejected")
"""The outcomes of a line; the counts of an ended job add up to its lines."""
OUTCOME_LETTERS: Final = {"inserted": "i", "updated": "u", "unchanged": "n", "deleted": "d"}
"""The letters of outcomes in the table ``line_outcome``; a rejected row, too, is an ``i`` there.

It may be found out only when its leaf gets an index, so that its rejection alone tells it."""
COUNTS: Final[tuple[str, ...]] = (*OUTCOMES, "deleted")
"""What is counted of a job: the outcomes of its lines, and the users that it removed."""
COUNTS_AND_NOTES: Final[tuple[str, ...]] = (*COUNTS, "notes")
"""The same, and the cells of its lines that were not taken as they stood."""


def line_outcomes(mode: JobMode, counts: Mapping[str, int]) -> int:
    """Return how many lines have an outcome; deleted is one where each line deletes its user."""
    deleted = counts["deleted"] if MODES[mode].existing == "deleted" else 0
    return sum(counts[name] for name in OUTCOMES) + deleted


UPLOAD_ACCEPTED: Final = "File uploaded successfully, import is in progress."
UNDO_QUEUED: Final = "The import is to be undone once it has ended"
REVERTING: Final = "The import is being undone"
REVERTING_FAILED: Final = "The import is being undone: the last try failed, and is made again"
REVERTED: Final = "The import was undone"
CANCELLING: Final = "The import is being cancelled"
CANCELLED: Final = "The import was cancelled"
FAILED: Final = "The import failed, and nothing of it counts"

_MESSAGES: Final[dict[JobState, str]] = {
    "ACCEPTED": UPLOAD_ACCEPTED,
    "PROCESSING": UPLOAD_ACCEPTED,
    "COMPLETED_WITH_ERRORS": "Uploaded file has got errors",
    "REVERTING": REVERTING,
    "REVERTED": REVERTED,
    "CANCELLING": CANCELLING,
    "CANCELLED": CANCELLED,
    "FAILED": FAILED,
}


def status_message(state: JobState, lines: int, *, has_failed: bool = False) -> str:
    """Return the status message of a job; ``has_failed``: the last try to undo it failed."""
    if state == "COMPLETED":
        return f"Successfully uploaded requests of count :{lines}"
    return REVERTING_FAILED if state == "REVERTING" and has_failed else _MESSAGES[state]
