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
        try:
            while True:
                logged = await asyncio.to_thread(lambda: list(follower.poll(_POLL_S)))
                statuses = [each.event for each in logged if isinstance(each.event, JobStatus)]
                ended = {each.job_id for each in statuses if each.finished_at is not None}
                await self._note_all(sorted(ended))
        finally:
            await asyncio.to_thread(follower.close)

    async def _note_all(self, job_ids: Sequence[int]) -> None:
        for start in range(0, len(job_ids), _MOST_AT_ONCE):
            some = job_ids[start : start + _MOST_AT_ONCE]
            are_noted = False
            while not are_noted:
                are_noted = await self._are_noted(some)
                await asyncio.sleep(0 if are_noted else _PAUSE_S)

    async def _are_noted(self, job_ids: Sequence[int]) -> bool:
        """Return whether it is certain that each of these has the notice that it is to have."""
        try:
            await self._job_log.catch_up()
            jobs = [job for each in job_ids if (job := self._job_log.ledger.job(each))]
            for view in await self._jobs.select_views(jobs):
                await self._note(view)
        except (LogUnavailableError, StoreUnavailableError) as error:
            _log.warning("notices of jobs wait", reason=str(error))
            return False
        return True

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
