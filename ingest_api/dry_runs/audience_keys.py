"""The keys of the audience as hashes, read while a file comes, so that its answer need not wait."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest_api.errors import IngestError
from schemas.runtime.abandoned import mark_retrieved

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from schemas.read_model.column_hashes import Hashes


@dataclass(frozen=True, slots=True)
class AudienceKeys:
    """The hashes of the audience's keys, read once all of ``jobs`` jobs were finished."""

    jobs: int
    hashes: Hashes


class AudienceKeysAhead:
    """Reads them for one upload: :meth:`begin` at most once does so; always :meth:`close`."""

    def __init__(self, read: Callable[[], Coroutine[Any, Any, AudienceKeys | None]]) -> None:
        self._read = read
        self._reading: asyncio.Task[AudienceKeys | None] | None = None

    def begin(self) -> None:
        """Begin to read, unless it has begun."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(mark_retrieved)

    async def hashes_after(self, jobs: int) -> Hashes | None:
        """Return the keys as so many jobs have left them; None where they must be read now."""
        if self._reading is None:
            return None
        try:
            found = await self._reading
        except IngestError:  # whoever reads now meets it again, or finds it mended
            return None
        return found.hashes if found is not None and found.jobs == jobs else None

    def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
