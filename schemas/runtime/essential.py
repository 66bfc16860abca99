"""Essential threads and tasks: an unexpected end of one ends the process.

A process that goes on without one of its threads looks healthy and does half of its work, which
is worse than one that ends: every process may be killed at any moment, and resumes where it was.
So a thread waits out the errors that are known to pass; any other leaves it, and ends the
process.  Work that somebody waits for (a request, a pool's task) is not essential: its error
goes to whoever waits.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

EXIT_FAILED: Final = 1
TASK_FAILED: Final = "an essential task has failed"
"""The message that a loop's exception handler gets."""
_FRAMES: Final = 12
_ending: Final = threading.Lock()
_log = structlog.stdlib.get_logger("rollcall.process")


class UnexpectedEndError(Exception):
    """A thread has returned without being told to stop."""


class EssentialThread(threading.Thread):
    """A daemon thread that works until it is told to stop; any other end of it is a failure.

    ``work`` returns soon after ``stopping`` is set, waits out the errors that it knows, and
    catches no other.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self._work = work

    def stop(self, timeout_s: float | None = None) -> None:
        """Stop the thread and wait for its end; idempotent, also where it was never started."""
        self.stopping.set()
        if self.is_alive():
            self.join(timeout_s)

    def run(self) -> None:
        """Work; an error goes to :func:`threading.excepthook`."""
        work = self._work
        # As Thread does: else what the work is bound to, a client perhaps, lives until the
        # collector finds that it holds this thread.
        del self._work
        work()
        if not self.stopping.is_set():
            raise UnexpectedEndError("it has returned without having been told to stop")


def essential_task(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Start a task whose failure reaches the loop's exception handler at once.

    The message there is :data:`TASK_FAILED`; being cancelled, or done, is no failure.
    """
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell_loop)
    return task


def _tell_loop(task: asyncio.Task[None]) -> None:
    if task.cancelled() or (error := task.exception()) is None:
        return
    error.add_note(task.get_name())
    context = {"message": TASK_FAILED, "exception": error, "task": task}
    task.get_loop().call_exception_handler(context)


def end_process_on_failure() -> None:
    """Make an error that leaves any thread, also the main one, end this process with code 1.

    It ends at once, without any clean-up but the thread's own, because a clean-up might wait
    for the very thread that has failed.
    """
    threading.excepthook = _on_thread_failure
    sys.excepthook = _on_main_failure


def _on_thread_failure(failure: threading.ExceptHookArgs) -> None:
    name = failure.thread.name if failure.thread else "unknown"
    _end(name, failure.exc_value or failure.exc_type())


def _on_main_failure(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    _end("main", error)


def summary_of(error: BaseException) -> str:
    """Return the first line of the error alone, because the rest may quote a user's row."""
    first, *_ = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {first}"


def _end(thread: str, error: BaseException) -> None:
    """Log why, then exit."""
    _ending.acquire()  # never released: of threads that fail together only one logs why
    try:
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        _log.critical(
            "process ends: a thread has failed",
            thread=next(iter(getattr(error, "__notes__", ())), thread),
            error=summary_of(error),
            trace=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        )
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(EXIT_FAILED)
