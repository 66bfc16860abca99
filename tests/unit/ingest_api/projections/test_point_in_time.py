"""Points in time, as requests name them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ingest_api.errors import UNKNOWN_JOB, IngestError
from ingest_api.projections.point_in_time import NOW, Point, read_point
from ingest_api.web.refused import status_of

HERE = datetime(2026, 11, 25, 16, tzinfo=UTC)
AT = Point(time=datetime(2016, 6, 28, 5, 49, 23, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("5971883457542586123", Point(job_id=5971883457542586123)),
        ("7", Point(job_id=7)),
        ("06/28/2016 05:49:23 AM GMT", AT),
        ("2016-06-28T05:49:23Z", AT),
        ("2016-06-28T05:49:23", AT),
        ("2016-06-28 05:49:23", AT),
        (" 2016-06-28T07:49:23+02:00 ", AT),
        ("2016-06-28T07:49:23 02:00", AT),
        ("2016-06-28T07:49:23.000 0200", AT),
        ("2016-06-28T00:49:23-05", AT),
        ("2016-06-28", Point(time=datetime(2016, 6, 28, tzinfo=UTC))),
        ("2016-06-28 05:49", Point(time=datetime(2016, 6, 28, 5, 49, tzinfo=UTC))),
        ("0001-01-01", Point(time=datetime(1, 1, 1, tzinfo=UTC))),
        ("now", NOW),
    ],
)
def test_a_point_is_a_job_or_a_time(text: str, point: Point) -> None:
    """In UTC, where it does not say a zone; a + that the query has lost is one."""
    assert read_point("asOf", [text], now=HERE, allows_now=True) == point


@pytest.mark.parametrize(
    "values",
    [
        ["yesterday"],
        ["now"],
        [""],
        ["2016-02-30"],
        ["28/06/2016 05:49:23 AM GMT"],
        ["-7"],
        ["\u0667"],
        ["0001-01-01T00:00:00+14:00"],
        ["2016-06-28", "2016-06-29"],
        ["2026-11-25T16:00:00.001Z"],
    ],
)
def test_what_is_none_is_refused(values: list[str]) -> None:
    """With 400, naming the parameter; so is the future."""
    with pytest.raises(IngestError) as caught:
        read_point("asOf", values, now=HERE)
    assert status_of(type(caught.value)) == 400
    assert [detail.column for detail in caught.value.details] == ["asOf"]


def test_an_id_too_large_for_any_job_is_unknown() -> None:
    """In the contract's words."""
    with pytest.raises(IngestError, match=UNKNOWN_JOB):
        read_point("asOf", ["99999999999999999999"], now=HERE)


def test_a_point_is_shown_as_it_can_be_asked_for_again() -> None:
    """An id, a time in UTC, or now."""
    for point in (AT, Point(job_id=7), NOW):
        assert read_point("from", [str(point)], now=HERE, allows_now=True) == point
    assert str(AT) == "2016-06-28T05:49:23Z"
    assert (AT.words, Point(job_id=7).words) == ("2016-06-28T05:49:23Z", "job 7")
