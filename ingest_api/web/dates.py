"""Dates in the contract's form, and what all queries of the read model share."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from schemas.read_model.tables import ADDED, LACKS_ADDED

if TYPE_CHECKING:
    from datetime import date

    from ingest_api.postgres.pool import Database

Row = dict[str, Any]


async def has_read_model(database: Database) -> bool:
    """Return whether a processor has made the views that are read, with all their columns.

    Raises:
        StoreUnavailableError: Postgres doesn't answer.
    """
    return not await database.select(LACKS_ADDED, ADDED)


@lru_cache(4096)  # the users of a page have few times between them, and each takes microseconds
def date_text(at: datetime) -> str:
    """Return a time in the contract's form: ``06/28/2016 05:49:23 AM GMT``."""
    utc = at.astimezone(UTC)
    # glibc's %Y doesn't fill up years before 1000.
    return f"{utc:%m/%d}/{utc.year:04} {utc:%I:%M:%S %p} GMT"


def optional_date_text(at: datetime | None) -> str | None:
    """Return a time in the contract's form, None where there is none."""
    return None if at is None else date_text(at)


@lru_cache(4096)
def day_text(day: date | None) -> str | None:
    """Return the first second of a day in the contract's form, None where there is no day."""
    return None if day is None else date_text(datetime(day.year, day.month, day.day, tzinfo=UTC))


def nearer_end(index: int, count: int) -> tuple[int, bool]:
    """Return how many of ``count`` rows to skip to reach this one, and whether from the end."""
    is_from_end = index > count // 2
    return (count - 1 - index if is_from_end else index), is_from_end
