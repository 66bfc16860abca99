"""Ends a long-running command in order, on a signal or where its services can't run."""

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def exit_on_stop_signals() -> None:
    """Make Ctrl-C, SIGTERM and a closed terminal raise SystemExit in the main thread.

    Only the first does: the way out ends child processes in a bounded time, and a second signal
    in the middle of it would leave some behind.
    """
    for number in _STOP_SIGNALS:
        # Under nohup the terminal may close.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _exit)


def wait_for_signal(*checks: Callable[[], None]) -> NoReturn:
    """Block until a signal raises in the main thread, or a check does; each is called all the time.

    Raises:
        Exception: what a check has found.
    """
    while True:
        for check in checks:
            check()
        # A signal that comes just before a wait begins does not end it: so none is without end.
        time.sleep(1)


def _exit(number: int, _frame: FrameType | None) -> None:
    for each in _STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)
