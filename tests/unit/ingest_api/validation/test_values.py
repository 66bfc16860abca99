"""What a cell may be: addresses, phone numbers, dates, words, and what nobody sees."""

from __future__ import annotations

import gc
import importlib.metadata
import tomllib
import tracemalloc
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, cast

import email_validator
import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest_api.parsing.columns import text_column
from ingest_api.validation.dates import DateOrders, to_days
from ingest_api.validation.emails import to_addresses
from ingest_api.validation.phones import to_phone_numbers
from schemas.events import RowRejected, UserRow
from schemas.rules.fields import LIBRARIES, RULES_VERSION
from schemas.rules.value_rules import ValueRules
from tests.support.data.corpus.values import FIRST_REFUSED, FIRST_TAKEN, REFUSED_FOR
from tests.support.models.file_oracle import REASONS
from tests.support.models.validated_events import attribute_outcome, outcome_of

if TYPE_CHECKING:
    from schemas.events import DateOrder

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


@given(
    st.lists(st.text("01.+'p: ", max_size=4), min_size=1, max_size=4),
    st.sampled_from([None, "US", "DE"]),
)
@example(["", "1"], None)
@settings(deadline=None)
def test_numbers_of_a_column_are_what_each_is_alone(texts: list[str], region: str | None) -> None:
    """Whatever stands beside them, and if nothing does."""

    def read(some: list[str]) -> tuple[list[str | None], list[int]]:
        column, faults = to_phone_numbers(text_column(pa.array(some, pa.string())), region)
        bad = sorted(row for fault in faults for row in fault.rows.tolist())
        return column.array.to_pylist(), bad

    alone = [read([text]) for text in texts]
    assert read(texts) == (
        [number for numbers, _ in alone for number in numbers],
        [row for row, (_, bad) in enumerate(alone) if bad],
    )


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


def test_a_national_number_is_of_the_region() -> None:
    """As each country writes its own, and as it is dialled from there abroad."""
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        number = phonenumbers.example_number(region)
        assert number is not None
        whole = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        texts = [national, whole, "+44 20 7946 0958"]
        column, faults = to_phone_numbers(text_column(pa.array(texts)), region)
        assert (region, faults) == (region, [])
        assert column.array.to_pylist() == [whole, whole, "+442079460958"], region


@pytest.mark.parametrize(
    ("region", "text", "number"),
    [
        ("US", "011 44 20 7946 0958", "+442079460958"),
        ("GB", "0044 20 7946 0958", "+442079460958"),
        ("GB", "447700900123", "+447700900123"),
        ("RU", "8 (495) 123-45-67", "+74951234567"),
        ("IT", "392 1234567", "+393921234567"),
        ("DE", "49151 12345678", "+4915112345678"),
        ("DE", "4915112345678.0", "+4915112345678"),
        ("DE", "4915/123456", "+494915123456"),
        ("US", "'1 415 555 0123", "+14155550123"),
    ],
)
def test_a_number_is_read_as_dialled_in_its_region(region: str, text: str, number: str) -> None:
    """With the prefixes that are used there."""
    assert outcome_of({"Mobile Number": text}, phone_region=region).mobile_number == number


@pytest.mark.parametrize("text", ["112", "07700 900123 ext 7", "(020) CALL-ME"])
def test_what_is_no_number_of_the_region_is_refused(text: str) -> None:
    """And the reason names it."""
    event = outcome_of({"Mobile Number": text}, phone_region="GB")

    assert (event.code, "phone number of GB" in event.reason) == ("MOBILE_INVALID", True)


@pytest.mark.parametrize(
    ("order", "pattern"),
    [
        *(("MDY", form) for form in ("{m:02}/{d:02}/{y:04}", "{m}/{d}/{y:04}")),
        *(
            ("DMY", form)
            for form in ("{d:02}/{m:02}/{y:04}", "{d}.{m}.{y:04}", "{d:02}-{m:02}-{y:04}")
        ),
        *(("YMD", form) for form in ("{y:04}/{m:02}/{d:02}", "{y:04}.{m}.{d}")),
    ],
)
@given(day=st.dates())
@example(day=date(1, 1, 1))
@example(day=date(2024, 2, 29))
def test_a_date_is_read_in_the_order_that_is_said(order: str, pattern: str, day: date) -> None:
    """Of ten characters or fewer, with a time or not; ISO 8601 always is."""
    text = pattern.format(y=day.year, m=day.month, d=day.day)
    rules = ValueRules(date_order=cast("DateOrder", order))
    texts = [text, f"{text} 11:59 PM", day.isoformat()]
    days, is_bad = to_days(text_column(pa.array(texts)), rules)

    assert not is_bad.any()
    assert set(days.tolist()) == {(day - date(1970, 1, 1)).days}


@pytest.mark.parametrize(
    ("order", "text"),
    [("DMY", "12/31/2025"), ("DMY", "31/12.2025"), ("YMD", "31/12/2025"), ("MDY", "12.31.2025")],
)
def test_a_date_of_another_order_is_refused(order: str, text: str) -> None:
    """With the form that is taken."""
    event = outcome_of({"Last Active Date": text}, date_order=order)
    usual = {"MDY": "MM/DD/YYYY", "DMY": "DD/MM/YYYY", "YMD": "YYYY/MM/DD"}[order]

    assert (event.code, f"use {usual} or" in event.reason) == ("DATE_INVALID", True)


@pytest.mark.parametrize(
    ("texts", "are_unclear"),
    [
        (["01/02/2026", "03/04/2025"], True),
        (["01/02/2026", "13/04/2025"], False),
        (["01/02/2026", "04/13/2025"], False),
        (["05/05/2026"], False),
        (["2026-01-02", ""], False),
    ],
)
def test_dates_that_fit_both_orders_are_noticed(texts: list[str], are_unclear: bool) -> None:
    """Where not one of them tells."""
    orders = DateOrders()
    orders.note(text_column(pa.array(texts)))

    assert orders.are_unclear == are_unclear


@pytest.mark.parametrize(
    "cell", ["\u017fep 5, 2024", "5-\u017fep-2024", "2024-01-02 10:00 e\u017ft"]
)
def test_a_letter_that_only_looks_like_ours_is_none(cell: str) -> None:
    """A long s is an s to those who compare without case."""
    assert outcome_of({"Last Active Date": cell}).code == "DATE_INVALID"


def test_long_cells_are_not_remembered() -> None:
    """A file of them would fill the memory for good."""
    cells = [f"{number:08} " + "x" * 60_000 for number in range(200)]
    column = text_column(pa.array(cells, pa.string()))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    days, is_bad = to_days(column, ValueRules())
    numbers, faults = to_phone_numbers(column)
    del days, numbers, faults
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert is_bad.all()
    assert kept < sum(map(len, cells)) / 10
