"""Dates in the form that the request asks for, and what all queries of the read model share."""

from __future__ import annotations

import re
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from schemas.read_model.tables import ADDED, LACKS_ADDED

if TYPE_CHECKING:
    from datetime import date

    from ingest_api.postgres.pool import Database

Row = dict[str, Any]
_CONTRACT_DATE: Final = "%m/%d/%Y %I:%M:%S %p GMT"
_LONGEST_S: Final = 366 * 24 * 3600
_LOST_PLUS: Final = re.compile(r"(:[\d.,]+) (\d\d(?::?\d\d)?)$")
"""In a query an unescaped + stands for a space."""
DateFormat = Literal["contract", "iso"]
DATE_FORMATS: Final[tuple[DateFormat, ...]] = ("contract", "iso")
date_format: Final[ContextVar[DateFormat]] = ContextVar("date_format", default="contract")
"""How the answer to the request that is being answered writes dates."""


async def has_read_model(database: Database) -> bool:
    """Return whether a processor has made the views that are read, with all their columns.

    Raises:
        StoreUnavailableError: Postgres doesn't answer.
    """
    return not await database.select(LACKS_ADDED, ADDED)


def date_text(at: datetime) -> str:
    """Return a time, ``06/28/2016 05:49:23 AM GMT`` or by RFC 3339 ``2016-06-28T05:49:23.172Z``."""
    return _date_text(at, date_format.get())


@lru_cache(4096)  # the users of a page have few times between them, and each takes microseconds
def _date_text(at: datetime, form: DateFormat) -> str:
    utc = at.astimezone(UTC)
    if form == "iso":
        return f"{utc.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
    # glibc's %Y doesn't fill up years before 1000.
    return f"{utc:%m/%d}/{utc.year:04} {utc:%I:%M:%S %p} GMT"


def optional_date_text(at: datetime | None) -> str | None:
    """Return a time as text, None where there is none."""
    return None if at is None else date_text(at)


def estimated_end(at: datetime, left: float, rate: float) -> datetime | None:
    """Return when so much is done at this rate a second; None where that is over a year ahead.

    The first look at something long may promise more years than a date has.
    """
    seconds = left / rate
    return at + timedelta(seconds=seconds) if seconds < _LONGEST_S else None


def day_text(day: date | None) -> str | None:
    """Return the first second of a day, or as RFC 3339 ``2016-06-28``; None where there is none."""
    if day is None or date_format.get() == "iso":
        return day and day.isoformat()
    return date_text(datetime(day.year, day.month, day.day, tzinfo=UTC))


def parsed_time(text: str) -> datetime | None:
    """Parse a time in either form, or return None; without a zone it is UTC."""
    try:
        return datetime.strptime(text, _CONTRACT_DATE).replace(tzinfo=UTC)
    except ValueError:
        pass
    try:
        time = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", text))
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # one at the ends of the calendar has no time in UTC
        return None


def nearer_end(index: int, count: int) -> tuple[int, bool]:
    """Return how many of ``count`` rows to skip to reach this one, and whether from the end."""
    is_from_end = index > count // 2
    return (count - 1 - index if is_from_end else index), is_from_end
