"""What ``overwrite`` says, as bits of the fields that are only filled."""

from __future__ import annotations

import pytest

from schemas.rules.fields import FIELD_BY_NAME
from schemas.rules.overwrite import ALL_BITS, ATTRIBUTES_BIT, OverwriteError, filled_fields

STATE, MOBILE = FIELD_BY_NAME["state"].bit, FIELD_BY_NAME["mobile_number"].bit


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("always", 0),
        ("blank", ALL_BITS),
        ("State=blank", STATE),
        (" always , state = blank, attributes=blank", STATE | ATTRIBUTES_BIT),
        ("blank,Mobile Number=always", ALL_BITS & ~MOBILE),
        ("mobileNumber=blank,State=blank,mobile_number=always", STATE),
    ],
)
def test_rules_by_column_count_after_the_one_for_all(text: str, bits: int) -> None:
    """Columns are named as in a header; of two rules for one the later counts."""
    assert filled_fields(text) == bits


@pytest.mark.parametrize(
    "text", ["", "never", "State", "State=", "Sate=blank", "State=blank,always", "always,,"]
)
def test_anything_else_is_refused(text: str) -> None:
    """A rule that nobody knows, a column that no user has, a rule for all after others."""
    with pytest.raises(OverwriteError):
        filled_fields(text)
