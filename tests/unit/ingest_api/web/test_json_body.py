"""JSON bodies: what is taken, and what is said of everything else."""

from __future__ import annotations

import contextlib
import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import field

from ingest_api.errors import IngestError
from ingest_api.web.json_body import INVALID_BODY, JsonBody, decoded
from ingest_api.web.refused import status_of


class Pet(JsonBody, frozen=True):
    """What the tests send."""

    name: str
    pet_kind: Literal["cat", "dog"]
    age: int | None = None
    labels: dict[str, str] = field(default_factory=dict)


def as_json(value: object) -> bytes:
    """The value as a body."""
    return json.dumps(value).encode()


GOOD = {"name": "Zoë", "petKind": "cat"}


def refusal_of(body: bytes) -> tuple[str, str | int | None, str]:
    """Code, field and message of the one detail."""
    with pytest.raises(IngestError) as caught:
        decoded(body, Pet)
    refused = caught.value
    assert (status_of(type(refused)), refused.message, len(refused.details)) == (
        400,
        INVALID_BODY,
        1,
    )
    assert refused.details[0].line is None
    return refused.details[0].code, refused.details[0].column, refused.details[0].message


def test_a_body_is_a_value_of_its_type() -> None:
    """By its names in camel case; what may be left out has its default."""
    pet = decoded(json.dumps(GOOD).encode(), Pet)
    assert pet == Pet(name="Zoë", pet_kind="cat", age=None, labels={})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": 5}, ("VALUE_INVALID", "name", "Expected `string`, got `integer`.")),
        ({"age": "5"}, ("VALUE_INVALID", "age", "Expected `integer | null`, got `string`.")),
        ({"petKind": "cow"}, ("VALUE_INVALID", "petKind", "Invalid enum value 'cow'.")),
        (
            {"pet_kind": 1},
            ("UNKNOWN_FIELD", "pet_kind", "There is no field pet_kind here: do you mean petKind?"),
        ),
        ({"zzz": 1}, ("UNKNOWN_FIELD", "zzz", "There is no field zzz here.")),
        ({"a`b\n": 1}, ("UNKNOWN_FIELD", "a`b\n", "There is no field a`b\n here.")),
        ({"labels": {"a": 1}}, ("VALUE_INVALID", "labels", "Expected `string`, got `integer`.")),
    ],
)
def test_a_wrong_field_is_named(
    change: dict[str, object], expected: tuple[str, str | None, str]
) -> None:
    """With what is wrong about it, in JSON's words."""
    assert refusal_of(json.dumps(GOOD | change).encode()) == expected


def test_a_missing_field_is_named() -> None:
    """As it is with a line of a file."""
    assert refusal_of(b'{"name": ""}') == ("REQUIRED", "petKind", "petKind is required.")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name": "", "petKind": "cat"}x',
        b"\xff",
        b"[" * 60_000,
        b'{"name": "\\ud800"}',
        b"{'name': 1}",
    ],
    ids=["nothing", "cut", "more", "no UTF-8", "deep", "half a surrogate pair", "no JSON"],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """Whatever the fault is."""
    code, column, _ = refusal_of(body)
    assert (code, column) in {("JSON_INVALID", None), ("VALUE_INVALID", None)}


@given(st.binary() | st.recursive(st.none() | st.text(), st.lists).map(as_json))
def test_no_body_makes_it_fail(body: bytes) -> None:
    """It is taken or refused, and nothing else happens."""
    with contextlib.suppress(IngestError):
        decoded(body, Pet)
