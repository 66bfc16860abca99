"""What a sender says of columns is read to the letter, or refused."""

from __future__ import annotations

import pytest

from ingest_api.errors import InvalidRequestError
from ingest_api.uploads.column_mappings import columns_of
from ingest_api.uploads.options import options_in_head, with_fields
from schemas.events import ColumnMapping


def test_pairs_and_an_object_say_the_same() -> None:
    """In any order; a field may be ignored, a header may hold the mark."""
    expected = (
        ColumnMapping("A=B", "State"),
        ColumnMapping("Email Address", "Email"),
        ColumnMapping("Notes", ""),
    )
    assert columns_of(["Email Address=Email", " Notes =ignore", "A=B= State "]) == expected
    text = '{"Notes": null, "Email Address": "Email", "A=B": "State"}'
    assert columns_of([text]) == expected
    assert columns_of([]) is None


@pytest.mark.parametrize(
    "values",
    [
        ["Email"],
        ["=Email"],
        [""],
        ["{"],
        ['{"a": 1}'],
        ['["a"]'],
        ["a=Email", "A =State"],
        ["a=" + "x" * 40_000],
    ],
)
def test_what_can_not_be_read_is_refused(values: list[str]) -> None:
    """With what would be right."""
    with pytest.raises(InvalidRequestError) as refused:
        columns_of(values)
    assert refused.value.details[0].column == "columns"


def test_the_head_counts_before_the_form() -> None:
    """As of every option."""
    head = options_in_head([], {"columns": ["a=Email"]})
    options = with_fields(head, {"columns": ["b=Email"], "unknownColumns": ["ignore"]})

    assert options.columns == (ColumnMapping("a", "Email"),)
    assert options.unknown_columns == "ignore"
    assert with_fields(options_in_head([], {}), {}).unknown_columns == "refuse"
