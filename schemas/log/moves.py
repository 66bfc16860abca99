"""Finds the topics in which a moved log goes on, from the `LogMove` events of `job-events`.

A log is the topics of one prefix and one version; the names of version 2 and later
end in a full stop and the number.  Topics cannot be rewritten, so a move
copies the log to topics of the next version.  `job-events` of the version
before stays as a signpost: its last record says where the log goes on.

The stages, in `job-events` of the version that is moved::

    … HELD … MOVED           no record after HELD counts
    … HELD … RELEASED …      the move was given up; records in between never count

So whoever appends to `job-events` and reads up to its own record knows whether it counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.events import LogMove

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.events import Event

FIRST_VERSION = 1


class LogMoves:
    """The state of a log's moves; :meth:`apply` reads the events of `job-events` in order."""

    def __init__(self) -> None:
        self.last: LogMove | None = None

    def apply(self, event: Event) -> bool:
        """Read the next event; return whether it counts for other readers."""
        if isinstance(event, LogMove):
            # After MOVED nothing counts, not even a record of a mover that was suspended before it.
            self.last = self.last if self.moved_to is not None else event
            return False
        return not self.is_held

    @property
    def is_held(self) -> bool:
        """True while the log is held or moved: records that come next do not count."""
        return self.last is not None and self.last.stage != "RELEASED"

    @property
    def moved_to(self) -> int | None:
        """The version in which the log goes on; None where it goes on in this one."""
        return self.moved.version if self.moved is not None else None

    @property
    def moved(self) -> LogMove | None:
        """The event that says where the log goes on; None where it goes on in this version."""
        return self.last if self.last is not None and self.last.stage == "MOVED" else None


def versioned(name: str, version: int) -> str:
    """Return the name of a topic in this version of the log."""
    return name if version == FIRST_VERSION else f"{name}.{version}"


def oldest_version(topics: Iterable[str], first_name: str) -> int:
    """Return the version at which to begin looking for the log: each points to the next.

    ``first_name``: of `job-events` in the first version, which may have been deleted,
    as long as a later one exists.
    """
    versions = (version_of(topic, first_name) for topic in topics)
    return min((version for version in versions if version), default=FIRST_VERSION)


def version_of(topic: str, first_name: str) -> int | None:
    """Return which version of the topic with that first name this is; None where it is none."""
    if topic == first_name:
        return FIRST_VERSION
    number = topic.removeprefix(f"{first_name}.")
    is_number = number != topic and number.isascii() and number.isdigit() and number[0] != "0"
    return int(number) if is_number and int(number) > FIRST_VERSION else None
