"""The log is moved, and the command that moves it killed at named steps, while services run."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from processor.verification.verify import verify_active
from tests.support.chaos import failpoints
from tests.support.checkout import CHECKOUT
from tests.support.models.verdict import select
from tests.support.servers.moving import JOBS, seen
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    import random

    from tests.support.chaos.crew import Crew
    from tests.support.chaos.report import Report
    from tests.support.servers.surroundings import Ground

_TIMEOUT_S: Final = 300
_LINES: Final = "SELECT job_id, record_number, line FROM rejections ORDER BY job_id, record_number"
_DONE: Final = ("nothing of a user", "nothing to be done")
"""One that was broken off at its end may have nothing left to do, and says so."""


class Moves:
    """Erases a user, then changes the number of partitions; else nothing changes."""

    def __init__(self, env: Ground, crew: Crew, report: Report) -> None:
        self._env = env
        self._crew = crew
        self._report = report

    def run(self, rng: random.Random) -> None:
        """Run each command twice: it is killed at some step, and then completes."""
        points = rng.sample(failpoints.names("deploy"), 2)
        before = self._seen()
        users = [user["key"] for user in before[0] if user["state"] != "Guarded"]
        if users:
            erased = rng.choice(users)
            self._move(points[0], "erase", erased)
            before[0] = [user for user in before[0] if user["key"] != erased]
        assert before == self._seen()
        said = seen(self._env)
        self._move(points[1], "rekey", "--partitions", str(PARTITIONS + rng.randint(1, 3)))
        assert said == seen(self._env)
        assert verify_active(self._env.settings).is_proven
        self._crew.assert_running()

    def _move(self, point: str, *command: str) -> None:
        armed = failpoints.armed_file(self._crew.folder, point)
        armed.write_text(str(int(signal.SIGKILL)))
        code, text = self._command(*command)
        assert code == -signal.SIGKILL, f"{command[0]}, {point}: {code}, {text}"
        self._report.begin(f"{command[0]} killed", point)
        code, text = self._command(*command)
        assert code == 0 or any(done in text for done in _DONE), f"after {point}: {text}"

    def _command(self, *command: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-P", "-m", failpoints.THIS, "deploy", *command, "--yes"],
            cwd=CHECKOUT,
            env={
                **self._env.environ,
                "PYTHONPATH": str(CHECKOUT),
                failpoints.FOLDER: str(self._crew.folder),
            },
            check=False,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
        return done.returncode, done.stdout + done.stderr

    def _seen(self) -> list[list[dict[str, Any]]]:
        """What readers see, with ids."""
        queries = ("SELECT * FROM users ORDER BY key", JOBS, _LINES)
        return [select(self._env, query) for query in queries]
