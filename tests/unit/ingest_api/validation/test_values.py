"""What a cell may be: addresses, phone numbers, dates, words, and what nobody sees."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import email_validator
import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_api.parsing.columns import text_column
from ingest_api.validation.emails import to_addresses
from ingest_api.validation.phones import to_phone_numbers
from schemas.events import RowRejected, UserRow
from schemas.rules.fields import LIBRARIES, RULES_VERSION
from tests.support.data.corpus.values import FIRST_REFUSED, FIRST_TAKEN, REFUSED_FOR
from tests.support.models.file_oracle import REASONS
from tests.support.models.validated_events import attribute_outcome, outcome_of

_PROJECT = Path(__file__).parents[4] / "pyproject.toml"
_LIBRARIES_OF_VERSION = {
    3: {"email-validator": "2.4.0", "idna": "3.20", "phonenumbers": "9.0.43"},
}
"""Add an entry where the rules get a new version; never change one."""


def test_the_libraries_are_of_the_rules_version() -> None:
    """Another version of one is another version of the rules, whose table is above."""
    pinned = tomllib.loads(_PROJECT.read_text())["project"]["dependencies"]

    assert _LIBRARIES_OF_VERSION[RULES_VERSION] == LIBRARIES
    for name, version in LIBRARIES.items():
        assert importlib.metadata.version(name) == version
        assert f"{name}=={version}" in pinned


@pytest.mark.parametrize("mode", ["insert", "upsert", "delsert"])
@pytest.mark.parametrize(("header", "cell", "code", "reason"), REFUSED_FOR)
def test_a_reason_says_what_is_wrong(
    mode: str, header: str, cell: str, code: str, reason: str
) -> None:
    """In plain words that begin with the column's name."""
    event = outcome_of({header: cell}, mode=mode)

    assert isinstance(event, RowRejected)
    assert (event.column, event.code) == (header, code)
    assert event.reason.startswith(f"{header} ")
    assert reason in event.reason


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("header", "cell", "field", "value"), FIRST_TAKEN)
def test_what_earlier_rules_took_is_taken_under_them(
    version: int, header: str, cell: str, field: str, value: object
) -> None:
    """A pass over a file of theirs comes to the same with every later code."""
    event = outcome_of({header: cell}, rules_version=version)

    assert isinstance(event, UserRow)
    assert getattr(event, field) == value


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("header", "cell", "code"), FIRST_REFUSED)
def test_what_earlier_rules_refused_is_refused_under_them(
    version: int, header: str, cell: str, code: str
) -> None:
    """With the reason that they gave."""
    event = outcome_of({header: cell}, rules_version=version)

    assert (event.column, event.code) == (header, code)
    assert event.reason == REASONS[code].format(column=header)


def test_a_key_of_text_holds_nothing_unseen() -> None:
    """Around it it is dropped, within it is named; other attributes keep it."""
    key = {"reconciliation_key": "Badge"}
    around = attribute_outcome({"Badge": "\u200fA 7\ufeff"}, **key)
    within = attribute_outcome({"Badge": "A\u00a07"}, **key)
    no_key = attribute_outcome({"Badge": "A\u00a07"})

    assert around.key == around.attributes["Badge"] == "A 7"
    assert (within.column, within.code) == ("Badge", "HIDDEN_CHARACTER")
    assert within.reason == (
        'Badge holds the invisible character U+00A0 (no-break space) after "A".'
    )
    assert no_key.attributes["Badge"] == "A\u00a07"


@given(
    st.lists(
        st.from_regex(r"[a-z.+'_-]{1,4}@?[a-z.@_-]{1,6}[.@-]?[a-z0-9.]{1,3}", fullmatch=True),
        max_size=5,
    )
)
@example(["a@b.com", "", "a--b-@c.com", "a@b--c.com", "a@-b.com", "-a@b.com", "a@b-.com", "@."])
def test_plain_addresses_are_what_the_library_takes_as_they_are(texts: list[str]) -> None:
    """Whatever stands around an address in its column."""
    column, faults = to_addresses(text_column(pa.array(texts, pa.string())))
    bad = {row for fault in faults for row in fault.rows.tolist()}

    assert column.array.to_pylist() == texts
    assert bad == {row for row, text in enumerate(texts) if text and not _is_address(text)}


def _is_address(text: str) -> bool:
    try:
        found = email_validator.validate_email(
            text, check_deliverability=False, globally_deliverable=False
        )
    except email_validator.EmailNotValidError:
        return False
    has_dot = "." in found.domain and found.domain[-1].isalpha()
    return has_dot and text.lower() == found.normalized.lower()


def test_every_calling_code_has_its_numbers() -> None:
    """An example of each country is taken as the library writes it, with a trunk zero or not."""
    numbers: list[str] = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        found = phonenumbers.example_number(region)
        assert found is not None
        numbers.append(phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164))
    written = [f"{number[:3]} ({number[3:5]}) {number[5:]}" for number in numbers]

    for texts in (numbers, written):
        column, faults = to_phone_numbers(text_column(pa.array(texts)))
        assert faults == []
        assert column.array.to_pylist() == numbers


@pytest.mark.parametrize("code", [33, 44, 49, 61, 81, 353, 380])
def test_a_trunk_zero_is_taken_out(code: int) -> None:
    """With or without the parentheses in which people write it."""
    (region, *_) = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    found = phonenumbers.example_number(region)
    assert found is not None
    number = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    rest = number.removeprefix(f"+{code}")

    texts = [f"+{code} (0){rest}", f"+{code}0{rest}", f"00{code} (0) {rest}", number]
    column, faults = to_phone_numbers(text_column(pa.array(texts)))
    assert faults == []
    assert set(column.array.to_pylist()) == {number}
