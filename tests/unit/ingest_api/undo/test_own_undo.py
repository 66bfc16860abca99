"""Whether others built on a job is decided by the log of jobs alone, and alike for all readers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from ingest_api.event_log.ledger import JobLedger
from ingest_api.undo.own_undo import is_built_on
from schemas.events import JobRestored, JobReverted
from tests.support.models.file_oracle import accepted_job

if TYPE_CHECKING:
    from schemas.events import JobAccepted

AT = datetime(2026, 11, 29, tzinfo=UTC)
MINE = 1


def job(job_id: int, account: str) -> JobAccepted:
    """An accepted job of the account."""
    return replace(accepted_job(), job_id=job_id, attempt=f"a{job_id}", accepted_by=account)


def undone(job_id: int, account: str) -> JobReverted:
    """Its undo, asked for by the account."""
    return JobReverted(
        job_id=job_id,
        requested_at=AT,
        requested_by=account,
        attempt=f"u{job_id}",
        **dict.fromkeys(("inserted", "updated", "unchanged", "rejected"), 0),
    )


def redone(job_id: int, account: str) -> JobRestored:
    """The undo of its undo."""
    return JobRestored(job_id=job_id, requested_at=AT, requested_by=account, attempt=f"r{job_id}")


@pytest.mark.parametrize(
    ("later", "is_built"),
    [
        ((), False),
        ((job(2, "me"), undone(2, "me"), redone(2, "me")), False),
        ((undone(MINE, "me"),), False),
        ((job(2, "you"),), True),
        ((job(2, "you"), undone(2, "you")), False),
        ((job(2, "you"), undone(2, "admin")), False),
        ((job(2, "you"), undone(2, "you"), redone(2, "you")), True),
        ((job(2, "me"), undone(2, "you")), True),
        ((undone(MINE, "you"),), True),
        ((undone(MINE, "me"), redone(MINE, "you")), True),
        ((undone(9, "you"),), True),
        ((undone(9, "me"),), False),
    ],
)
def test_what_others_left_behind_counts(
    later: tuple[JobAccepted | JobReverted | JobRestored, ...],
    is_built: bool,
) -> None:
    """Their jobs that are not undone, and what they did to the jobs of mine and earlier ones."""
    ledger = JobLedger()
    for offset, event in enumerate((job(9, "you"), job(MINE, "me"), *later)):
        ledger.apply(offset, event)
    mine = ledger.job(MINE)
    assert mine is not None
    assert is_built_on(ledger, mine, "me") is is_built
