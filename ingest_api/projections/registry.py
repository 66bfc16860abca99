"""The API's queries of the registry of projection instances.

A row is also the request for an instance: the API adds it, and the processor's
builder claims it, records its progress, and its result
(``schemas/instances.sql``).

Two kinds are asked for here: those that rebuild or verify the live tables, one at
a time; and past audiences, ``as_of`` a point, of which a few are kept for readers
(:mod:`ingest_api.as_of.past_audiences`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, LiteralString

from ingest_api.projections.point_in_time import Point
from schemas.read_model import tables as read_model

if TYPE_CHECKING:
    from datetime import datetime

    from ingest_api.postgres.pool import Connection, Database
    from ingest_api.web.paging import Page

    Row = dict[str, Any]

Purpose = Literal["live", "rebuild", "verify", "upgrade", "undo", "preview", "as_of"]
State = Literal["requested", "building", "ready", "active", "retired", "failed", "dropped"]
MOST_PAST: Final = 4
"""Past audiences kept at once; each takes the room of the live tables."""
IN_USE_S: Final = 300
"""One that was not read for so long makes room for another; builders drop it later by itself."""
_FAILURE_STANDS_S: Final = 60
_COLUMNS: LiteralString = """
    number, purpose, state, step, mends, as_of_time, as_of_job_id, records_done, records_total,
    requested_by, requested_at, started_at, ready_at, activated_at, retired_at, failure, result,
    clock_timestamp() AS at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A row of the registry: an instance, or the request for one; ``at`` is when it was read."""

    number: int
    purpose: Purpose
    state: State
    step: str | None
    mends: bool
    as_of_time: datetime | None
    as_of_job_id: int | None
    records_done: int
    records_total: int
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    ready_at: datetime | None
    activated_at: datetime | None
    retired_at: datetime | None
    failure: str | None
    result: dict[str, Any] | None
    at: datetime

    @property
    def point(self) -> Point | None:
        """The point that it is as of; None for other kinds of instances."""
        if self.purpose != "as_of":
            return None
        return Point(job_id=self.as_of_job_id, time=self.as_of_time)

    @property
    def progress(self) -> str:
        """How far it is, for sentences."""
        match self.state:
            case "requested":
                return "no builder has taken it yet"
            case "building" if self.records_total:
                percent = min(100, self.records_done * 100 // self.records_total)
                return f"being built: {percent} %"
            case "building":
                return "being built"
            case state:
                return state


class InstanceRegistry:
    """Queries for one API process.

    Each raises :class:`ingest_api.postgres.pool.StoreUnavailableError` where Postgres doesn't
    answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    _REQUEST: LiteralString = """
    INSERT INTO public.projection_instance (purpose, mends, requested_by)
    VALUES (%(purpose)s, %(mends)s, %(by)s)
    ON CONFLICT DO NOTHING
    RETURNING number
    """

    async def request(self, purpose: str, *, mends: bool, by: str) -> int | None:
        """Request an instance and return its number; None where one that may switch is at work.

        None too where no processor has made the registry yet.
        """
        parameters = {"purpose": purpose, "mends": mends, "by": by}
        rows = await self._database.select_projected(self._REQUEST, parameters)
        return rows[0]["number"] if rows else None

    _SELECT: LiteralString = "SELECT" + _COLUMNS + "FROM public.projection_instance"
    _FETCH: LiteralString = _SELECT + " WHERE number = %(number)s"

    async def fetch(self, number: int) -> Instance | None:
        """Return the instance with this number, or None."""
        rows = await self._database.select_projected(self._FETCH, {"number": number})
        return Instance(**rows[0]) if rows else None

    # In the words of the unique index projection_instance_one_at_work.
    _FETCH_AT_WORK: LiteralString = (
        _SELECT
        + """
    WHERE purpose IN ('rebuild', 'verify', 'upgrade', 'undo')
      AND state IN ('requested', 'building')
    """
    )

    async def fetch_at_work(self) -> Instance | None:
        """Return the one instance at work that may end in a switch, or None."""
        rows = await self._database.select_projected(self._FETCH_AT_WORK)
        return Instance(**rows[0]) if rows else None

    async def select_page(self, page: Page) -> tuple[int, list[Instance]]:
        """Return how many instances there have been, and a page of them, the newest first."""
        total, rows = await self._database.select_page(
            _COLUMNS,
            "public.projection_instance",
            order="number DESC",
            size=page.size,
            start=page.start,
        )
        return total, [Instance(**row) for row in rows]

    # Of this code's version alone: the tables of another may have other columns.
    # A failure is told again for a while, so that who asks at once is not a build each time.
    # Released ones, which make room for others, are not found.
    _FIND: LiteralString = """
    WITH found AS (
        SELECT <columns> FROM public.projection_instance
        WHERE purpose = 'as_of'
          AND as_of_time IS NOT DISTINCT FROM %(time)s::timestamptz
          AND as_of_job_id IS NOT DISTINCT FROM %(job_id)s::bigint
          AND (version IS NULL OR version = %(version)s)
          AND (state IN ('requested', 'building', 'ready')
               OR (state = 'failed' AND requested_at > now() - make_interval(secs => %(stands_s)s)))
          AND last_used_at > to_timestamp(0)
        ORDER BY number DESC
        LIMIT 1
    ), used AS (
        UPDATE public.projection_instance AS instance SET last_used_at = now()
        FROM found
        WHERE instance.number = found.number
          AND instance.last_used_at < now() - interval '1 minute'
    )
    SELECT * FROM found
    """.replace("<columns>", _COLUMNS)

    async def use_past(self, point: Point) -> Instance | None:
        """Return the past audience as of the point and mark it as used; None if not requested."""
        rows = await self._database.select_projected(self._FIND, _find_parameters(point))
        return Instance(**rows[0]) if rows else None

    _HAS_REGISTRY: LiteralString = (
        "SELECT to_regclass('public.projection_instance') IS NOT NULL AS is_there"
    )
    _LOCK: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended('rollcall:as-of', 0))"
    _INSERT_PAST: LiteralString = """
    INSERT INTO public.projection_instance (purpose, as_of_time, as_of_job_id, requested_by)
    VALUES ('as_of', %(time)s, %(job_id)s, %(by)s)
    """

    async def request_past(self, point: Point, *, by: str) -> bool:
        """Request the audience as of the point if nobody has; return False if there is no room.

        Two that ask at once ask for one. Where no processor has made the registry yet, nothing
        is asked for.
        """
        async with self._database.transaction() as connection:
            if not (await _one(connection, self._HAS_REGISTRY))["is_there"]:
                return True
            await connection.execute(self._LOCK)
            if await _rows(connection, self._FIND, _find_parameters(point)):
                return True
            if not await self._has_room(connection):
                return False
            parameters = {"time": point.time, "job_id": point.job_id, "by": by}
            await connection.execute(self._INSERT_PAST, parameters)
        return True

    _SELECT_KEPT: LiteralString = (
        _SELECT
        + """
    WHERE purpose = 'as_of' AND state IN ('requested', 'building', 'ready')
      AND last_used_at > to_timestamp(0)
    ORDER BY number
    """
    )
    _RELEASE: LiteralString = """
    UPDATE public.projection_instance SET last_used_at = to_timestamp(0)
    WHERE number = (
        SELECT number FROM public.projection_instance
        WHERE purpose = 'as_of' AND state = 'ready' AND last_used_at > to_timestamp(0)
          AND last_used_at < now() - make_interval(secs => %(in_use_s)s)
        ORDER BY last_used_at
        LIMIT 1
    )
    """

    async def _has_room(self, connection: Connection) -> bool:
        """Return whether one more fits, after releasing the one that is unused for longest."""
        if len(await _rows(connection, self._SELECT_KEPT)) < MOST_PAST:
            return True
        released = await connection.execute(self._RELEASE, {"in_use_s": IN_USE_S})
        return released.rowcount > 0

    async def select_kept_past(self) -> list[Instance]:
        """Return the past audiences that are kept."""
        rows = await self._database.select_projected(self._SELECT_KEPT)
        return [Instance(**row) for row in rows]


def _find_parameters(point: Point) -> dict[str, object]:
    return {
        "time": point.time,
        "job_id": point.job_id,
        "version": read_model.VERSION,
        "stands_s": _FAILURE_STANDS_S,
    }


async def _rows(
    connection: Connection, statement: LiteralString, parameters: dict[str, object] | None = None
) -> list[Row]:
    return await (await connection.execute(statement, parameters)).fetchall()


async def _one(connection: Connection, statement: LiteralString) -> Row:
    return (await _rows(connection, statement))[0]
