"""Which media type a request would rather have."""

from __future__ import annotations

import pytest

from ingest_api.web.content_negotiation import preferred

OFFERED = ("application/json", "text/csv")


@pytest.mark.parametrize(
    "accept",
    [
        [],
        [""],
        ["*/*"],
        ["application/json"],
        ["application/*"],
        ["text/csv, application/json"],
        ["text/csv;q=0.5, application/json"],
        ["text/csv;q=0.5, */*"],
        ["text/csv;q=0, */*;q=0.1"],
        ["text/html, */*;q=0.8"],
        ["csv"],
        [",;,/,*"],
        ["text/*;q=0.3, application/json;q=0.4"],
    ],
)
def test_json_is_preferred(accept: list[str]) -> None:
    """Where it is wanted as gladly as CSV, or nothing readable is said."""
    assert preferred(accept, OFFERED) == "application/json"


@pytest.mark.parametrize(
    "accept",
    [
        ["text/csv"],
        ["TEXT/CSV"],
        ["text/*"],
        ["text/csv; charset=utf-8"],
        ["text/csv;q=1.000, application/json;q=0.999"],
        ["application/json; q=0.2 , text/csv ; q=0.3"],
        ["text/html", "text/csv"],
        ["text/csv;q=2"],
        ["application/json;q=0, */*"],
        ["application/json;q=0.1, text/csv;header=present;q=0.9"],
    ],
)
def test_csv_is_preferred(accept: list[str]) -> None:
    """Where it is wanted more; a range counts by its most specific form."""
    assert preferred(accept, OFFERED) == "text/csv"


@pytest.mark.parametrize("accept", ["text/html", "*/*;q=0", "application/json;q=0, text/csv;q=0.0"])
def test_nothing_may_be_wanted(accept: str) -> None:
    """None of what is offered."""
    assert preferred([accept], OFFERED) is None
