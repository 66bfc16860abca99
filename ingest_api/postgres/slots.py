"""Slots for work that takes much of Postgres: a few at once, and others wait for some time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ingest_api.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Slots:
    """So many at once; whoever has waited for ``timeout_s`` is refused."""

    def __init__(self, at_once: int, *, timeout_s: float, refusal: str) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._timeout_s = timeout_s
        self._refusal = refusal

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None]:
        """Hold a slot.

        Raises:
            UnavailableError: none became free in time.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._free.acquire()
        except TimeoutError:
            raise UnavailableError(self._refusal) from None
        try:
            yield
        finally:
            self._free.release()
