"""Restarts processes that die, and ends them in order.

A process that dies is started again after a delay that doubles with each death in a row, so that
one that cannot work (a wrong setting, a port in use) does not take the machine's time; one that
ran for a while before it died is taken to be healthy and starts again soon.
A service that ends because only a person can mend what it found is not started again:
:meth:`Supervisor.check` says so.
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

import structlog

from deploy.processes.child import Child
from schemas.runtime.essential import EssentialThread
from schemas.runtime.process import EXIT_REFUSED, EXIT_SETTINGS

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
HEALTHY_AFTER_S = 60.0
"""A process that ran so long is restarted as if it had never died before."""
STOP_TIMEOUT_S = 15.0

_TICK_S = 0.1
_LAST_BYTES = 16_384

_log = structlog.stdlib.get_logger("rollcall.supervisor")


def restart_delay_s(failures: int, *, jitter: float) -> float:
    """Seconds to wait after the so-many-th death in a row, counted from 1.

    `jitter` from 0 to 1 moves it between half and the whole of its value, so that processes that
    died together do not start together.
    """
    doubled = FIRST_DELAY_S * 2.0 ** min(failures - 1, 10)
    return min(doubled, LONGEST_DELAY_S) * (0.5 + jitter / 2)


def failures_after_death(failures: int, *, ran_s: float) -> int:
    """Return the number of deaths in a row, this one included, after `failures` before it."""
    return 1 if ran_s >= HEALTHY_AFTER_S else failures + 1


class ServiceRefusedError(Exception):
    """A service has ended because of what starting it again can't mend; the message says what."""


@dataclass(frozen=True, slots=True)
class Supervised:
    """A process to keep running."""

    name: str
    start: Callable[[], Child]
    """Starts it and returns at once; called in the supervisor's thread."""
    running: Child | None = None
    """The process, where it runs already."""
    is_ours: bool = False
    """Whether its exit codes are those of :mod:`schemas.runtime.process`."""


@dataclass(slots=True)
class _Life:
    supervised: Supervised
    child: Child | None = None
    started_at_s: float = 0.0
    failures: int = 0
    start_at_s: float = 0.0
    refusal: str | None = None


@dataclass(slots=True)
class Supervisor:
    """Keeps processes running while it is entered, in a thread of its own.

    On exit all are asked to stop at once; what still runs after `stop_timeout_s` is killed.
    """

    processes: Sequence[Supervised]
    stop_timeout_s: float = STOP_TIMEOUT_S
    _lives: list[_Life] = field(init=False, default_factory=list["_Life"])
    _thread: EssentialThread | None = field(init=False, default=None)

    def __enter__(self) -> Self:
        """Start the processes that do not run yet."""
        now_s = time.monotonic()
        self._lives = [_Life(each, each.running, now_s) for each in self.processes]
        # Not a daemon: the kernel ends our children with the thread that started them.
        self._thread = EssentialThread("supervisor", self._run)
        self._thread.daemon = False
        self._thread.start()
        return self

    def check(self) -> None:
        """Return where all processes run, or will be started again.

        Raises:
            ServiceRefusedError: one is not started again, because it would end the same way.
        """
        for life in self._lives:
            if life.refusal is not None:
                raise ServiceRefusedError(life.refusal)

    def __exit__(self, *_: object) -> None:
        """End all processes; none is left on return."""
        if self._thread is not None:
            self._thread.stop()

    def _run(self) -> None:
        thread = self._thread
        assert thread is not None, "it runs in that thread"
        try:
            while not thread.stopping.wait(_TICK_S):
                for life in self._lives:
                    _look_after(life, time.monotonic())
        finally:
            self._end_all()

    def _end_all(self) -> None:
        children = [life.child for life in self._lives if life.child is not None]
        for child in children:
            child.ask_to_stop()
        deadline_s = time.monotonic() + self.stop_timeout_s
        for child in children:
            status = child.stop(max(0.0, deadline_s - time.monotonic()))
            _log.info("process stopped", name=child.spec.name, pid=child.pid, status=status)


def _look_after(life: _Life, now_s: float) -> None:
    if life.child is None:
        if now_s >= life.start_at_s and life.refusal is None:
            _start(life, now_s)
        return
    status = life.child.poll()
    if status is not None:
        ran_s = now_s - life.started_at_s
        _log.warning(
            "process ended",
            name=life.supervised.name,
            pid=life.child.pid,
            status=status,
            ran_s=round(ran_s, 1),
            output=str(life.child.spec.log_path or "above"),
        )
        life.child.kill()  # its own children, which may still hold its port
        if life.supervised.is_ours and status in {EXIT_REFUSED, EXIT_SETTINGS}:
            life.refusal = f"{life.supervised.name} can't run: {_last_words(life.child)}"
        _plan_restart(life, now_s, ran_s)


def _last_words(child: Child) -> str:
    """Return the reason that the process gave, the last of what it wrote."""
    path = child.spec.log_path
    if path is None:
        return "it has said why above."
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LAST_BYTES))
        lines = file.read().decode(errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    try:
        return str(json.loads(last)["reason"])
    except (ValueError, KeyError, TypeError):
        return last


def _start(life: _Life, now_s: float) -> None:
    try:
        life.child = life.supervised.start()
    except OSError as error:
        _log.warning("process cannot be started", name=life.supervised.name, error=str(error))
        _plan_restart(life, now_s, 0.0)
        return
    life.started_at_s = now_s
    # One that comes back is what whoever read of its end waits for.
    log = _log.warning if life.failures else _log.info
    log(
        "process started again" if life.failures else "process started",
        name=life.supervised.name,
        pid=life.child.pid,
        failures=life.failures,
    )


def _plan_restart(life: _Life, now_s: float, ran_s: float) -> None:
    life.child = None
    life.failures = failures_after_death(life.failures, ran_s=ran_s)
    jitter = random.random()  # noqa: S311 - spreads restarts, guards nothing
    life.start_at_s = now_s + restart_delay_s(life.failures, jitter=jitter)
