"""Where the log is, after it has been moved: the reading of `LogMove` that all sides share.

A log is the topics of one prefix and one version; those of version 2 and later
end in a full stop and their number.  Topics cannot be rewritten, so a move
copies the log to topics of the next version.  `job-events` of the version
before stays as a signpost: its last record says where the log goes on.

The stages, in `job-events` of the version that is moved::

    … HELD … MOVED           nothing that comes after HELD counts
    … HELD … RELEASED …      the move was given up; what came in between never counts

So whoever appends to `job-events` and reads up to its own record knows whether
it counts, as with everything else there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.events import LogMove

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.events import Event

FIRST_VERSION = 1


class LogMoves:
    """What `job-events`, read in its order by :meth:`apply`, says of moves."""

    def __init__(self) -> None:
        self.last: LogMove | None = None

    def apply(self, event: Event) -> bool:
        """Read the next event; whether it counts for anybody else."""
        if isinstance(event, LogMove):
            # After MOVED nothing counts, not even what a mover says that was frozen before it.
            self.last = self.last if self.moved_to is not None else event
            return False
        return not self.is_held

    @property
    def is_held(self) -> bool:
        """Whether nothing that comes next counts."""
        return self.last is not None and self.last.stage != "RELEASED"

    @property
    def moved_to(self) -> int | None:
        """The version of the topics in which the log goes on; None where it goes on here."""
        return self.moved.version if self.moved is not None else None

    @property
    def moved(self) -> LogMove | None:
        """What says where the log goes on; None where it goes on here."""
        return self.last if self.last is not None and self.last.stage == "MOVED" else None


def versioned(name: str, version: int) -> str:
    """The name of a topic in this version of the log."""
    return name if version == FIRST_VERSION else f"{name}.{version}"


def oldest_version(topics: Iterable[str], first_name: str) -> int:
    """Where to begin to look for the log: `job-events` of each version says what comes after it.

    ``first_name`` is the name of `job-events` in the first version, which may have been
    deleted, as long as a later one is there.
    """
    versions = (version_of(topic, first_name) for topic in topics)
    return min((version for version in versions if version), default=FIRST_VERSION)


def version_of(topic: str, first_name: str) -> int | None:
    """Which version of the topic with that first name this is; None where it is none."""
    if topic == first_name:
        return FIRST_VERSION
    number = topic.removeprefix(f"{first_name}.")
    is_number = number != topic and number.isascii() and number.isdigit() and number[0] != "0"
    return int(number) if is_number and int(number) > FIRST_VERSION else None
