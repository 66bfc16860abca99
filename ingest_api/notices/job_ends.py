"""Makes a notice of each end of a job, from the statuses that the processors publish.

Every API process reads all of `job-status` from its beginning, and a table has the last state
that there was a notice of: whoever puts a new one there, with the notice and its deliveries in
one transaction, makes the notice, and nobody else does.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from ingest_api.errors import LogUnavailableError, StoreUnavailableError
from ingest_api.notices.events import of_job
from ingest_api.notices.store import add_notice
from schemas.clients.topic_follower import TopicFollower
from schemas.events import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.jobs.statuses import JobReader
    from ingest_api.jobs.views import JobView
    from ingest_api.postgres.pool import Database
    from schemas.log.topics import Topic

_POLL_S: Final = 0.5
_PAUSE_S: Final = 2.0
_MOST_AT_ONCE: Final = 500
_log = structlog.stdlib.get_logger("rollcall.api")


class JobEnds:
    """Follows the statuses of jobs, for one API process."""

    def __init__(
        self, database: Database, job_log: JobLog, jobs: JobReader, *, public_url: str
    ) -> None:
        self._database = database
        self._job_log = job_log
        self._jobs = jobs
        self._public_url = public_url

    async def run(self, kafka: Mapping[str, str], topic: Topic) -> None:
        """Make notices until cancelled; what Kafka or Postgres hold up is tried again."""
        follower = TopicFollower(kafka, topic, self._job_log.schemas)
        under_way = set[int]()
        try:
            while True:
                logged = await asyncio.to_thread(lambda: list(follower.poll(_POLL_S)))
                statuses = [each.event for each in logged if isinstance(each.event, JobStatus)]
                came = {each.job_id for each in statuses if each.finished_at is not None}
                under_way = await self._note_all(sorted(came | under_way))
        finally:
            await asyncio.to_thread(follower.close)

    async def _note_all(self, job_ids: Sequence[int]) -> set[int]:
        """Return those that are being cancelled or undone: no status may tell the end of that."""
        under_way = set[int]()
        for start in range(0, len(job_ids), _MOST_AT_ONCE):
            views = None
            while views is None:
                views = await self._noted(job_ids[start : start + _MOST_AT_ONCE])
                await asyncio.sleep(_PAUSE_S if views is None else 0)
            under_way |= {each.accepted.job_id for each in views if not each.is_ended}
        return under_way

    _KNOWN: Final = "SELECT job_id, state FROM rollcall_api.noticed_job WHERE job_id = ANY(%s)"

    async def _noted(self, job_ids: Sequence[int]) -> list[JobView] | None:
        """Make the notices of these jobs; None where it isn't certain that all are made."""
        if not job_ids:
            return []
        try:
            await self._job_log.catch_up()
            jobs = [job for each in job_ids if (job := self._job_log.ledger.job(each))]
            views = await self._jobs.select_views(jobs)
            rows = await self._database.select(self._KNOWN, (list(job_ids),))
            known = {row["job_id"]: row["state"] for row in rows}
            for view in views:
                if known.get(view.accepted.job_id) != view.state:
                    await self._note(view)
        except (LogUnavailableError, StoreUnavailableError) as error:
            _log.warning("notices of jobs wait", reason=str(error))
            return None
        return views

    _IS_NEW: Final = """
    INSERT INTO rollcall_api.noticed_job AS noticed (job_id, state) VALUES (%s, %s)
    ON CONFLICT (job_id) DO UPDATE SET state = excluded.state
    WHERE noticed.state <> excluded.state
    RETURNING job_id
    """

    async def _note(self, view: JobView) -> None:
        notice = of_job(view, self._public_url)
        if notice is None:
            return
        async with self._database.transaction() as connection:
            noted = (view.accepted.job_id, view.state)
            if await (await connection.execute(self._IS_NEW, noted)).fetchone():
                await add_notice(connection, notice, view.accepted.accepted_by)
