"""An event or more of each type, as documents show them; a test encodes and decodes each.

The story is one: a CRM adds, changes and removes Ada; an upload adds Grace, and
rejects a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from schemas import events
from schemas.rules.fields import FIELD_BY_NAME

if TYPE_CHECKING:
    from schemas.events import Event


@dataclass(frozen=True, slots=True)
class EventExample:
    """An event, the key of its record, and what it shows."""

    name: str
    summary: str
    key: str
    event: Event


_AT: Final = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
_JOB_ID: Final = 5889218372019237411
_SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_HEADER: Final = "First Name,Last Name,Email,Country,State"


def _bits(*names: str) -> int:
    return sum(FIELD_BY_NAME[name].bit for name in names)


_ADA: Final = "ada@example.com"
_USER_ROWS: Final = (
    EventExample(
        "insert",
        "A CRM adds Ada.",
        _ADA,
        events.UserRow(
            event_id="crm-1001",
            mode="insert",
            key=_ADA,
            first_name="Ada",
            last_name="Lovelace",
            email="Ada@example.com",
            country="UK",
            last_active_date=date(2026, 7, 1),
            attributes={"plan": "gold"},
            present=_bits("first_name", "last_name", "email", "country", "last_active_date"),
            occurred_at=_AT,
            source="crm",
        ),
    ),
    EventExample(
        "upsert",
        "It changes her mobile number and her subscription, and clears an attribute.",
        _ADA,
        events.UserRow(
            event_id="crm-1002",
            mode="upsert",
            key=_ADA,
            mobile_number="+442071838750",
            sms_subscription=False,
            attributes={"plan": None},
            present=_bits("mobile_number", "sms_subscription"),
            occurred_at=_AT + timedelta(minutes=1),
            source="crm",
        ),
    ),
    EventExample(
        "delete",
        "It removes her.",
        _ADA,
        events.UserRow(
            event_id="crm-1003",
            mode="delete",
            key=_ADA,
            present=0,
            occurred_at=_AT + timedelta(minutes=2),
            source="crm",
        ),
    ),
    EventExample(
        "of_a_job",
        "A line of an upload: only the publisher writes such a row.",
        "grace@example.com",
        events.UserRow(
            job_id=_JOB_ID,
            record_number=1,
            line=2,
            sequence=0,
            mode="insert",
            key="grace@example.com",
            first_name="Grace",
            last_name="Hopper",
            email="grace@example.com",
            country="USA",
            state="New York",
            last_active_date=date(2026, 7, 1),
            present=_bits(
                "first_name", "last_name", "email", "country", "state", "last_active_date"
            ),
            occurred_at=_AT,
            raw="Grace,Hopper,grace@example.com,USA,New York",
        ),
    ),
)
_OF_JOBS: Final = (
    EventExample(
        "rejected_line",
        "A line of an upload that is no user.",
        f"{_JOB_ID}/2",
        events.RowRejected(
            job_id=_JOB_ID,
            record_number=2,
            line=3,
            sequence=0,
            column="Email",
            code="EMAIL_INVALID",
            reason="Email is not a valid email address.",
            value="alan.example.com",
            raw="Alan,Turing,alan.example.com,UK,",
        ),
    ),
    EventExample(
        "erased_line",
        "Stands where a line was that has been erased.",
        f"{_JOB_ID}/3",
        events.RowErased(job_id=_JOB_ID, record_number=3, line=4, sequence=1, outcome="inserted"),
    ),
    EventExample(
        "opened",
        "The rows of the job follow in this partition.",
        str(_JOB_ID),
        events.JobOpened(
            job_id=_JOB_ID,
            previous_job_id=events.NO_JOB,
            mode="insert",
            lines=2,
            file_name="users.csv",
            sha256=_SHA256,
            accepted_at=_AT,
            accepted_by="admin",
        ),
    ),
    EventExample(
        "sealed",
        "All rows of the job came before this one in this partition.",
        str(_JOB_ID),
        events.JobSealed(job_id=_JOB_ID, rows=1, digest=3421780262),
    ),
    EventExample(
        "accepted",
        "An upload was taken.",
        str(_JOB_ID),
        events.JobAccepted(
            job_id=_JOB_ID,
            attempt="4f0c6a52",
            mode="insert",
            delimiter=",",
            charset="utf-8",
            compression="none",
            blank_cells="keep",
            reconciliation_key="email",
            rules_version=2,
            accepted_at=_AT,
            accepted_by="admin",
            file_name="users.csv",
            size_bytes=118,
            sha256=_SHA256,
            lines=2,
            rejected_lines=1,
            chunks=events.ChunkRange(partition=1, first_offset=40, last_offset=40, count=1),
            header=_HEADER,
        ),
    ),
    EventExample(
        "voided",
        "An attempt at it was not acknowledged.",
        str(_JOB_ID),
        events.JobVoided(job_id=_JOB_ID, attempt="4f0c6a51"),
    ),
    EventExample(
        "reverted",
        "An administrator has undone it.",
        str(_JOB_ID),
        events.JobReverted(
            job_id=_JOB_ID,
            attempt="4f0c6a53",
            requested_at=_AT + timedelta(hours=1),
            requested_by="admin",
            inserted=1,
            updated=0,
            unchanged=0,
            rejected=1,
        ),
    ),
    EventExample(
        "restored",
        "And has taken that back.",
        str(_JOB_ID),
        events.JobRestored(
            job_id=_JOB_ID,
            attempt="4f0c6a54",
            requested_at=_AT + timedelta(hours=2),
            requested_by="admin",
        ),
    ),
    EventExample(
        "completed",
        "A job has ended, and every line of it has its outcome.",
        str(_JOB_ID),
        events.JobStatus(
            job_id=_JOB_ID,
            version=3,
            state="COMPLETED_WITH_ERRORS",
            mode="insert",
            lines=2,
            inserted=1,
            updated=0,
            unchanged=0,
            rejected=1,
            file_name="users.csv",
            sha256=_SHA256,
            accepted_at=_AT,
            accepted_by="admin",
            started_at=_AT + timedelta(seconds=1),
            finished_at=_AT + timedelta(seconds=2),
        ),
    ),
)
_OF_LOGS: Final = (
    EventExample(
        "defined",
        "From here on, rows of this partition may have this attribute.",
        "plan",
        events.AttributeDefined(
            name="plan",
            type="string",
            is_reconciliation_key=False,
            is_indexed=True,
            defined_at=_AT,
            defined_by="admin",
        ),
    ),
    EventExample(
        "configured",
        "The log's first record.",
        "log",
        events.LogConfigured(reconciliation_key="email", configured_at=_AT),
    ),
    EventExample(
        "moved",
        "The log's last record: it goes on in the topics of version 2.",
        "log",
        events.LogMove(stage="MOVED", version=2, partitions=6, command="erase", recorded_at=_AT),
    ),
)
EVENT_EXAMPLES: Final = (*_USER_ROWS, *_OF_JOBS, *_OF_LOGS)


def examples_of(event_type: type[Event]) -> tuple[EventExample, ...]:
    """Those of one type."""
    return tuple(example for example in EVENT_EXAMPLES if type(example.event) is event_type)
