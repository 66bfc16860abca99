"""Decide whether an importer may undo or redo a job: their own, which nobody else built on.

What others changed since is found in the log of jobs, and, of writes without a job, in the counts
by source: by the times of their records, and on the safe side, because a source that once changed
a user counts by its last record, whatever became of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ingest_api.errors import role_too_low
from schemas.events import JobFailed

if TYPE_CHECKING:
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.event_log.ledger import JobLedger, LedgerJob
    from ingest_api.postgres.pool import Database
    from ingest_api.web.roles import Account

_ANYBODYS: Final = "admin"
CHANGED_SINCE: Final = "others have changed the audience since the job"


def is_built_on(ledger: JobLedger, job: LedgerJob, account: str) -> bool:
    """Return whether another account imported, undid or redid anything after this job."""
    reverted = ledger.reverts.now()
    others: set[int] = set()
    for later in reversed(ledger.jobs):
        if later.offset <= job.offset:
            break
        if later.accepted.accepted_by != account:
            if later.accepted.job_id not in reverted:
                return True
            others.add(later.accepted.job_id)
    # What became of others' later jobs, which are undone, has left nothing behind.
    return any(
        change.requested_by != account and change.job_id not in others
        for change in ledger.reverts.changes_after(job.offset)
        if not isinstance(change, JobFailed)  # which nobody asked for
    )


class OwnUndo:
    """Checks who may undo or redo a job, for one API process."""

    def __init__(self, database: Database, job_log: JobLog) -> None:
        self._database = database
        self._job_log = job_log

    _SELECT_WRITES: Final = """
    SELECT source FROM public.sources
    WHERE inserted + updated + deleted > 0
      AND last_at >= (SELECT started_at FROM public.jobs WHERE job_id = %(job_id)s)
    LIMIT 1
    """

    async def check(self, account: Account, job: LedgerJob) -> None:
        """Refuse whoever may not undo or redo the job.

        Between this check and the undo somebody may still change the audience; what they do is
        kept, as it is kept by every undo.

        Raises:
            RoleTooLowError: they may not.
            UnavailableError: Kafka or Postgres doesn't answer.
        """
        if account.may(_ANYBODYS):
            return
        if job.accepted.accepted_by != account.name:
            raise role_too_low(_ANYBODYS)
        await self._job_log.catch_up()
        is_changed = is_built_on(self._job_log.ledger, job, account.name)
        if is_changed or await self._are_writes_since(job):
            raise role_too_low(_ANYBODYS, CHANGED_SINCE)

    async def _are_writes_since(self, job: LedgerJob) -> bool:
        parameters = {"job_id": job.accepted.job_id}
        return bool(await self._database.select_projected(self._SELECT_WRITES, parameters))
