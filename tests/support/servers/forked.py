"""Services and commands as processes, forked from one which has imported their code already.

Hundreds are started by the suite; without this, importing is a quarter of its time.
A process is real all the same: it runs ``python -m module`` with an environment, a log and a
process group of its own, and can be killed and frozen; it ends with the tests, also where they
are killed.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.chaos import clocks, failpoints
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.context import ForkServerProcess

_SERVICES: Final = (
    "ingest_api.app.server",
    "ingest_api.publisher.main",
    "processor.worker.main",
    "processor.builder.main",
)
_PRELOADED: Final = "tests.support.servers.preloaded"
_LOOK_S: Final = 0.01
_READ_AT_IMPORT: Final = "ROLLCALL_AVRO"
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*_SERVICES, _PRELOADED])


@dataclass(slots=True)
class ForkedProcess:
    """Has of :class:`subprocess.Popen` what tests use, from any thread."""

    of: ForkServerProcess
    pid: int = field(init=False)
    _code: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Keep its id, which is forgotten with its pipes."""
        assert self.of.pid is not None
        self.pid = self.of.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code; that of a signal is negative."""
        return self.poll()

    def poll(self) -> int | None:
        """Return its exit code where it has ended."""
        # It is read once from a pipe: of two threads that read, one would find 255.
        with self._lock:
            if self._code is None and (code := self.of.exitcode) is not None:
                self._code = code
                self.of.close()  # its pipes: hundreds end while a test keeps them all
            return self._code

    def wait(self, timeout_s: float | None = None) -> int:
        """Return its exit code once it has ended.

        Raises:
            subprocess.TimeoutExpired: it still runs after ``timeout_s``.
        """
        deadline_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while (code := self.poll()) is None:
            if time.monotonic() > deadline_s:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout_s or 0)
            time.sleep(_LOOK_S)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            # It may end in between: it is no child of this process, which would keep its id.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill -9."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)


def can_fork(environ: Mapping[str, str]) -> bool:
    """Return whether what is read at import is as it was for the process that has imported."""
    return environ.get(_READ_AT_IMPORT) == os.environ.get(_READ_AT_IMPORT)


def fork(
    module: str,
    environ: Mapping[str, str],
    out: Path,
    *,
    told: Path | None = None,
    arguments: Sequence[str] = (),
) -> ForkedProcess:
    """Start ``python -m module`` in the checkout, leader of a group.

    It writes to ``out``, and where ``told`` is given, what it writes to stderr to that.
    """
    _start_server()
    out.touch()
    command = [module, *arguments]
    process = _context.Process(
        target=_run, args=(command, dict(environ), str(out), str(told or out))
    )
    process.start()
    return ForkedProcess(process)


def _start_server() -> None:
    """Start the process that imports, unless it runs: it looks for modules in ``PYTHONPATH``."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(CHECKOUT)
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _run(command: list[str], environ: dict[str, str], out: str, told: str) -> None:
    assert sys.modules.keys() >= {*_SERVICES, _PRELOADED}, "nothing was imported beforehand"
    os.setsid()
    os.chdir(CHECKOUT)
    os.environ.clear()
    os.environ.update(environ)
    with (
        Path(os.devnull).open("rb") as nothing,
        Path(out).open("ab") as stdout,
        Path(told).open("ab") as stderr,
    ):
        for target, source in enumerate((nothing, stdout, stderr)):
            os.dup2(source.fileno(), target)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    module, sys.argv = command[0], command
    sys.orig_argv = [sys.executable, "-P", "-m", *command]
    if failpoints.FOLDER in environ:
        failpoints.plant(module)
        clocks.plant()
        sys.orig_argv.insert(3, failpoints.THIS)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(os.EX_UNAVAILABLE)
