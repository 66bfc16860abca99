"""A record is judged by itself: what stands beside it in its batch tells nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import LogPartition
from schemas.codec import codec
from schemas.events import UserRow
from tests.support.data.passes import MemoryRecord

if TYPE_CHECKING:
    from processor.decoding.batch import DeadLetter

PLACE = LogPartition(0, 1, "email")
BEYOND: Any = 2_932_897
ROW = UserRow(
    job_id=5, record_number=1, line=2, sequence=0, mode="upsert", key="a@example.com", present=0,
    occurred_at=datetime(2026, 3, 1, tzinfo=UTC),
)  # fmt: skip
SOUND = codec.encode(ROW)
MALFORMED = SOUND[:-1]
ODD = {
    "bytes after its end": SOUND + b"\0",
    "of another producer, and beyond the calendar": codec.encode(
        replace(ROW, event_id="e", source="crm", last_active_date=BEYOND)
    ),
    "of another producer": codec.encode(replace(ROW, event_id="e", source="crm")),
}


def _dead_letter(values: list[bytes]) -> tuple[str, str, str | None] | None:
    """What becomes of the first of them, for Kafka and for the tables: code, detail, source."""
    records = [MemoryRecord(b"k", value, at) for at, value in enumerate(values)]
    letters = decode_records(records, PLACE).dead_letters
    return next((_told(letter) for letter in letters if letter.offset == 0), None)


def _told(letter: DeadLetter) -> tuple[str, str, str | None]:
    return letter.code, letter.detail, letter.source


@pytest.mark.parametrize("name", ODD)
def test_a_record_comes_to_the_same_beside_any_other(name: str) -> None:
    """Alone, beside a sound row, and beside one that makes the batch be decoded one by one."""
    alone = _dead_letter([ODD[name]])
    assert alone is not None
    assert _dead_letter([ODD[name], SOUND]) == alone
    assert _dead_letter([ODD[name], MALFORMED]) == alone
