"""What clients saw, held against what readers are promised.

- A read after an answered write sees it, whichever API process either came to.
- Users of one delsert are seen all or not at all.
- The status of a job never goes back, read or streamed, and an answered job is known everywhere.
- The history of a user has each answered write once, in the order of the log.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tests.support.models.verdict import select

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.servers.surroundings import Ground

GUARDS: Final = 30
"""Users whom each delsert sets, all to the same name, and nobody else."""
_RANKS: Final = {"ACCEPTED": 0, "PROCESSING": 1, "COMPLETED": 2, "COMPLETED_WITH_ERRORS": 2}
_OUTCOMES: Final = ("inserted", "updated", "unchanged", "rejected", "deleted")
_SLACK: Final = timedelta(seconds=1)
_DELSERTS: Final = """
SELECT accepted_at, CASE WHEN state <> 'REVERTED' THEN finished_at END AS finished_at
FROM jobs WHERE mode = 'delsert'
"""


@dataclass(frozen=True, slots=True)
class _NotSeen:
    """A write that was answered, and not seen by the read after it."""

    what: str
    asked_at: datetime
    read_at: datetime


@dataclass(slots=True)
class Observations:
    """What was seen, by many threads; ``violations`` are what must not be."""

    reads: int = 0
    violations: list[str] = field(default_factory=list[str])
    _not_seen: list[_NotSeen] = field(default_factory=list[_NotSeen])
    _changed: set[int] = field(default_factory=set[int])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def changed(self, job_id: int) -> None:
        """Note that a job is to be undone, done again or cancelled: its status may turn back."""
        with self._lock:
            self._changed.add(job_id)

    def guards(self, users: list[dict[str, Any]], total: int) -> None:
        """Hold the users that each delsert sets against what one delsert made of them."""
        names = {user["firstName"] for user in users}
        with self._lock:
            self.reads += 1
            if total not in {0, GUARDS} or len(users) != total or len(names) > 1:
                self.violations.append(f"half a delsert: {total} users of {sorted(names)}")

    def wrote(self, what: str, asked_at: datetime, *, is_seen: bool) -> None:
        """Note whether the read that came after an answered write saw it."""
        with self._lock:
            self.reads += 1
            if not is_seen:
                self._not_seen.append(_NotSeen(what, asked_at, datetime.now(UTC)))

    def status(self, before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> None:
        """Hold two statuses of a job, one read after the other, against each other."""
        with self._lock:
            self.reads += 1
            if before is None or int(now["id"]) in self._changed:
                return
            if _RANKS.get(now["state"], 9) < _RANKS.get(before["state"], 9):
                self._went_back(before, now, "state")
            if sum(now[name] for name in _OUTCOMES) < sum(before[name] for name in _OUTCOMES):
                self._went_back(before, now, "counts")

    def history(self, who: str, found: list[dict[str, Any]], expected: list[str]) -> None:
        """Hold the history of a user, whom nobody else writes, against the writes answered."""
        events, offsets = [each["event"] for each in found], [each["offset"] for each in found]
        with self._lock:
            self.reads += 1
            if events != expected or offsets != sorted(set(offsets)):
                self.violations.append(f"history of {who}: {found}")

    def _went_back(self, before: Mapping[str, Any], now: Mapping[str, Any], what: str) -> None:
        self.violations.append(f"{what} of a job went back: {before}, then {now}")

    def unknown(self, job_id: int, answer: str) -> None:
        """Note that a job that was answered with 200 is not known."""
        with self._lock:
            self.violations.append(f"job {job_id} was accepted, and now: {answer}")

    def assert_kept(self, env: Ground) -> None:
        """Fail where a promise was broken; call it once all jobs have ended.

        A user who was added before a delsert is gone with its switch, so of a write that is not
        seen there must have been a delsert between it and the read.
        """
        delserts = select(env, _DELSERTS)
        broken = [
            f"not seen: {each}"
            for each in self._not_seen
            if not any(
                row["accepted_at"] < each.read_at + _SLACK
                and (row["finished_at"] is None or row["finished_at"] > each.asked_at - _SLACK)
                for row in delserts
            )
        ]
        broken += self.violations
        assert not broken, f"{len(broken)} promises to readers were broken: {broken[:3]}"
