"""Limit the uploads under way, for all accounts and for each, and the time of each."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Final

from ingest_api.errors import LimitReachedError, TooSlowError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from ingest_api.errors import IngestError

_CLOSING_S: Final = 4.0
"""What uploads under way may still take after the process was asked to stop."""


class ConcurrencyLimit:
    """Counts the uploads under way, and ends those over time; used from one event loop."""

    def __init__(self, *, at_once: int, per_account: int, deadline_s: float) -> None:
        self._at_once = at_once
        self._per_account = per_account
        self._deadline_s = deadline_s
        self._by_account: Counter[str] = Counter()
        self._receiving: set[asyncio.Timeout] = set()
        self._is_closing = False

    @contextlib.contextmanager
    def slot(self, account: str) -> Generator[None]:
        """Count one upload of this account while the context is open.

        Raises:
            LimitReachedError: the account has too many under way.
            UnavailableError: all together have.
        """
        if self._is_closing or self._by_account.total() >= self._at_once:
            raise UnavailableError("Too many uploads are under way, try again later")
        if self._by_account[account] >= self._per_account:
            raise LimitReachedError(
                "Too many uploads of this account are under way, try again later",
            )
        self._by_account[account] += 1
        try:
            yield
        finally:
            self._by_account[account] -= 1
            self._by_account += Counter()  # drops accounts that have none left

    @contextlib.asynccontextmanager
    async def receiving(self) -> AsyncGenerator[None]:
        """Bound the time in which a body must be received whole.

        Raises:
            TooSlowError: the time is over.
            UnavailableError: the process stops before.
        """
        error = TooSlowError(f"The upload took longer than {self._deadline_s} s")
        async with self._within(self._deadline_s, error):
            yield

    @contextlib.asynccontextmanager
    async def comparing(self, deadline_s: float) -> AsyncGenerator[None]:
        """Bound the time in which a file must be compared with the audience.

        Raises:
            UnavailableError: the time is over, or where the process stops before.
        """
        error = UnavailableError(
            f"The comparison with the audience took longer than {deadline_s} s and was given up:"
            " nothing was changed, try again when the service has less to do"
        )
        async with self._within(deadline_s, error):
            yield

    @contextlib.asynccontextmanager
    async def _within(self, deadline_s: float, error: IngestError) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(deadline_s) as timeout:
                self._receiving.add(timeout)
                try:
                    yield
                finally:
                    self._receiving.discard(timeout)
        except TimeoutError:
            if self._is_closing:
                raise UnavailableError(
                    "The service is stopping, nothing was kept, try again"
                ) from None
            raise error from None

    def close(self) -> None:
        """Accept no more uploads, and give those under way a few seconds."""
        self._is_closing = True
        by_s = asyncio.get_running_loop().time() + _CLOSING_S
        for timeout in self._receiving:
            timeout.reschedule(min(by_s, timeout.when() or by_s))
