"""Ends the API process where what is under way hangs, and says what hung."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Final

import structlog

from ingest_api.errors import LogMovedError
from ingest_api.kafka.log_moved import start_again
from schemas.runtime.essential import EXIT_FAILED, summary_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

_FRAMES: Final = 4
_TELL_S: Final = 2.0
_log = structlog.stdlib.get_logger("rollcall.api")


def end_late(after_s: float, failure: Callable[[], BaseException | None]) -> None:
    """Have the process end after so long, as a crash would end it: safely; return at once.

    Where it was told to stop there is no failure, and it ends with 0; where the log has moved it
    starts again, and else it ends with 1.
    """
    timer = threading.Timer(after_s, _end, (after_s, failure))
    timer.daemon = True
    timer.start()


def _end(after_s: float, failure_of: Callable[[], BaseException | None]) -> NoReturn:
    failure = failure_of()
    # In a thread of its own: whoever reads the log may hang, too.
    telling = threading.Thread(target=_tell, args=(after_s, failure), daemon=True)
    telling.start()
    telling.join(_TELL_S)
    if isinstance(failure, LogMovedError):
        start_again(failure)
    os._exit(os.EX_OK if failure is None else EXIT_FAILED)


def _tell(after_s: float, failure: BaseException | None) -> None:
    _log.critical(
        "process ends: what was under way has not ended in time",
        after_s=after_s,
        error=None if failure is None else summary_of(failure),
        threads=_where_threads_are(),
    )
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _where_threads_are() -> dict[str, list[str]]:
    """Return the innermost frames of each thread that waits for something, by its name."""
    # Documented, for such reports.
    frames = sys._current_frames()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return {
        thread.name: _places(frames[thread.ident])
        for thread in threading.enumerate()
        if thread.ident in frames and thread is not threading.current_thread()
    }


def _places(frame: FrameType) -> list[str]:
    stack = traceback.extract_stack(frame)[-_FRAMES:]
    return [f"{place.filename}:{place.lineno} {place.name}" for place in stack]
