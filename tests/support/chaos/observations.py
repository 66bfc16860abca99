"""What clients saw, held against what readers are promised.

- A read after an answered write sees it, whichever API process either came to.
- Users of one delsert are seen all or not at all.
- The status of a job never goes back, read or streamed, and an answered job is known everywhere.
- The history of a user has each answered write once, in the order of the log.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from schemas.log.job_states import ENDED_STATES

if TYPE_CHECKING:
    from collections.abc import Mapping

GUARDS: Final = 30
"""Users whom each delsert sets, all to the same name, and nobody else."""
_RANKS: Final = {"ACCEPTED": 0, "PROCESSING": 1, "COMPLETED": 2, "COMPLETED_WITH_ERRORS": 2}
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_OUTCOMES: Final = ("inserted", "updated", "unchanged", "rejected", "deleted")


@dataclass(frozen=True, slots=True)
class _NotSeen:
    """A write that was answered, and not seen by the read after it."""

    what: str
    asked_at: datetime
    read_at: datetime


@dataclass(slots=True)
class _Delsert:
    """When the client began to send it, and when it was first seen to have ended."""

    began_at: datetime
    ended_at: datetime = _NEVER


@dataclass(slots=True)
class Observations:
    """What was seen, by many threads; ``violations`` are what must not be."""

    reads: int = 0
    violations: list[str] = field(default_factory=list[str])
    _not_seen: list[_NotSeen] = field(default_factory=list[_NotSeen])
    _changed: set[int] = field(default_factory=set[int])
    _delserts: dict[int, _Delsert] = field(default_factory=dict[int, _Delsert])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def changed(self, job_id: int) -> None:
        """Note that a job is to be undone, done again or cancelled: its status may turn back."""
        with self._lock:
            self._changed.add(job_id)

    def delsert(self, job_id: int, began_at: datetime) -> None:
        """Note a delsert that was answered; clocks of services may be wrong, ours is right."""
        with self._lock:
            self._delserts[job_id] = _Delsert(began_at)

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
        job_id = int(now["id"])
        with self._lock:
            self.reads += 1
            if now["state"] in ENDED_STATES and (delsert := self._delserts.get(job_id)):
                delsert.ended_at = min(delsert.ended_at, datetime.now(UTC))
            if before is None or job_id in self._changed:
                return
            if _RANKS.get(now["state"], 9) < _RANKS.get(before["state"], 9):
                self._went_back(before, now, "state")
            if _decided(now) < _decided(before):
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

    def assert_kept(self) -> None:
        """Fail where a promise was broken; call it once all jobs have ended.

        A user who was added before a delsert is gone with its switch, so of a write that is not
        seen there must have been a delsert between it and the read.
        """
        broken = [
            f"not seen: {each}"
            for each in self._not_seen
            if not any(
                delsert.began_at < each.read_at
                and (job_id in self._changed or delsert.ended_at > each.asked_at)
                for job_id, delsert in self._delserts.items()
            )
        ]
        broken += self.violations
        assert not broken, f"{len(broken)} promises to readers were broken: {broken[:3]}"


def _decided(status: Mapping[str, Any]) -> int:
    """How many lines have an outcome.

    The users whom a delsert has deleted are no lines, and fewer where an earlier job is undone.
    """
    of_lines = sum(status[name] for name in _OUTCOMES)
    return of_lines - status["deleted"] if status["mode"] == "delsert" else of_lines
