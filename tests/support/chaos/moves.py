"""The log is moved, and the command that moves it killed at named steps, while services run."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Final

from processor.verification.verify import verify_active
from tests.support.chaos import failpoints
from tests.support.clients.command import ended
from tests.support.models.verdict import select
from tests.support.servers.moving import JOBS, seen
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    import random

    from tests.support.chaos.crew import Crew
    from tests.support.chaos.report import Report
    from tests.support.servers.surroundings import Ground

_LINES: Final = "SELECT job_id, record_number, line FROM rejections ORDER BY job_id, record_number"
_KILLS: Final = 2
"""So often each command is killed before it completes."""
_LAST: Final = frozenset({"move: log moved", "move: old tables dropped"})
"""Killed at either, the next run finds a log that is moved."""
_DONE: Final = ("nothing of a user", "nothing to be done")
"""One that was broken off at its end may have nothing left to do, and says so."""


class Moves:
    """Erases a user, then changes the number of partitions; else nothing changes."""

    def __init__(self, env: Ground, crew: Crew, report: Report) -> None:
        self._env = env
        self._crew = crew
        self._report = report

    def run(self, rng: random.Random) -> None:
        """Run each command until it completes: it is killed at one step after another."""
        before = self._seen()
        users = [user["key"] for user in before[0] if user["state"] != "Guarded"]
        if users:
            erased = rng.choice(users)
            self._move(rng, "erase", erased)
            before[0] = [user for user in before[0] if user["key"] != erased]
        assert before == self._seen()
        said = seen(self._env)
        self._move(rng, "rekey", "--partitions", str(PARTITIONS + rng.randint(1, 3)))
        assert said == seen(self._env)
        assert verify_active(self._env.settings).is_proven
        self._crew.assert_running()

    def _move(self, rng: random.Random, *command: str) -> None:
        after = ""
        for point in self._points(rng):
            armed = failpoints.armed_file(self._crew.folder, point)
            armed.write_text(str(int(signal.SIGKILL)))
            code, text = self._command(*command)
            assert code == -signal.SIGKILL, f"{command[0]}, {after}, {point}: {code}, {text}"
            self._report.begin(f"{command[0]} killed", point)
            after = f"after {point}"
        code, text = self._command(*command)
        assert code == 0 or any(done in text for done in _DONE), f"{after}: {text}"

    def _points(self, rng: random.Random) -> list[str]:
        """Draw of the points hit least often, in the order in which a move comes to them."""
        names, drawn = failpoints.names("deploy"), list[str]()
        while len(drawn) < _KILLS:
            ended = _LAST if _LAST & {*drawn} else frozenset[str]()
            rest = [name for name in names if name not in {*drawn, *ended}]
            drawn.append(rng.choice(self._report.least_hit(rest, spread=0)))
        return sorted(drawn, key=names.index)

    def _command(self, *command: str) -> tuple[int, str]:
        environ = {**self._env.environ, failpoints.FOLDER: str(self._crew.folder)}
        done = ended(environ, *command, "--yes")
        return done.returncode, done.stdout

    def _seen(self) -> list[list[dict[str, Any]]]:
        """What readers see, with ids."""
        queries = ("SELECT * FROM users ORDER BY key", JOBS, _LINES)
        return [select(self._env, query) for query in queries]
