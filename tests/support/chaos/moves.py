"""The log is moved, and the command that moves it killed at named steps, while services run."""

from __future__ import annotations

import contextlib
import itertools
import random
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg

from processor.verification.verify import verify_active
from tests.support.chaos import failpoints
from tests.support.chaos.clients import Doors, Scene, upload, wait_ended
from tests.support.chaos.crew import API, BUILDER, PROCESSOR, PUBLISHER, Crew
from tests.support.chaos.observations import Observations
from tests.support.clients.command import ended
from tests.support.models.verdict import select
from tests.support.servers.moving import JOBS, seen
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.chaos.calm import Calm
    from tests.support.chaos.report import Report
    from tests.support.servers.surroundings import Ground

_LINES: Final = "SELECT job_id, record_number, line FROM rejections ORDER BY job_id, record_number"
_COUNTS: Final = {API: 1, PUBLISHER: 1, PROCESSOR: 1, BUILDER: 0}
_MOST_ROWS: Final = 30
_JOBS: Final = 6
_KILLS: Final = 5
_PAUSE_S: Final = 0.5
_TOLD: Final = 300
"""So many characters of what a command that failed has written are noted."""
_SWITCHED: Final = frozenset({"move: after the switch"})
"""Killed there, the next run completes the move."""
_LAST: Final = frozenset({"move: log moved", "move: old tables dropped"})
"""Killed at either, the next run finds a log that is moved."""
_DONE: Final = ("nothing of a user", "nothing to be done")
"""One that was broken off at its end may have nothing left to do, and says so."""


@dataclass(slots=True)
class Moves:
    """Erases users and changes the number of partitions; else nothing changes."""

    env: Ground
    crew: Crew
    report: Report
    rng: random.Random
    kills: int
    """So often each command is killed before it completes."""
    calm: Calm | None = None
    """When the servers are whole: before, a command may fail. None: they are."""
    _partitions: int = PARTITIONS

    def run(self) -> None:
        """Erase a user and change the partitions; again until others are judged, if there are."""
        self._erase()
        self._rekey()
        more = itertools.cycle([self._rekey, self._rekey, self._erase, self._rekey])
        while self.calm is not None and not self.calm.is_judged.is_set():
            next(more)()
        assert verify_active(self.env.settings).is_proven
        self.crew.assert_running()

    def _erase(self) -> None:
        before = self._seen()
        users = [user["key"] for user in before[0] if user["state"] != "Guarded"]
        if users:
            erased = self.rng.choice(users)
            self._move("erase", erased)
            before[0] = [user for user in before[0] if user["key"] != erased]
        assert before == self._seen()

    def _rekey(self) -> None:
        said = self._answered(lambda: seen(self.env))
        counts = {PARTITIONS + more for more in range(4)} - {self._partitions}
        self._partitions = self.rng.choice(sorted(counts))
        self._move("rekey", "--partitions", str(self._partitions))
        assert said == self._answered(lambda: seen(self.env))

    def _move(self, *command: str) -> None:
        """Run the command until it completes: it is killed at one step after another.

        Where a server was broken it may have failed, and then have less to do than it had.
        """
        after, may_fail = "", False
        for point in [*self._points(), None]:
            while True:
                may_fail = may_fail or self._may_be_broken
                code, text = self._command(command, point)
                if point and code == -signal.SIGKILL:
                    self.report.begin(f"{command[0]} killed", point)
                    break
                if code == 0 or any(done in text for done in _DONE):
                    assert point is None or may_fail, f"{command[0]}, {after}, {point}: {text}"
                    return
                assert may_fail, f"{command[0]}, {after}, {point}: {code}, {text}"
                self.report.note(f"{command[0]} failed with {code}: {text[-_TOLD:]}")
                time.sleep(_PAUSE_S)
            after = f"after {point}"

    @property
    def _may_be_broken(self) -> bool:
        return self.calm is not None and not self.calm.is_there.is_set()

    def _points(self) -> list[str]:
        """Draw of the points hit least often, in the order in which a move comes to them.

        Before the switch it may be killed at a point again and again, and after it at one once.
        """
        names, drawn = failpoints.names("deploy"), list[str]()
        while len(drawn) < self.kills:
            past = {name for once in (_SWITCHED, _LAST) if once & {*drawn} for name in once}
            rest = [name for name in names if name not in past]
            drawn.append(self.rng.choice(self.report.least_hit(rest, drawn, spread=0)))
        return sorted(drawn, key=names.index)

    def _command(self, command: tuple[str, ...], point: str | None) -> tuple[int, str]:
        """Run it, to be killed at this point; its exit code, and what it has written."""
        environ = {**self.env.environ, failpoints.FOLDER: str(self.crew.folder)}
        armed = failpoints.armed_file(self.crew.folder, point) if point else None
        if armed:
            armed.write_text(str(int(signal.SIGKILL)))
        done = ended(environ, *command, "--yes")
        if armed:
            for file in armed.parent.glob(f"{armed.name}*"):
                file.unlink()
        return done.returncode, done.stdout

    def _seen(self) -> list[list[dict[str, Any]]]:
        """What readers see, with ids."""
        queries = ("SELECT * FROM users ORDER BY key", JOBS, _LINES)
        return self._answered(lambda: [select(self.env, query) for query in queries])

    def _answered(self, ask: Callable[[], list[list[dict[str, Any]]]]) -> Any:
        """What Postgres answers; where it may be broken, it is asked until it does."""
        while self._may_be_broken:
            with contextlib.suppress(psycopg.OperationalError):
                return ask()
            time.sleep(_PAUSE_S)
        return ask()


@dataclass(frozen=True, slots=True)
class MovedLog:
    """A small log that is moved all the time beside a history, with processes of its own.

    There a command takes seconds, so that it can be killed hundreds of times.
    """

    env: Ground
    folder: Path

    def run_beside(self, report: Report, calm: Calm) -> None:
        """Import something, then move it until the other history is judged."""
        rng = random.Random(f"moves {report.seed}")
        crew = Crew(self.env.environ, self.folder, _COUNTS)
        try:
            scene = Scene(self.env, crew.urls, report, Observations(), most_rows=_MOST_ROWS)
            doors = Doors(scene, rng)
            for _ in range(_JOBS):
                upload(doors)
            for job_id in scene.answered:
                wait_ended(doors, job_id)
            Moves(self.env, crew, report, rng, _KILLS, calm).run()
        finally:
            crew.close()
            report.write(self.folder)
