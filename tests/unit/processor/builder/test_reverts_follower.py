"""What follows `job-events` for a builder takes any record, whatever time it bears."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from processor.builder import reverts_follower
from processor.decoding.records import recorded_at
from schemas.clients.topic_follower import LoggedEvent
from schemas.codec import codec
from schemas.events import JobReverted
from schemas.log.reverts import Reverts
from tests.support.data.passes import MemoryRecord

NOW = datetime(2026, 3, 1, tzinfo=UTC)
REVERTED = JobReverted(
    job_id=7, attempt="a", requested_at=NOW, requested_by="admin", inserted=0, updated=0,
    unchanged=0, rejected=0,
)  # fmt: skip


@pytest.mark.parametrize("time_ms", [-1, -(2**63), 253_402_300_800_000, 2**63 - 1])
def test_a_time_beyond_the_calendar_ends_nothing(time_ms: int) -> None:
    """It is taken for the nearest one that there is."""
    record = MemoryRecord(None, codec.encode(REVERTED), 0, time_ms)
    reverts = Reverts()
    reverts_follower.apply_logged(reverts, LoggedEvent(0, REVERTED, time_ms))
    assert reverts.decision(7, "a") == "changes nothing"
    assert recorded_at(record).year == (1970 if time_ms < 0 else 9999)
