"""Past audiences: a projection instance is requested for each point, and waited for.

The processor's builder makes its tables from the log; until they are ready a
request waits, and after a while is answered with the progress.
Each read marks the instance as in use, so that it is kept; one that was dropped
all the same is requested again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, TypeVar

from ingest_api.errors import ConflictError, SchemaGoneError, UnavailableError
from ingest_api.postgres.schema_names import PUBLIC
from ingest_api.projections.registry import IN_USE_S, MOST_PAST
from schemas.read_model.tables import schema_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ingest_api.projections.point_in_time import Point
    from ingest_api.projections.registry import Instance, InstanceRegistry


_WAIT_S: Final = 20.0
_POLL_S: Final = 0.25
_ATTEMPTS: Final = 3
_T = TypeVar("_T")


class PastAudiences:
    """Requests and reads past audiences for one API process."""

    def __init__(
        self,
        instances: InstanceRegistry,
        check_log: Callable[[], Awaitable[None]],
        wait_s: float = _WAIT_S,
    ) -> None:
        """Let requests wait ``wait_s`` for a build.

        ``check_log`` raises where nothing can be built from the log.
        """
        self._instances = instances
        self._check_log = check_log
        self._wait_s = wait_s

    async def read(
        self,
        points: Sequence[Point],
        requested_by: str,
        work: Callable[[Sequence[str]], Awaitable[_T]],
    ) -> _T:
        """Run ``work`` on the schemas that hold the audience as of these points, in order.

        Raises:
            UnavailableError: they are not ready in time, or there are too many.
            ConflictError: one could not be built, or the log does not hold what it would be built
                from.
            LogUnavailableError: Kafka doesn't answer.
            StoreUnavailableError: Postgres doesn't answer.
        """
        for _ in range(_ATTEMPTS):
            schemas = await self._ready(points, requested_by)
            # Where it was dropped between mark and read, the next attempt requests it again.
            with contextlib.suppress(SchemaGoneError):
                return await work(schemas)
        raise UnavailableError("The past audience was dropped while it was read, try again")

    async def _ready(self, points: Sequence[Point], requested_by: str) -> list[str]:
        """Return the schemas once all are ready; all are requested before any is waited for."""
        until_s = time.monotonic() + self._wait_s
        for point in points:
            if not point.is_now:
                await self._request(point, requested_by)
        return [await self._schema(point, requested_by, until_s) for point in points]

    async def _request(self, point: Point, requested_by: str) -> None:
        if await self._instances.use_past(point) is not None:
            return
        await self._check_log()
        if not await self._instances.request_past(point, by=requested_by):
            raise UnavailableError(_too_many(await self._instances.select_kept_past()))

    async def _schema(self, point: Point, requested_by: str, until_s: float) -> str:
        if point.is_now:
            return PUBLIC
        while True:
            instance = await self._instances.use_past(point)
            if instance is None:
                await self._request(point, requested_by)
            elif instance.state == "ready":
                return schema_name(instance.number)
            elif instance.state == "failed":
                message = f"The audience as of {point.words} could not be built: {instance.failure}"
                raise ConflictError(message)
            if time.monotonic() > until_s:
                raise UnavailableError(_not_ready_yet(point, instance))
            await asyncio.sleep(_POLL_S)


def _not_ready_yet(point: Point, instance: Instance | None) -> str:
    audience = f"The audience as of {point.words}"
    if instance is None:
        return f"{audience} waits for a processor to make its tables: is one running?"
    if instance.state == "requested":
        return f"{audience} waits for a builder to take it: is a processor running?"
    return f"{audience} is {instance.progress}; try again"


def _too_many(kept: Sequence[Instance]) -> str:
    in_use = ", ".join(
        f"as of {point.words} ({instance.progress})"
        for instance in kept
        if (point := instance.point) is not None
    )
    return (
        f"No more than {MOST_PAST} past audiences are kept at once, and all are in use: {in_use}."
        f" One that is not read for {IN_USE_S // 60} minutes makes room; try again then"
    )
