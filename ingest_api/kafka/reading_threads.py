"""A few threads for requests that read the log; more than some that wait are refused."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from ingest_api.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class ReadingThreads:
    """Runs ``at_once`` reads at a time; ``most`` at work and waiting, then it refuses."""

    def __init__(self, name: str, *, at_once: int, most: int, refusal: str) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._most = most
        self._refusal = refusal
        self._waiting = 0

    def close(self) -> None:
        """Accept no more requests, and drop those that wait."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, read: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
        """Return what ``read`` returns, or raise what it raises.

        Raises:
            UnavailableError: too many wait.
        """
        if self._waiting >= self._most:
            raise UnavailableError(self._refusal)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, read, *args)
        finally:
            self._waiting -= 1
