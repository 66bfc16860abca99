"""What happened in a history of jobs and faults, and how long it took to recover."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.support.chaos import failpoints

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SEVERAL: Final = "several at once"
"""Faults of all kinds, one after another and together, each mended after a moment."""
ALWAYS: Final = "processes killed at points all the time"
"""Beside a history: what waits for them there says nothing of a fault that comes now and then."""
_USUAL_STALL_S: Final = 5.0
_SUMS: Final = (
    "histories", "jobs", "rows", "undone", "others", "dry_runs", "rebuilds", "reads", "seconds",
)  # fmt: skip


@dataclass(slots=True)
class Report:
    """Counts and times; may be written to by many threads.

    All is recovered once a user is added through the API that was asked for after all was mended:
    API, Kafka, a processor and Postgres have a part in that.
    """

    seed: str
    hits: Counter[str] = field(default_factory=Counter[str])
    """How often each failpoint was hit in all histories that share it, this one included."""
    histories: int = 0
    jobs: int = 0
    rows: int = 0
    undone: int = 0
    others: int = 0
    """Events of other producers, and writes of the API."""
    dry_runs: int = 0
    rebuilds: int = 0
    reads: int = 0
    """Answers of which it was checked that they say what is promised."""
    seconds: float = 0.0
    """So long things were broken."""
    faults: Counter[str] = field(default_factory=Counter[str])
    failpoints: Counter[str] = field(default_factory=Counter[str])
    stalled_s: dict[str, float] = field(default_factory=dict[str, float])
    """By what was broken, or not recovered from, the longest time in which no user was added."""
    recovered_s: dict[str, float] = field(default_factory=dict[str, float])
    """By what was broken, the longest time until a user was added once it was mended."""
    events: list[str] = field(default_factory=list[str])
    """What happened when; seconds from the start."""
    failures: list[str] = field(default_factory=list[str])
    """Of each history that failed: the options that repeat it, and what was found."""
    _started_s: float = field(default_factory=time.monotonic)
    _last_added_s: float = field(default_factory=time.monotonic)
    _trouble: str | None = None
    _mended_s: float = math.inf
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str) -> None:
        """Keep what happened, with its time."""
        with self._lock:
            self.events.append(f"{time.monotonic() - self._started_s:7.1f} {what}")

    def write(self, folder: Path) -> None:
        """Write down in this folder what happened."""
        (folder / "history.txt").write_text("\n".join([f"seed {self.seed}", *self.events]))

    def storm(self, trouble: str = SEVERAL) -> None:
        """Note that from now on faults come together, until all is mended."""
        self.note(trouble)
        with self._lock:
            self._trouble, self._mended_s = trouble, math.inf

    def begin(self, fault: str, failpoint: str | None = None) -> None:
        """Note a fault that begins, maybe at a failpoint."""
        self.note(fault if failpoint is None else f"{fault} at {failpoint}")
        with self._lock:
            self.faults[fault] += 1
            if failpoint is not None:
                self.failpoints[failpoint] += 1
                self.hits[failpoint] += 1
            if self._trouble not in {SEVERAL, ALWAYS}:
                self._trouble, self._mended_s = fault, math.inf

    def least_hit(
        self, names: Iterable[str], planned: Sequence[str] = (), *, spread: int = 3
    ) -> list[str]:
        """Of these failpoints those that were hit least often, or little more, in all histories.

        What is planned counts as hit.
        """
        all_hits = self.hits + Counter(planned)
        hits = {name: all_hits[name] for name in names}
        fewest = min(hits.values())
        return [name for name, times in hits.items() if times <= fewest + spread]

    def mended(self) -> None:
        """Note that nothing keeps all from going on any more."""
        self.note("mended")
        with self._lock:
            self._mended_s = time.monotonic()

    @property
    def is_recovered(self) -> bool:
        """Whether a user was added since all is mended."""
        return self._trouble is None

    def added(self, asked_s: float) -> None:
        """Note that a user is there who was asked for at that time."""
        now_s = time.monotonic()
        with self._lock:
            stall_s, self._last_added_s = now_s - self._last_added_s, now_s
            trouble = self._trouble
            if trouble is not None:
                _keep_longest(self.stalled_s, trouble, stall_s)
                if asked_s >= self._mended_s:
                    _keep_longest(self.recovered_s, trouble, now_s - self._mended_s)
                    self._trouble = None
        if stall_s > _USUAL_STALL_S:
            self.note(f"no user was added for {stall_s:.1f} s: {trouble}")

    def add(self, other: Report) -> None:
        """Add what happened in another history."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults += other.faults
        self.failpoints += other.failpoints
        for mine, others in (
            (self.stalled_s, other.stalled_s),
            (self.recovered_s, other.recovered_s),
        ):
            for trouble, seconds in others.items():
                _keep_longest(mine, trouble, seconds)

    def summary(self) -> str:
        """The figures in a sentence."""
        hits = self._hits()
        rarest = min(hits, key=lambda name: hits[name])
        stall_s, recovery_s = (
            max(s.values(), default=0) for s in (self.stalled_s, self.recovered_s)
        )
        return (
            f"{self.histories} histories, {self.jobs} jobs, {self.rows} rows,"
            f" {self.faults.total()} faults, {sum(hits.values())} of them at failpoints"
            f" (fewest: {hits[rarest]} at {rarest}), longest stall {stall_s:.1f} s,"
            f" longest recovery {recovery_s:.1f} s, {len(self.failures)} differences"
        )

    def _hits(self) -> dict[str, int]:
        """How often each failpoint was hit, those too that never were."""
        points = [name for module in failpoints.POINTS for name in failpoints.names(module)]
        return {name: self.failpoints[name] for name in points}

    def as_json(self) -> str:
        """The figures as one JSON object."""
        return json.dumps(
            {
                "seed": self.seed,
                "minutes": round(self.seconds / 60, 1),
                "histories": self.histories,
                "jobs": self.jobs,
                "rows": self.rows,
                "undone": self.undone,
                "others": self.others,
                "dryRuns": self.dry_runs,
                "rebuilds": self.rebuilds,
                "checkedReads": self.reads,
                "faults": dict(sorted(self.faults.items())),
                "failpoints": self._hits(),
                "longestStallSeconds": _rounded(self.stalled_s),
                "longestRecoverySeconds": _rounded(self.recovered_s),
                "failures": self.failures,
                "differences": len(self.failures),
            }
        )


def _keep_longest(longest: dict[str, float], trouble: str, seconds: float) -> None:
    longest[trouble] = max(longest.get(trouble, 0.0), seconds)


def _rounded(longest: dict[str, float]) -> dict[str, float]:
    return {trouble: round(seconds, 1) for trouble, seconds in sorted(longest.items())}
