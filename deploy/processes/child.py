"""Starts child processes that never outlive their parent.

On Linux the kernel signals a child when the thread that forked it ends (`prctl(2)`,
PR_SET_PDEATHSIG), so children are started by a thread that lives as long as they should.
Elsewhere, and where a child left processes of its own behind, every child carries a token in
its environment by which the next start finds what is left (see `deploy.local_stack.leftovers`).
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TOKEN_VARIABLE = "ROLLCALL_STACK_TOKEN"  # noqa: S105 - the name of a variable, not a password

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """The command of a child, and how to end it."""

    name: str
    """The name in messages and logs."""
    command: Sequence[str]
    environment: Mapping[str, str]
    """The whole environment: nothing is inherited."""
    log_path: Path | None = None
    """The file to which its output is appended; None inherits the parent's."""
    user: str | None = None
    """The system user to run as, with the group of the same name; only root may set it."""
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    """Asks it to end in order; also sent by the kernel when the parent dies."""


class Child:
    """A running child process, in a session of its own.

    In a session of its own a Ctrl-C in the terminal reaches the parent alone, which then ends
    its children in order.
    """

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self._process = _spawn(spec)
        self._is_group_ended = False

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its session and process group."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit status (minus the number of a signal), or None while it runs."""
        status = self._process.poll()
        if status is not None:
            self._end_group()
        return status

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait until it has ended; return the exit status.

        Raises:
            TimeoutError: It still runs after `timeout_s`.
        """
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{self.spec.name} still runs after {timeout_s} s") from error
        self._end_group()
        return status

    def ask_to_stop(self) -> None:
        """Send the stop signal and returns at once; nothing happens where it has ended."""
        self._process.send_signal(self.spec.stop_signal)

    def stop(self, timeout_s: float) -> int:
        """Ask it to stop, kill it after `timeout_s`; return the exit status."""
        self.ask_to_stop()
        with contextlib.suppress(TimeoutError):
            self.wait(timeout_s)
        return self.kill()

    def kill(self) -> int:
        """Send SIGKILL to it and to what is left of its process group; return the exit status."""
        self._end_group()
        return self.wait()

    def _end_group(self) -> None:
        # Once, and as soon as its leader has ended: later its number may mean another.
        if not self._is_group_ended:
            self._is_group_ended = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                # macOS answers EPERM where only zombies are left in the group.
                os.killpg(self.pid, signal.SIGKILL)


def _spawn(spec: ChildSpec) -> subprocess.Popen[bytes]:
    with contextlib.ExitStack() as stack:
        log = None
        if spec.log_path is not None:
            log = stack.enter_context(spec.log_path.open("ab"))
        return subprocess.Popen(
            spec.command,
            env=dict(spec.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT if log else None,
            cwd=spec.cwd,
            user=spec.user,
            group=spec.user,
            extra_groups=[] if spec.user else None,
            start_new_session=True,
            # CPython runs it after the change of user, which would clear the setting.
            preexec_fn=_die_with_parent(os.getpid(), spec.stop_signal),  # noqa: PLW1509 - calls one C function only
        )


def _die_with_parent(parent_pid: int, stop_signal: signal.Signals) -> Callable[[], None] | None:
    if _LIBC is None:
        return None
    prctl = _LIBC.prctl

    def ask_the_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0)
        if os.getppid() != parent_pid:  # the parent died before prctl
            os._exit(1)

    return ask_the_kernel
