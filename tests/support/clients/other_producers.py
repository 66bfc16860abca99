"""Rows as another producer states them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from schemas.events import UserRow

if TYPE_CHECKING:
    from schemas.events import RowMode

_NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def row_of(key: str, *, mode: RowMode = "insert", first_name: str = "Kim") -> UserRow:
    """A row without a job, whole and allowed."""
    return UserRow(
        event_id=f"event of {key}",
        mode=mode,
        key=key,
        first_name=first_name,
        last_name="Lee",
        email=key,
        country="Japan",
        last_active_date=date(2026, 7, 1),
        present=0b1010111,
        occurred_at=_NOW,
        source="crm",
    )
