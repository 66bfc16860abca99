"""Rows without a job are judged by the rules of files, one at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_api.validation.validate import NO_FAULT, validate_columns
from schemas.events import UserRow
from schemas.rules.attributes import attribute_field
from schemas.rules.fields import FIELD_BY_NAME
from schemas.rules.producer_rows import normalised_key, value_violation
from schemas.rules.value_rules import ValueRules

if TYPE_CHECKING:
    from schemas.rules.fields import Field

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXTS = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
    st.from_regex(r"\s?[A-ZİΣa-z.]{1,3}@[A-Za-z.ß]{1,6}\s?", fullmatch=True),
    st.from_regex(r" ?(\+|00)?[0-9()./ -]{1,18}", fullmatch=True),
    st.from_regex(r"[+-]?[0-9]{0,3}\.?[0-9]{0,3}", fullmatch=True),
)
KEYS = [
    FIELD_BY_NAME["email"],
    FIELD_BY_NAME["mobile_number"],
    attribute_field("card", "string"),
    attribute_field("card", "number"),
]


def judged(field: Field, text: str) -> tuple[str | None, str]:
    """The code by which version 2 refuses a cell, and the key that it makes of it."""
    columns = {field: pa.array([text], pa.string())}
    found = validate_columns(columns, {}, field, ValueRules(version=2))
    verdict = int(found.value_verdicts[0])
    code = None if verdict == NO_FAULT else found.faults[verdict].rule.code
    return code, found.key.array[0].as_py()


@pytest.mark.parametrize("field", KEYS, ids=str)
@given(text=TEXTS)
@example(text="\u00a0JÖRΣ@Straße.de\u2028")
@example(text="0049 (30) 123-456")
@example(text="-0.50")
def test_a_key_is_normalised_as_uploads_normalise_it(field: Field, text: str) -> None:
    """And what an upload takes for no key at all, is none."""
    code, key = judged(field, text)
    if code is None:
        assert normalised_key(field, text) == key
        assert normalised_key(field, key) == key, "normalising is done once"
    elif field.kind in {"mobile", "number"}:
        assert normalised_key(field, text) is None


@given(name=st.sampled_from(["first_name", "email", "mobile_number", "state"]), text=TEXTS)
@example(name="email", text="a@b")
@example(name="first_name", text="x" * 256)
@example(name="mobile_number", text="+14155550123")
def test_a_value_is_allowed_where_an_upload_would_keep_it_as_it_is(name: str, text: str) -> None:
    """The rules are those of files in version 2, and nothing is corrected."""
    field = FIELD_BY_NAME[name]
    columns = {field: pa.array([text], pa.string())}
    found = validate_columns(columns, {}, KEYS[-1], ValueRules(version=2))
    own = [fault.rule.code for fault in found.faults if fault.column == field.header]
    verdicts = [code for code in own if code not in {"REQUIRED", "STATE_REQUIRED"}]
    kept = found.values.get(name, found.cells[name]).array[0].as_py()
    row = UserRow(mode="upsert", key="k", present=0, occurred_at=NOW, **_named(name, text))
    violation = value_violation(row)
    assert (violation is None) == (not verdicts and bool(text) and kept == text)
    if violation is not None and verdicts and text == text.strip() != "":
        assert violation.code == verdicts[0]


def _named(name: str, text: str) -> dict[str, Any]:
    return {name: text}
