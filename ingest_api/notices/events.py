"""What notices tell: their types and bodies (pure)."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ingest_api.jobs.views import job_message
from schemas.log.job_states import COUNTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest_api.jobs.views import JobView
    from schemas.events import JobState

EventType = Literal[
    "job.completed",
    "job.completed_with_errors",
    "job.failed",
    "job.cancelled",
    "job.undone",
    "alarm.raised",
    "alarm.cleared",
]
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)
TEST: Final = "webhook.test"
_OF_STATE: Final[Mapping[JobState, EventType]] = {
    "COMPLETED": "job.completed",
    "COMPLETED_WITH_ERRORS": "job.completed_with_errors",
    "FAILED": "job.failed",
    "CANCELLED": "job.cancelled",
    "REVERTED": "job.undone",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice: ``body`` is what is sent and signed, byte for byte, at each try."""

    id: str
    type: str
    body: str


def new_notice(kind: str, data: Mapping[str, Any]) -> Notice:
    """Return a notice with a new id, in the form of Standard Webhooks."""
    at = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    body = {"type": kind, "timestamp": f"{at}Z", "data": data}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Notice(f"msg_{secrets.token_hex(16)}", kind, text)


def of_job(view: JobView, public_url: str) -> Notice | None:
    """Return the notice that the job has ended so; None in a state that is no end."""
    kind = _OF_STATE.get(view.state)
    if kind is None:
        return None
    accepted = view.accepted
    data = {
        "jobId": str(accepted.job_id),
        "state": view.state,
        "message": job_message(view),
        "mode": accepted.mode,
        "fileName": accepted.file_name,
        "importedBy": accepted.accepted_by,
        "lines": accepted.lines,
        **{name: view.counts[name] for name in COUNTS},
        "url": link(public_url, f"jobs/{accepted.job_id}"),
    }
    return new_notice(kind, data)


def of_alarm(component: str, reasons: Sequence[str], public_url: str) -> Notice:
    """Return the notice that a component does not work, or, without a reason, works again."""
    data = {
        "component": component,
        "reasons": list(reasons),
        "url": link(public_url, "operations/health"),
    }
    return new_notice("alarm.raised" if reasons else "alarm.cleared", data)


def link(public_url: str, place: str) -> str | None:
    """Return the address of a place of the page; None where nobody has said where it is."""
    return f"{public_url.rstrip('/')}/#/{place}" if public_url else None
