"""Slots for work that takes much of Postgres: a few at once, and others wait for some time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ingest_api.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ingest_api.errors import LimitReachedError

    Refusal = type[LimitReachedError | UnavailableError]


class Slots:
    """So many at once; whoever has waited for ``timeout_s`` is refused with an ``error``."""

    def __init__(
        self, at_once: int, *, timeout_s: float, refusal: str, error: Refusal = UnavailableError
    ) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._timeout_s = timeout_s
        self._refusal = refusal
        self._error = error

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None]:
        """Hold a slot.

        Raises:
            LimitReachedError, UnavailableError: none became free in time; as was said.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._free.acquire()
        except TimeoutError:
            raise self._error(self._refusal) from None
        try:
            yield
        finally:
            self._free.release()
