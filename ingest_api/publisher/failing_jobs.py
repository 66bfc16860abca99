"""Decides when a job that can't be published has failed, and says so in `job-events`.

A failure that a retry may mend is never counted here.
A file that is lost may be restored, and a job of later code needs that code, so both are tried
again for a while; then ``JobFailed`` in the log lets the jobs behind it go on.

A job that was published whole once never fails here, however long its file is gone.
It may have been applied, and only its status be lost, and then ``JobFailed`` would take it out of
the audience.  That it was not is nothing that its publisher can know: statuses also stay out
where they were lost with the topic, or wait in the outbox.  Who can ask the tables can say so:
`rollcall cancel` is refused for a job that ended.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ingest_api.errors import PassFailedError, RulesUnknownError, UnfitJobError, UploadLostError
from ingest_api.kafka.single_append import append_job_event
from ingest_api.parsing.errors import FileFault
from schemas.codec.framing import is_writable
from schemas.events import JobFailed, RowRejected, UserRow
from schemas.rules.fields import RULES_VERSION

if TYPE_CHECKING:
    from ingest_api.event_log.ledger import LedgerJob
    from schemas.clients.event_schemas import EventSchemas
    from schemas.config.settings import Settings

_UPGRADE_S: Final = 86_400.0
"""A job of later code waits for that code so long."""
_UPLOAD_AGAIN: Final = "upload the file again"
_REASONS: Final[dict[type[Exception], tuple[str, str]]] = {
    UploadLostError: ("FILE_LOST", "the uploaded file is no longer in the log"),
    UnfitJobError: ("FILE_CHANGED", "the file in the log is not what was accepted"),
    FileFault: ("FILE_CHANGED", "the file in the log is not what was accepted"),
    RulesUnknownError: ("RULES_UNKNOWN", "a later version of Rollcall has accepted it"),
}
_UNREADABLE: Final = ("JOB_UNREADABLE", "its record in the log can't be published")


class FailingJobs:
    """The jobs that could not be published even once, each since its first try."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since_s: dict[int, float] = {}

    def has_failed(self, job_id: int, error: Exception, now_s: float) -> bool:
        """Note a try that came to nothing; return whether the job was tried for long enough."""
        since_s = self._since_s.setdefault(job_id, now_s)
        is_of_later_code = isinstance(error, RulesUnknownError)
        return now_s - since_s >= (_UPGRADE_S if is_of_later_code else self._patience_s)

    def forget(self, job_id: int) -> None:
        """Forget the tries of a job that was published, or has failed."""
        self._since_s.pop(job_id, None)


def check_rules(job: LedgerJob, schemas: EventSchemas) -> None:
    """Refuse a job whose pass would differ from that of the code that accepted it.

    Raises:
        RulesUnknownError: a later version of the rules or of the rows' schemas has accepted it.
        RegistryUnreachableError: the schemas can't be known now.
    """
    version = job.accepted.rules_version
    if version > RULES_VERSION:
        raise RulesUnknownError(
            f"it needs version {version} of the rules, this code knows {RULES_VERSION}:"
            " finish the upgrade"
        )
    frames = {UserRow: job.accepted.row_frame, RowRejected: job.accepted.rejection_frame}
    schemas.learn(frames.values())
    for event_type, frame in frames.items():
        if frame is not None and not is_writable(event_type, frame):
            raise RulesUnknownError(
                f"its {event_type.__name__}s are to begin with {frame.hex()}, a schema that this"
                " code doesn't know: finish the upgrade, or set ROLLCALL_SCHEMA_REGISTRY_URL as it"
                " was when the job was accepted"
            )


def failure_of(job_id: int, error: Exception) -> JobFailed:
    """Return the event that says for whoever uploaded the file why its job has failed."""
    code, reason = next(
        (told for kind, told in _REASONS.items() if isinstance(error, kind)), _UNREADABLE
    )
    return JobFailed(
        job_id=job_id,
        attempt=secrets.token_hex(16),
        failed_at=datetime.now(UTC),
        code=code,
        reason=f"{reason}; {_UPLOAD_AGAIN}",
    )


def append_failure(settings: Settings, event: JobFailed) -> None:
    """Append the event to `job-events`, and wait until it is acknowledged.

    Raises:
        PassFailedError: it is not, so that it may have to be appended once more.
    """
    if failure := append_job_event(settings, event, str(event.job_id).encode()):
        raise PassFailedError(f"a failed job is not in job-events: {failure}")
