"""Takes a sample of the log's positions each minute, and reads what they say of a minute."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from ingest_api.errors import LogUnavailableError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest_api.postgres.pool import Database

    Positions = Callable[[], tuple[list[int], list[int]]]
    """Ends of `user-events` by partition, and what was applied of it; blocks."""

KEPT_MINUTES: Final = 24 * 60
_MINUTE_S: Final = 60.0


class ThroughputSamples:
    """The samples of all API processes: the first one in a minute counts."""

    def __init__(self, database: Database, positions: Positions) -> None:
        self._database = database
        self._positions = positions

    async def run(self, prepared: asyncio.Event) -> None:
        """Take samples for ever, once the table is there; a minute without an answer has none."""
        await prepared.wait()
        while True:
            with contextlib.suppress(LogUnavailableError, StoreUnavailableError):
                await self._take()
            await asyncio.sleep(_MINUTE_S - time.time() % _MINUTE_S)

    _INSERT: Final = """
    WITH gone AS (
        DELETE FROM rollcall_api.throughput_sample
        WHERE minute < now() - %(kept_minutes)s * interval '1 minute'
    )
    INSERT INTO rollcall_api.throughput_sample (minute, appended, applied)
    VALUES (date_trunc('minute', now()), %(appended)s, %(applied)s)
    ON CONFLICT (minute) DO NOTHING
    """

    async def _take(self) -> None:
        ends, applied = await asyncio.to_thread(self._positions)
        sample = {"appended": sum(ends), "applied": sum(applied), "kept_minutes": KEPT_MINUTES}
        async with self._database.transaction() as connection:
            await connection.execute(self._INSERT, sample)

    # Where a log was moved, positions begin anew: of that minute nothing is known.
    _SELECT: Final = """
    SELECT minute,
           CASE WHEN appended >= appended_before
               THEN round((appended - appended_before) * 60 / seconds)::bigint END AS appended,
           CASE WHEN applied >= applied_before
               THEN round((applied - applied_before) * 60 / seconds)::bigint END AS applied,
           greatest(appended - applied, 0) AS waiting
    FROM (
        SELECT minute, appended, applied,
               lag(appended) OVER times AS appended_before,
               lag(applied) OVER times AS applied_before,
               greatest(1, extract(epoch FROM taken_at - lag(taken_at) OVER times)) AS seconds
        FROM rollcall_api.throughput_sample
        WINDOW times AS (ORDER BY minute)
    ) AS sample
    WHERE minute > now() - %(minutes)s * interval '1 minute'
    ORDER BY minute
    """

    async def select(self, minutes: int) -> list[dict[str, Any]]:
        """Select the last minutes, the oldest first.

        Raises:
            StoreUnavailableError: Postgres doesn't answer.
        """
        return await self._database.select(self._SELECT, {"minutes": minutes})

    async def waiting(self) -> list[int]:
        """Return how many records of each partition are not applied now; none without Kafka."""
        try:
            ends, applied = await asyncio.to_thread(self._positions)
        except LogUnavailableError:
            return []
        return [max(0, end - done) for end, done in zip(ends, applied, strict=True)]
