"""What happened in a history of jobs and faults, and how long it took to recover."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_USUAL_STALL_S: Final = 5.0


@dataclass(slots=True)
class Report:
    """Counts and times; may be written to by many threads.

    A fault is recovered from once a user is added through the API that was asked for after it:
    API, Kafka, a processor and Postgres have a part in that.
    """

    seed: str
    jobs: int = 0
    rows: int = 0
    undone: int = 0
    others: int = 0
    """Events of other producers, and writes of the API."""
    dry_runs: int = 0
    rebuilds: int = 0
    reads: int = 0
    """Answers of which it was checked that they say what is promised."""
    faults: Counter[str] = field(default_factory=Counter[str])
    failpoints: Counter[str] = field(default_factory=Counter[str])
    longest_stall_s: float = 0.0
    recovered_s: dict[str, float] = field(default_factory=dict[str, float])
    """By kind of fault, the longest time."""
    events: list[str] = field(default_factory=list[str])
    """What happened when; seconds from the start."""
    started_s: float = field(default_factory=time.monotonic)
    _last_added_s: float = field(default_factory=time.monotonic)
    _open: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str) -> None:
        """Keep what happened, with its time."""
        with self._lock:
            self.events.append(f"{time.monotonic() - self.started_s:7.1f} {what}")

    def begin(self, fault: str, failpoint: str | None = None) -> None:
        """Note a fault that begins, maybe at a failpoint."""
        self.note(fault if failpoint is None else f"{fault} at {failpoint}")
        with self._lock:
            self.faults[fault] += 1
            if failpoint is not None:
                self.failpoints[failpoint] += 1

    def end(self, fault: str) -> None:
        """Note that nothing keeps all from going on any more."""
        with self._lock:
            self._open.append((fault, time.monotonic()))

    def added(self, asked_s: float) -> None:
        """Note that a user is there who was asked for at that time."""
        now_s = time.monotonic()
        with self._lock:
            stall_s, self._last_added_s = now_s - self._last_added_s, now_s
            self.longest_stall_s = max(self.longest_stall_s, stall_s)
            for fault, ended_s in self._open:
                if ended_s <= asked_s:
                    longest_s = self.recovered_s.get(fault, 0.0)
                    self.recovered_s[fault] = max(longest_s, now_s - ended_s)
            self._open = [(fault, ended_s) for fault, ended_s in self._open if ended_s > asked_s]
        if stall_s > _USUAL_STALL_S:
            self.note(f"no user was added for {stall_s:.1f} s")

    def add(self, other: Report) -> None:
        """Add what happened in another history."""
        for name in ("jobs", "rows", "undone", "others", "dry_runs", "rebuilds", "reads"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults += other.faults
        self.failpoints += other.failpoints
        self.longest_stall_s = max(self.longest_stall_s, other.longest_stall_s)
        for fault, seconds in other.recovered_s.items():
            self.recovered_s[fault] = max(self.recovered_s.get(fault, 0.0), seconds)

    def as_json(self) -> str:
        """The figures as one JSON object."""
        return json.dumps(
            {
                "seed": self.seed,
                "jobs": self.jobs,
                "rows": self.rows,
                "undone": self.undone,
                "others": self.others,
                "dryRuns": self.dry_runs,
                "rebuilds": self.rebuilds,
                "checkedReads": self.reads,
                "faults": dict(self.faults),
                "failpoints": dict(self.failpoints),
                "longestStallSeconds": round(self.longest_stall_s, 1),
                "longestRecoverySeconds": {
                    fault: round(seconds, 1) for fault, seconds in self.recovered_s.items()
                },
                "differences": 0,
            }
        )
