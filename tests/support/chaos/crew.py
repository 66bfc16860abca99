"""The processes of a whole installation, several of each kind, each started again wherever it ends.

No process is waited for: that the others go on meanwhile is what is tested.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.chaos import failpoints
from tests.support.servers.services import STOP_TIMEOUT_S, Services, free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.servers.services import Service

API, PUBLISHER, PROCESSOR, BUILDER = KINDS = (
    "ingest_api",
    "ingest_api.publisher",
    "processor",
    "processor.builder",
)
NAMES: Final[Mapping[str, str]] = dict(
    zip(KINDS, ("API", "publisher", "processor", "builder"), strict=True)
)
COUNTS: Final[Mapping[str, int]] = {API: 2, PUBLISHER: 2, PROCESSOR: 3, BUILDER: 2}
"""How many of each."""


@dataclass(slots=True)
class Post:
    """One process's place; whoever breaks what is there holds the lock meanwhile."""

    start: Callable[[], Service]
    service: Service
    lock: threading.Lock = field(default_factory=threading.Lock)

    def kill(self) -> None:
        """Kill -9, and a new start."""
        self.service.kill()
        self.service = self.start()

    def stop(self) -> None:
        """SIGTERM, on which it must end well, and a new start."""
        wait_until(self._has_handler, STOP_TIMEOUT_S, saying=f"{self.service.name} may be stopped")
        self.service.process.terminate()
        wait_until(self._has_ended_awake, STOP_TIMEOUT_S, saying=f"{self.service.name} has ended")
        code = self.service.process.returncode
        assert code in {0, -9}, f"{self.service.name} ended with {code} on SIGTERM"
        self.service = self.start()

    def _has_handler(self) -> bool:
        """Whether SIGTERM is handled, as it is not while the interpreter still imports."""
        if not self.service.is_running:
            return True
        status = Path(f"/proc/{self.service.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> signal.SIGTERM - 1 & 1)

    def _has_ended_awake(self) -> bool:
        """Whether it has ended; where it came to a failpoint that stops it, it goes on."""
        self.service.thaw()
        return not self.service.is_running

    def freeze(self, seconds: float) -> None:
        """SIGSTOP for so long."""
        self.service.freeze()
        time.sleep(seconds)
        self.service.thaw()

    def replace_ended(self) -> None:
        """Start it again once it has ended, as it must."""
        self.service.process.wait(STOP_TIMEOUT_S)
        self.service = self.start()


class Crew:
    """All processes, with ``urls`` of the API's; ``folder`` arms their failpoints."""

    def __init__(
        self, environ: Mapping[str, str], folder: Path, counts: Mapping[str, int] = COUNTS
    ) -> None:
        self.folder = folder / "failpoints"
        self.folder.mkdir()
        logs = folder / "logs"
        logs.mkdir()
        self.services = Services({**environ, failpoints.FOLDER: str(self.folder)}, logs)
        self._starting = threading.Lock()
        ports = [free_port() for _ in range(counts[API])]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.posts = {
            kind: [self._post(kind, port) for port in (ports if kind == API else [0] * count)]
            for kind, count in counts.items()
        }

    def _post(self, kind: str, port: int) -> Post:
        def start() -> Service:
            with self._starting:  # logs are numbered
                return self.services.start(kind, **({"port": str(port)} if port else {}))

        return Post(start, start())

    def post_of(self, kind: str, pid: int) -> Post | None:
        """Whose process this is; None where it is nobody's any more."""
        return next((post for post in self.posts[kind] if post.service.pid == pid), None)

    def assert_running(self) -> None:
        """Fail where one has ended that nobody has ended."""
        self.services.assert_running()

    def close(self) -> None:
        """Kill all; none is left on return."""
        try:
            for posts in self.posts.values():
                for post in posts:
                    if post.service.is_frozen:
                        post.service.thaw()
        except subprocess.SubprocessError:
            pass
        self.services.kill_all()
