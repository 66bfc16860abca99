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
from tests.support.servers.moving import JOBS

if TYPE_CHECKING:
    import random

    from tests.support.chaos.crew import Crew
    from tests.support.chaos.report import Report
    from tests.support.servers.surroundings import Ground

_TIMEOUT_S: Final = 300
_LINES: Final = "SELECT job_id, record_number, line FROM rejections ORDER BY job_id, record_number"
_FAULT: Final = "erase killed"


class Moves:
    """Erases users; of everybody else nothing changes."""

    def __init__(self, env: Ground, crew: Crew, report: Report) -> None:
        self._env = env
        self._crew = crew
        self._report = report
        self._erased: list[str] = []

    def run(self, rng: random.Random, count: int) -> None:
        """Erase so many users, and kill the command each time, at another of its steps."""
        before = self._seen()
        for name in rng.sample(failpoints.names("deploy"), count):
            users = select(self._env, "SELECT key FROM users WHERE state <> 'Guarded' ORDER BY key")
            if users:
                self._erase(rng.choice(users)["key"], name)
        assert self._without_erased(before) == self._without_erased(self._seen())
        if self._erased:
            assert verify_active(self._env.settings).is_proven
        self._crew.assert_running()

    def _erase(self, key: str, name: str) -> None:
        self._erased.append(key)
        armed = failpoints.armed_file(self._crew.folder, name)
        armed.write_text(str(int(signal.SIGKILL)))
        code, text = self._command(key)
        assert code == -signal.SIGKILL, f"{name}: {code}, {text}"
        self._report.begin(_FAULT, name)
        code, text = self._command(key)
        # One that was broken off at its end may have nothing left to do.
        assert code == 0 or "nothing of a user" in text, f"after {name}: {text}"

    def _command(self, key: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-P", "-m", failpoints.THIS, "deploy", "erase", key, "--yes"],
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
        """What readers see."""
        queries = ("SELECT * FROM users ORDER BY key", JOBS, _LINES)
        return [select(self._env, query) for query in queries]

    def _without_erased(self, seen: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
        users, *others = seen
        return [[user for user in users if user["key"] not in self._erased], *others]
