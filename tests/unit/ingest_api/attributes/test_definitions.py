"""Which definitions of attributes are refused before anything is appended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ingest_api.attributes.definitions import AttributeBody, Definition, faults_of, name_conflict
from schemas.events import AttributeDefined
from schemas.rules.attributes import MAX_ATTRIBUTES

if TYPE_CHECKING:
    from schemas.events import AttributeType

NOW = datetime(2026, 11, 25, tzinfo=UTC)
PARTITIONS = 3


def codes(
    name: str, kind: AttributeType = "string", *, is_key: bool = False, setting: str = "email"
) -> list[str]:
    """Of the faults of a definition."""
    body = AttributeBody(name=name, type=kind, is_reconciliation_key=is_key)
    return [fault.code for fault in faults_of(body, setting)]


def definition(name: str, *partitions: int, seconds: int = 0) -> Definition:
    """Of an attribute that these partitions know."""
    event = AttributeDefined(
        name=name,
        type="string",
        is_reconciliation_key=False,
        is_indexed=True,
        defined_at=NOW + timedelta(seconds=seconds),
        defined_by="admin",
    )
    return Definition(frozenset(partitions), event)


def code_beside(name: str, *others: Definition) -> str | None:
    """Why the name may not stand beside the others."""
    known = {other.event.name: other for other in others}
    fault = name_conflict(name, known, PARTITIONS)
    return fault and fault.code


def test_a_name_that_is_free_is_taken() -> None:
    """Of every type."""
    kinds: list[AttributeType] = ["string", "number", "boolean", "date"]
    assert [codes("Loyalty Tier", kind) for kind in kinds] == [[], [], [], []]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "NAME_INVALID"),
        ("1st", "NAME_INVALID"),
        ("tier\n", "NAME_INVALID"),
        ("x" * 65, "NAME_INVALID"),
        ("größe", "NAME_INVALID"),
        ("first name", "NAME_TAKEN"),
        ("E-Mail", "NAME_TAKEN"),
        ("Error Code", "NAME_TAKEN"),
    ],
)
def test_a_name_that_no_attribute_may_have_is_refused(name: str, code: str) -> None:
    """Because of its characters, or because headers mean a field by it."""
    assert codes(name) == [code]


def test_only_the_attribute_that_the_setting_names_is_the_key() -> None:
    """It must be marked, be spelled so, and be of a type that can be compared."""
    assert codes("memberId", is_key=True, setting="memberId") == []
    assert codes("memberId", "number", is_key=True, setting="memberId") == []
    assert codes("memberId", "date", is_key=True, setting="memberId") == ["KEY_TYPE_INVALID"]
    assert codes("memberId", setting="memberId") == ["NOT_THE_KEY"]
    assert codes("member_id", is_key=True, setting="memberId") == ["NAME_TAKEN"]
    assert codes("tier", is_key=True) == ["NOT_THE_KEY"]
    assert codes("tier", is_key=True, setting="memberId") == ["NOT_THE_KEY"]


def test_a_name_that_headers_cannot_tell_from_another_is_refused() -> None:
    """Also while that one is not known everywhere."""
    assert code_beside("tier") is None
    assert code_beside("tier", definition("score", 0)) is None
    assert code_beside("Tier_", definition("tier", 0, 1, 2)) == "NAME_TAKEN"
    assert code_beside("Tier_", definition("tier", 0)) == "NAME_TAKEN"


def test_of_two_half_defined_names_exactly_one_goes_on() -> None:
    """The one that is known everywhere, else the earlier one."""
    early, late = definition("tier", 0), definition("Tier_", 0, seconds=1)
    assert code_beside("tier", early, late) is None
    assert code_beside("Tier_", early, late) == "NAME_TAKEN"
    known = definition("Tier_", 0, 1, 2, seconds=1)
    assert code_beside("tier", early, known) == "NAME_TAKEN"
    assert code_beside("Tier_", early, known) is None


def test_there_are_so_many_attributes_and_no_more() -> None:
    """One that is defined already is none more."""
    full = [definition(f"a{number}", 0, 1, 2) for number in range(MAX_ATTRIBUTES)]
    assert code_beside("tier", *full) == "TOO_MANY_ATTRIBUTES"
    assert code_beside("a0", *full) is None
