"""The API's queries of the registry of projection instances.

A row is also the request for an instance: the API adds it, and the processor's
builder claims it, records its progress, and its result
(``schemas/instances.sql``).

Two kinds are asked for here: those that rebuild or verify the live tables, one at
a time; and past audiences, ``as_of`` a point, of which a few are kept for readers
(:mod:`ingest_api.as_of.past_audiences`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

from ingest_api.projections.point_in_time import Point
from schemas.read_model import tables as read_model

if TYPE_CHECKING:
    from ingest_api.postgres.pool import Connection, Database
    from ingest_api.web.paging import Page

    Row = dict[str, Any]

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

    async def fetch(self, number: int) -> Row | None:
        """Return the instance with this number, or None."""
        rows = await self._database.select_projected(self._FETCH, {"number": number})
        return rows[0] if rows else None

    # In the words of the unique index projection_instance_one_at_work.
    _FETCH_AT_WORK: LiteralString = (
        _SELECT
        + """
    WHERE purpose IN ('rebuild', 'verify', 'upgrade', 'undo')
      AND state IN ('requested', 'building')
    """
    )

    async def fetch_at_work(self) -> Row | None:
        """Return the one instance at work that may end in a switch, or None."""
        rows = await self._database.select_projected(self._FETCH_AT_WORK)
        return rows[0] if rows else None

    _COUNT: LiteralString = "SELECT count(*) AS total FROM public.projection_instance"
    _SELECT_PAGE: LiteralString = (
        _SELECT
        + """
    ORDER BY number DESC
    LIMIT %(size)s OFFSET %(start)s
    """
    )

    async def select_page(self, page: Page) -> tuple[int, list[Row]]:
        """Return how many instances there have been, and a page of them, the newest first."""
        counted = await self._database.select_projected(self._COUNT)
        if not counted:
            return 0, []
        parameters = {"size": page.size, "start": page.start}
        rows = await self._database.select_projected(self._SELECT_PAGE, parameters)
        return counted[0]["total"], rows

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

    async def use_past(self, point: Point) -> Row | None:
        """Return the past audience as of the point and mark it as used; None if not requested."""
        rows = await self._database.select_projected(self._FIND, _find_parameters(point))
        return rows[0] if rows else None

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

    async def select_kept_past(self) -> list[Row]:
        """Return the past audiences that are kept."""
        return await self._database.select_projected(self._SELECT_KEPT)


def point_of(row: Row) -> Point | None:
    """Return the point that an instance is as of; None for other kinds of instances."""
    if row["purpose"] != "as_of":
        return None
    return Point(job_id=row["as_of_job_id"], time=row["as_of_time"])


def progress_text(row: Row) -> str:
    """Return how far an instance is, for sentences."""
    match row["state"]:
        case "requested":
            return "no builder has taken it yet"
        case "building" if row["records_total"]:
            return f"being built: {percent(row)} %"
        case "building":
            return "being built"
        case state:
            return state


def percent(row: Row) -> int:
    """Return how much of it is built; 0 while that is not known."""
    total: int = row["records_total"]
    return min(100, row["records_done"] * 100 // total) if total else 0


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
