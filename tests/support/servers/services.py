"""The services as processes: started, killed, frozen, stopped as an operator or a fault would."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import psutil

from tests.support.checkout import CHECKOUT
from tests.support.clients.client import Client
from tests.support.servers.forked import can_fork, fork
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.servers.forked import ForkedProcess

_ANSWERED_WELL = re.compile(r'("status": 200|health).*"message": "request"|"batch projected"')
STOP_TIMEOUT_S = 60
"""From SIGTERM to a service's exit, on a busy machine."""


@dataclass(slots=True)
class Service:
    """One process; the leader of a process group of its own."""

    name: str
    module: str
    environ: Mapping[str, str]
    process: subprocess.Popen[bytes] | ForkedProcess
    log: Path
    is_frozen: bool = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def kill(self) -> None:
        """Kill -9; it is gone on return."""
        self.process.kill()
        self.process.wait()
        self.is_frozen = False

    def freeze(self) -> None:
        """SIGSTOP; it holds its connections and does nothing, until :meth:`thaw`."""
        self.process.send_signal(signal.SIGSTOP)
        self.is_frozen = True

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)
        self.is_frozen = False

    def terminate(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM; the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs after ``timeout_s``.
        """
        if self.is_frozen:
            self.thaw()
        self.process.terminate()
        return self.process.wait(timeout_s)

    def log_text(self) -> str:
        """All that it has written to stdout and stderr."""
        return self.log.read_text(errors="replace")

    def log_end(self, characters: int = 4000) -> str:
        """The end of it, without the lines of requests that were answered well."""
        lines = self.log_text().splitlines()
        shown = [line for line in lines if not _ANSWERED_WELL.search(line)]
        return "\n".join(shown)[-characters:]

    def group(self) -> list[int]:
        """Ids of the processes that it or its children have left running."""
        # The number of a group is not given away while one of the group is there. So where its
        # leader has ended and the number means a process again, that is somebody else's: each
        # of Postgres' is the leader of a group.
        if not self.is_running and psutil.pid_exists(self.pid):
            return []
        return running_in(self.pid)


def running_in(group: int) -> list[int]:
    """Ids of the processes of this group that have not ended."""
    return [
        each.pid
        for each in psutil.process_iter()
        if _group_of(each.pid) == group and each.status() != psutil.STATUS_ZOMBIE
    ]


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


@dataclass(slots=True)
class Services:
    """The processes of one test; leaving the context kills whatever still runs.

    ``checkout`` is the folder whose code they run.
    """

    environ: Mapping[str, str]
    logs: Path
    checkout: Path = CHECKOUT
    started: list[Service] = field(default_factory=list[Service])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_all()

    def start(self, module: str, **settings: str) -> Service:
        """``python -m module`` with further settings, named without ``ROLLCALL_``."""
        number = sum(service.module == module for service in self.started) + 1
        name = f"{module}-{number}"
        log = self.logs / f"{name}.log"
        further = {f"ROLLCALL_{key.upper()}": value for key, value in settings.items()}
        environ = {**self.environ, "PYTHONPATH": str(self.checkout), **further}
        process = self._start(module, environ, log)
        service = Service(name, module, environ, process, log)
        self.started.append(service)
        return service

    def _start(
        self, module: str, environ: Mapping[str, str], log: Path
    ) -> subprocess.Popen[bytes] | ForkedProcess:
        if self.checkout == CHECKOUT and can_fork(environ):
            return fork(module, environ, log)
        with log.open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", module],
                cwd=self.checkout,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def publisher(self, **environ: str) -> Service:
        """A publisher; it takes over when no other works."""
        return self.start("ingest_api.publisher", **environ)

    def processor(self, **environ: str) -> Service:
        """A processor; it gets its share of the partitions."""
        return self.start("processor", **environ)

    def builder(self, **environ: str) -> Service:
        """A builder; it takes over when no other works."""
        return self.start("processor.builder", **environ)

    def api(self, port: int | None = None, **environ: str) -> tuple[Service, Client]:
        """An API process that answers, and a client of it."""
        port = port or free_port()
        service = self.start("ingest_api", port=str(port), **environ)
        client = Client(f"http://127.0.0.1:{port}", self.environ["ROLLCALL_ADMIN_PASSWORD"])
        try:
            wait_until(
                lambda: client.is_live() or not service.is_running, 30, saying="the API is live"
            )
        except BaseException:
            client.close()
            raise
        assert service.is_running, f"the API ended:\n{service.log_end()}"
        return service, client

    def assert_running(self) -> None:
        """Fail with the log's end where a service has ended that nobody stopped."""
        for service in self.started:
            code = service.process.poll()
            assert code is None or code in {0, -signal.SIGKILL}, (
                f"{service.name} ended with {code}:\n{service.log_end()}"
            )

    def kill_all(self) -> None:
        """Kill -9 of every process of every group; none is left on return."""
        for service in self.started:
            for pid in service.group():
                _kill(pid)
            if service.is_running:
                service.kill()
        wait_until(lambda: not self.leftovers(), 10, saying="no process is left")

    def leftovers(self) -> list[int]:
        """Ids of all processes that still run."""
        return [pid for service in self.started for pid in service.group()]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
