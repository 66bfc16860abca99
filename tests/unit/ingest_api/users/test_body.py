"""A user from JSON, judged by the rules of files, as an event's values."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from ingest_api.errors import IngestError
from ingest_api.users.body import UserBody, ValidationContext, changed_user, new_user, texts_of_body
from ingest_api.web.json_body import decoded
from ingest_api.web.refused import status_of
from schemas.rules.attributes import Attribute
from schemas.rules.fields import FIELD_BY_NAME, FIELDS, KEY_FIELD

if TYPE_CHECKING:
    from ingest_api.users.body import UserFields
    from schemas.events import AttributeType
    from schemas.rules.fields import Field

TODAY = date(2026, 11, 25)
TYPES: dict[str, AttributeType] = {
    "tier": "string",
    "score": "number",
    "vip": "boolean",
    "joined": "date",
}
ATTRIBUTES = {name: Attribute(name, kind) for name, kind in TYPES.items()}
CONTEXT = ValidationContext(attributes=ATTRIBUTES, key_field=KEY_FIELD["email"], today=TODAY)
ANA: dict[str, Any] = {
    "firstName": " Ana ",
    "lastName": "Silva",
    "email": "Ana@Example.org",
    "country": "India",
}
STANDING = {
    "first_name": "Ana",
    "last_name": "Silva",
    "email": "Ana@Example.org",
    "country": "India",
    "last_active_date": "2020-01-01",
    "sms_subscription": "True",
}


def made(user: dict[str, Any], context: ValidationContext = CONTEXT) -> UserFields:
    """The fields of a user that is to be added."""
    body = decoded(json.dumps(user).encode(), UserBody)
    return new_user(texts_of_body(body, context), context)


def changed(changes: dict[str, Any], **standing: str) -> UserFields:
    """The fields that change a user who stands so."""
    body = decoded(json.dumps(changes).encode(), UserBody)
    texts = STANDING | standing
    present: dict[Field, str] = {a_field: texts.get(a_field.name, "") for a_field in FIELDS}
    return changed_user(texts_of_body(body, CONTEXT), present, CONTEXT)


def faults(refused: pytest.ExceptionInfo[IngestError]) -> dict[str | int | None, str]:
    """The codes by field."""
    assert status_of(type(refused.value)) == 400
    return {detail.column: detail.code for detail in refused.value.details}


def test_a_new_user_has_every_field_set_but_subscriptions_left_open() -> None:
    """TextColumn are trimmed, the key normalised, an empty last active date is today."""
    fields = made(ANA)
    assert fields.key == "ana@example.org"
    assert fields.values == {
        "first_name": "Ana",
        "last_name": "Silva",
        "email": "Ana@Example.org",
        "mobile_number": None,
        "country": "India",
        "state": None,
        "last_active_date": TODAY,
    }
    assert fields.present == sum(field.bit for field in FIELDS if field.kind != "boolean")


@pytest.mark.parametrize(
    ("further", "name", "value"),
    [
        ({"mobileNumber": "0044 20 7946-0958"}, "mobile_number", "+442079460958"),
        ({"lastActiveDate": "08/28/2017"}, "last_active_date", date(2017, 8, 28)),
        ({"lastActiveDate": "2017-08-28"}, "last_active_date", date(2017, 8, 28)),
        ({"lastActiveDate": None}, "last_active_date", TODAY),
        ({"smsSubscription": False}, "sms_subscription", False),
        ({"smsSubscription": "no"}, "sms_subscription", False),
    ],
)
def test_values_mean_what_they_mean_in_files(
    further: dict[str, Any], name: str, value: object
) -> None:
    """Phone numbers in E.164, dates in both orders, words for booleans."""
    assert made(ANA | further).values[name] == value


def test_attributes_are_texts_in_the_canonical_form_of_their_types() -> None:
    """Those that are null or blank are left out of a new user."""
    given = {"tier": " gold ", "score": -0.50, "vip": True, "joined": "1/2/2020"}
    fields = made(ANA | {"attributes": given})
    assert fields.attributes == {
        "tier": "gold",
        "score": "-0.5",
        "vip": "true",
        "joined": "2020-01-02",
    }
    assert made(ANA | {"attributes": {"tier": None, "score": "+007.10"}}).attributes == {
        "score": "7.1"
    }


def test_a_refused_user_names_every_field_at_fault_once() -> None:
    """By the names of the body, with the codes of files."""
    with pytest.raises(IngestError) as refused:
        made(
            {"email": "nobody", "country": "usa", "mobileNumber": "12", "lastActiveDate": "2/30/1"}
        )
    assert faults(refused) == {
        "firstName": "REQUIRED",
        "lastName": "REQUIRED",
        "email": "EMAIL_INVALID",
        "mobileNumber": "MOBILE_INVALID",
        "lastActiveDate": "DATE_INVALID",
        "state": "STATE_REQUIRED",
    }
    assert refused.value.details[0].message == "email is not a valid email address."
    with pytest.raises(IngestError) as refused:
        made({})
    assert faults(refused)["email"] == "KEY_MISSING"


@pytest.mark.parametrize(
    ("further", "column", "code"),
    [
        ({"firstName": "a\0b"}, "firstName", "NUL_CHARACTER"),
        ({"lastName": "x" * 256}, "lastName", "TOO_LONG"),
        ({"smsSubscription": "perhaps"}, "smsSubscription", "BOOLEAN_INVALID"),
        ({"attributes": {"colour": "red"}}, "attributes.colour", "UNKNOWN_FIELD"),
        ({"attributes": {"tier": 1}}, "attributes.tier", "VALUE_INVALID"),
        ({"attributes": {"tier": "a\0"}}, "attributes.tier", "NUL_CHARACTER"),
        ({"attributes": {"vip": 1}}, "attributes.vip", "VALUE_INVALID"),
        ({"attributes": {"score": True}}, "attributes.score", "VALUE_INVALID"),
        ({"attributes": {"score": "many"}}, "attributes.score", "NUMBER_INVALID"),
        ({"attributes": {"score": 1234567890123456}}, "attributes.score", "NUMBER_TOO_LARGE"),
        ({"attributes": {"joined": "soon"}}, "attributes.joined", "DATE_INVALID"),
    ],
)
def test_one_value_at_fault_is_named(further: dict[str, Any], column: str, code: str) -> None:
    """With its code, and nothing else beside it."""
    with pytest.raises(IngestError) as refused:
        made(ANA | further)
    assert faults(refused) == {column: code}


@pytest.mark.parametrize(
    ("setting", "further", "key"),
    [
        ("mobileNumber", {"mobileNumber": "+1 415 555 0123"}, "+14155550123"),
        ("number", {"attributes": {"number": 7.0}}, "7"),
        ("number", {"attributes": {"number": " 07 "}}, "7"),
    ],
)
def test_the_key_may_be_another_field(setting: str, further: dict[str, Any], key: str) -> None:
    """A phone number, or a custom attribute; without it there is no user."""
    attribute = Attribute("number", "number", is_reconciliation_key=True)
    context = ValidationContext(
        attributes={"number": attribute},
        key_field=KEY_FIELD.get(setting, attribute.field),
        today=TODAY,
    )
    assert made(ANA | further, context).key == key
    with pytest.raises(IngestError) as refused:
        made(ANA, context)
    assert set(faults(refused).values()) == {"KEY_MISSING"}


def test_a_change_sets_the_fields_given_and_no_others() -> None:
    """Null and blank clear what is optional; a blank date is today, as in files."""
    fields = changed(
        {"firstName": "Anna", "mobileNumber": None, "state": " ", "lastActiveDate": None}
    )
    assert fields.values == {
        "first_name": "Anna",
        "mobile_number": None,
        "state": None,
        "last_active_date": TODAY,
    }
    assert fields.present == sum(FIELD_BY_NAME[name].bit for name in fields.values)
    assert fields.key == "ana@example.org"
    assert changed({"attributes": {"tier": None, "vip": ""}}).attributes == {
        "tier": None,
        "vip": None,
    }


@pytest.mark.parametrize(
    ("changes", "column", "code"),
    [
        ({"lastName": ""}, "lastName", "REQUIRED"),
        ({"email": None}, "email", "KEY_MISSING"),
        ({"country": "USA"}, "state", "STATE_REQUIRED"),
        ({"smsSubscription": None}, "smsSubscription", "BOOLEAN_INVALID"),
        ({"smsSubscription": "\u200b"}, "smsSubscription", "BOOLEAN_INVALID"),
        ({"email": "a@"}, "email", "EMAIL_INVALID"),
    ],
)
def test_a_change_that_no_user_may_have_is_refused(
    changes: dict[str, Any], column: str, code: str
) -> None:
    """What is required stays, and the state goes with the country."""
    with pytest.raises(IngestError) as refused:
        changed(changes)
    assert faults(refused) == {column: code}


def test_what_a_change_does_not_touch_is_not_judged_again() -> None:
    """A user that another producer left incomplete can still be changed."""
    fields = changed({"firstName": "Anna"}, last_name="", country="USA", mobile_number="12")
    assert fields.values == {"first_name": "Anna"}
    with pytest.raises(IngestError) as refused:
        changed({"state": None}, country="USA", state="Texas")
    assert faults(refused) == {"state": "STATE_REQUIRED"}
