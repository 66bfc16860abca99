"""Runs half of some work in another process, which never outlives this one.

It is spawned, not forked: threads of Kafka's client and of Arrow would not be there in a fork.
What it has begun may be cut off anywhere, as by kill -9.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from processor.errors import OtherProcessDiedError
from processor.runtime.garbage_collection import rare_collections
from schemas.runtime.essential import EssentialThread, end_process_on_failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnContext
    from multiprocessing.sharedctypes import Synchronized

_T = TypeVar("_T")
_WATCH_S: Final = 0.5
_STOP_S: Final = 10.0
_context: Final[SpawnContext] = multiprocessing.get_context("spawn")


def shared_number() -> Synchronized[int]:
    """Make a number that both processes see; begins with 0."""
    number: Any = _context.Value("q", 0)
    return number


class OtherProcess(Generic[_T]):
    """A call of ``work`` in another process; on leaving the context it is gone.

    ``work`` and its arguments must be such that they can be pickled; numbers of
    :func:`shared_number` may be among them.
    """

    def __init__(self, work: Callable[..., _T], *arguments: object) -> None:
        self._receiver, sender = _context.Pipe(duplex=False)
        self._process = _context.Process(
            target=_work, args=(os.getpid(), sender, work, arguments), daemon=True
        )
        self._process.start()
        sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.join(_STOP_S)
        self._process.kill()
        self._process.join()

    @property
    def has_failed(self) -> bool:
        """True where it has ended otherwise than well."""
        return not self._process.is_alive() and self._process.exitcode != 0

    def is_done_within(self, seconds: float) -> bool:
        """Wait so long; return whether :meth:`result` is there, or never will be."""
        return self._receiver.poll(seconds)

    def result(self) -> _T:
        """Wait for what the call returned; to be asked for once.

        Raises:
            OtherProcessDiedError: it was killed.
            BaseException: what the call raised.
        """
        try:
            found = self._receiver.recv()
        except EOFError:
            self._process.join()
            message = f"the other process has ended with {self._process.exitcode}"
            raise OtherProcessDiedError(message) from None
        if isinstance(found, BaseException):
            raise found
        return found


def _work(parent: int, sender: Connection, work: Callable[..., Any], arguments: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # whoever started it says when it ends
    end_process_on_failure()
    EssentialThread("parent", partial(_end_with, parent)).start()
    try:
        with rare_collections():
            sender.send(work(*arguments))
    except Exception as error:  # noqa: BLE001 - raised where the result is asked for
        sender.send(error)
        sys.exit(1)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)
