"""What the API says, in the words of the command line."""

from __future__ import annotations

import pytest

from deploy.cli.own_words import in_own_words

REFUSED = "400: Please upload a valid CSV file\n  "


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            f"{REFUSED}The file would remove 9 of the 10 users, and maxDeletePercent allows 50 %.",
            (
                "Nothing was imported\n  The file would remove 9 of the 10 users,"
                " and --max-delete-percent allows 50 %."
            ),
        ),
        (
            f"{REFUSED}5 of the file's 9 lines are rejected, and maxRejected allows 4.",
            (
                "Nothing was imported\n  5 of the file's 9 lines are rejected,"
                " and --max-rejected allows 4."
            ),
        ),
        (f"{REFUSED}line 3: An unclosed quote.", f"{REFUSED}line 3: An unclosed quote."),
        (
            "Invalid request ID. No request found with the provided ID",
            (
                "Invalid request ID. No request found with the provided ID:"
                " `rollcall jobs` lists the jobs"
            ),
        ),
    ],
)
def test_advice_names_what_can_be_typed(theirs: str, ours: str) -> None:
    """An option for a parameter; a file that is too much is no invalid file."""
    assert in_own_words(theirs) == ours
