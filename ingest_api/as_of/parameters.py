"""Parse the points in time that a request names, and read the audience as of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ingest_api.errors import ConflictError, invalid_parameter
from ingest_api.jobs.job_parameter import job_named
from ingest_api.projections.point_in_time import NOW, read_point
from ingest_api.web.parameters import query_values

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sanic import Request

    from ingest_api.as_of.past_audiences import PastAudiences
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.jobs.statuses import JobReader
    from ingest_api.projections.point_in_time import Point

_AS_OF: Final = "asOf"
JOB_RUNS: Final = "The job has not ended, so there is no audience as of it yet"
_T = TypeVar("_T")


class AsOfParameters:
    """Resolves the as-of parameters of requests, for one API process."""

    def __init__(self, past: PastAudiences, job_log: JobLog, jobs: JobReader) -> None:
        self._past = past
        self._job_log = job_log
        self._jobs = jobs

    async def read(
        self, request: Request[Any, Any], requested_by: str, work: Callable[[str], Awaitable[_T]]
    ) -> _T:
        """Run ``work`` on the schema that the request's ``asOf`` names, or on the live one.

        Raises:
            InvalidRequestError: no such point.
            ConflictError: its job runs.
            UnavailableError: the audience is not there yet.
        """
        values = query_values(request).get(_AS_OF)
        point = NOW if values is None else await self._checked_point(request, _AS_OF, values)
        return await self._past.read([point], requested_by, lambda schemas: work(schemas[0]))

    async def point(self, request: Request[Any, Any], name: str) -> Point:
        """Return the point that the parameter of this name gives; ``now`` is one.

        Raises:
            InvalidRequestError: no such point or none.
            ConflictError: its job runs.
        """
        values = query_values(request).get(name)
        if values is None:
            raise invalid_parameter(name, f"{name} is required.")
        return await self._checked_point(request, name, values, allows_now=True)

    async def _checked_point(
        self, request: Request[Any, Any], name: str, values: list[str], *, allows_now: bool = False
    ) -> Point:
        point = read_point(name, values, now=datetime.now(UTC), allows_now=allows_now)
        if point.job_id is not None:
            job = await job_named(request, self._job_log, str(point.job_id))
            view = await self._jobs.view(job)
            if view.is_running or view.finished_at is None:
                raise ConflictError(JOB_RUNS)
        return point
