"""Dates in the contract's form."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from ingest_api.openapi.response_types import Date
from ingest_api.web.dates import date_text, day_text, estimated_end

if TYPE_CHECKING:
    from datetime import date

    from msgspec import Meta


@given(st.dates())
def test_a_year_has_four_digits(day: date) -> None:
    """Before 1000, too: as the API promises it, and as a file's date is read again."""
    text = day_text(day)
    described: tuple[Any, ...] = get_args(Date)
    meta: Meta = described[1]
    assert text is not None
    assert re.fullmatch(meta.pattern or "", text)
    assert text[:10] == f"{day.month:02}/{day.day:02}/{day.year:04}"


def test_a_time_is_in_gmt() -> None:
    """Whatever the zone that it comes in; noon is PM, midnight is AM."""
    ahead = timezone(timedelta(hours=2))
    assert date_text(datetime(16, 6, 28, 14, 0, 9, tzinfo=ahead)) == "06/28/0016 12:00:09 PM GMT"
    assert date_text(datetime(2016, 6, 28, tzinfo=UTC)) == "06/28/2016 12:00:00 AM GMT"


@given(st.integers(1, 10**9), st.floats(1e-12, 1e6))
def test_an_end_is_estimated_where_it_is_near(left: int, rate: float) -> None:
    """A job of which a processor did one line, and then stopped, has none."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    end = estimated_end(now, left, rate)
    assert (end is None) == (left / rate >= 366 * 24 * 3600)
    assert end is None or end >= now
