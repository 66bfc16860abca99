"""The table of retries: which dead letters were retried, by whom, and where their records are.

Kept in a table of the API's own: a claim on a dead letter must be made by one
operator only, before anything is appended, and a page of dead letters is looked up
by key.  The log itself proves each attempt too, by the header `retried-from`,
but only to who reads all of it.
Neither a restart nor a rebuild of the read model touches the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest_api.postgres.pool import Database
    from ingest_api.producers.dead_letter_topic import DeadLetter, Place

Row = dict[str, Any]


class DeadLetterRetries:
    """Reads and writes the attempts, for one API process.

    Each raises :class:`ingest_api.postgres.pool.StoreUnavailableError` where Postgres doesn't
    answer.
    """

    def __init__(self, database: Database, topic: str) -> None:
        self._database = database
        self._topic = topic

    _SELECT: Final = """
    SELECT partition, "offset", buried_ms, attempt, retried_by, retried_at, to_partition, to_offset
    FROM rollcall_api.dead_letter_retry
    WHERE topic = %s AND (partition, "offset", buried_ms)
          IN (SELECT * FROM unnest(%s::integer[], %s::bigint[], %s::bigint[]))
    ORDER BY attempt
    """

    async def select(self, dead_letters: Sequence[DeadLetter]) -> Mapping[Place, list[Row]]:
        """Return the attempts at these dead letters, the first one first."""
        attempts: dict[Place, list[Row]] = {}
        if dead_letters:
            places = (each.place for each in dead_letters)
            columns = [list(column) for column in zip(*places, strict=True)]
            for row in await self._database.select(self._SELECT, (self._topic, *columns)):
                place = (row["partition"], row["offset"], row["buried_ms"])
                attempts.setdefault(place, []).append(row)
        return attempts

    # An attempt counts from its claim on; of two that are made at once, one finds the other's row.
    _CLAIM: Final = """
    INSERT INTO rollcall_api.dead_letter_retry
        (topic, partition, "offset", buried_ms, attempt, retried_by, to_partition)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING
    RETURNING attempt
    """

    async def claim(
        self, dead_letter: DeadLetter, attempt: int, by: str, to_partition: int
    ) -> bool:
        """Claim an attempt; return whether it is the caller's."""
        parameters = (self._topic, *dead_letter.place, attempt, by, to_partition)
        return bool(await self._database.select(self._CLAIM, parameters))

    _ARRIVED: Final = """
    UPDATE rollcall_api.dead_letter_retry SET to_offset = %s
    WHERE topic = %s AND partition = %s AND "offset" = %s AND buried_ms = %s AND attempt = %s
    RETURNING attempt
    """

    async def note_arrival(self, dead_letter: DeadLetter, attempt: int, to_offset: int) -> None:
        """Store the offset of an attempt's record."""
        await self._database.select(
            self._ARRIVED, (to_offset, self._topic, *dead_letter.place, attempt)
        )

    _RELEASE: Final = """
    DELETE FROM rollcall_api.dead_letter_retry
    WHERE topic = %s AND partition = %s AND "offset" = %s AND buried_ms = %s AND attempt = %s
    RETURNING attempt
    """

    async def release(self, dead_letter: DeadLetter, attempt: int) -> None:
        """Delete an attempt whose record is not in the log."""
        await self._database.select(self._RELEASE, (self._topic, *dead_letter.place, attempt))
