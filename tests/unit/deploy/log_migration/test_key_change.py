"""New keys are learned from the rows that had an effect."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.log_migration import MoveRefusedError
from deploy.log_migration.records import CopiedRecord
from deploy.log_migration.rekey.job_order import CountedRecord
from deploy.log_migration.rekey.key_change import KeyChange
from schemas.events import JobOpened, UserRow
from schemas.rules.fields import KEY_FIELD
from schemas.rules.modes import MODES
from schemas.rules.overwrite import ALL_BITS

EMAIL = "ana@example.org"
AT = datetime(2026, 3, 1, tzinfo=UTC)
INSERT = JobOpened(
    job_id=1,
    previous_job_id=0,
    mode="insert",
    lines=1,
    file_name=None,
    sha256="0" * 64,
    accepted_at=AT,
    accepted_by="admin",
)
KEEPING = [
    pytest.param({"mode": "ignore"}, id="ignore"),
    pytest.param({"mode": "upsert", "fills": ALL_BITS}, id="overwrite=blank"),
]


def learn(change: KeyChange, job: JobOpened, mobile: str) -> None:
    """A line of this job, with this phone number."""
    row = UserRow(
        job_id=1,
        record_number=1,
        line=2,
        sequence=0,
        mode=MODES[job.mode].row_mode,
        key=EMAIL,
        mobile_number=mobile,
        present=0,
        occurred_at=AT,
    )
    record = CopiedRecord(EMAIL.encode(), b"", 0, 0)
    change.learn(CountedRecord(record, row, 0, (1, 0, 0)), row, job)


@pytest.mark.parametrize("options", KEEPING)
def test_a_line_that_leaves_its_user_teaches_nothing(options: dict[str, Any]) -> None:
    """Another number in it is no other key: the user has kept its own."""
    change, keeping = KeyChange(KEY_FIELD["mobileNumber"]), replace(INSERT, **options)
    learn(change, keeping, "+14155550123")
    learn(change, keeping, "+14155550999")
    change.check()
    assert change.new_key(EMAIL) == "+14155550123"
    learn(change, INSERT, "+14155550999")
    with pytest.raises(MoveRefusedError, match="another one than in an earlier row"):
        change.check()
