"""The log is moved, and the command that moves it killed at named steps, while services run."""

from __future__ import annotations

import itertools
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from processor.verification.verify import verify_active
from tests.support.chaos import failpoints
from tests.support.clients.command import ended
from tests.support.models.verdict import select
from tests.support.servers.moving import JOBS, seen
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.support.chaos.crew import Crew
    from tests.support.chaos.report import Report
    from tests.support.servers.surroundings import Ground

_LINES: Final = "SELECT job_id, record_number, line FROM rejections ORDER BY job_id, record_number"
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
    _partitions: int = PARTITIONS

    def run(self, is_over: Callable[[], bool]) -> None:
        """Erase a user and change the partitions; again until it is over, partitions more often."""
        self._erase()
        self._rekey()
        more = itertools.cycle([self._rekey, self._rekey, self._erase, self._rekey])
        while not is_over():
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
        said = seen(self.env)
        counts = {PARTITIONS + more for more in range(4)} - {self._partitions}
        self._partitions = self.rng.choice(sorted(counts))
        self._move("rekey", "--partitions", str(self._partitions))
        assert said == seen(self.env)

    def _move(self, *command: str) -> None:
        """Run the command until it completes: it is killed at one step after another."""
        after = ""
        for point in self._points():
            armed = failpoints.armed_file(self.crew.folder, point)
            armed.write_text(str(int(signal.SIGKILL)))
            code, text = self._command(*command)
            assert code == -signal.SIGKILL, f"{command[0]}, {after}, {point}: {code}, {text}"
            self.report.begin(f"{command[0]} killed", point)
            after = f"after {point}"
        code, text = self._command(*command)
        assert code == 0 or any(done in text for done in _DONE), f"{after}: {text}"

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

    def _command(self, *command: str) -> tuple[int, str]:
        environ = {**self.env.environ, failpoints.FOLDER: str(self.crew.folder)}
        done = ended(environ, *command, "--yes")
        return done.returncode, done.stdout

    def _seen(self) -> list[list[dict[str, Any]]]:
        """What readers see, with ids."""
        queries = ("SELECT * FROM users ORDER BY key", JOBS, _LINES)
        return [select(self.env, query) for query in queries]
