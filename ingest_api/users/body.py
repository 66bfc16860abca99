"""Parse a user from JSON, validate it by the rules of files, and return an event's values.

The rules are those of every file's line: a single user is validated as columns of
one value each (:func:`ingest_api.validation.validate.validate_columns`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa

from ingest_api.errors import Detail, InvalidRequestError
from ingest_api.validation.validate import validate_columns
from ingest_api.web.json_body import JsonBody
from schemas.rules.attributes import is_attribute
from schemas.rules.characters import stripped_value
from schemas.rules.fields import BOOLEAN_INVALID, FIELDS, NUL_CHARACTER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ingest_api.parsing.columns import TextColumn
    from ingest_api.validation.faults import LineFault
    from ingest_api.validation.validate import ValidatedBlock
    from schemas.rules.attributes import Attribute
    from schemas.rules.fields import Field, Kind

INVALID_USER: Final = "Invalid audience member details"
Text = str | None | msgspec.UnsetType
Choice = bool | Text
_JSON_TYPES: Final[dict[Kind, tuple[type, ...]]] = {
    "number": (int, float, str),
    "boolean": (bool, str),
}
_EPOCH: Final = date(1970, 1, 1)
_Value = str | bool | int | float | None
_Parsed = str | bool | date | None


class UserBody(JsonBody, frozen=True):
    """The fields of a user that a request sets; null and blank texts clear what is optional.

    ``last_active_date`` is ``MM/DD/YYYY`` or ``YYYY-MM-DD``; blank means today.
    """

    first_name: Text = msgspec.UNSET
    last_name: Text = msgspec.UNSET
    email: Text = msgspec.UNSET
    mobile_number: Text = msgspec.UNSET
    country: Text = msgspec.UNSET
    state: Text = msgspec.UNSET
    last_active_date: Text = msgspec.UNSET
    sms_subscription: Choice = msgspec.UNSET
    email_subscription: Choice = msgspec.UNSET
    voice_subscription: Choice = msgspec.UNSET
    attributes: dict[str, _Value] | msgspec.UnsetType | None = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class UserFields:
    """The validated fields that a request sets, as an event carries them.

    ``values`` by the field's name, ``attributes`` by the attribute's; ``key`` is the
    normalised reconciliation key of the user with these values.
    """

    key: str
    values: dict[str, Any]
    attributes: Mapping[str, str | None]
    present: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationContext:
    """What a body is validated against: attributes by name, the key's field, and the day."""

    attributes: Mapping[str, Attribute]
    key_field: Field
    today: date


def texts_of_body(body: UserBody, context: ValidationContext) -> dict[Field, str]:
    """Return what the body sets as the texts of a file's cells, blank where they are null.

    Raises:
        InvalidRequestError: an attribute that is not defined, or a value of another type.
    """
    given = [(a_field, getattr(body, a_field.name)) for a_field in FIELDS]
    faults: list[Detail] = []
    if isinstance(body.attributes, dict):
        for name, value in body.attributes.items():
            attribute = context.attributes.get(name)
            if attribute is None:
                faults.append(_unknown_attribute(name))
            else:
                given.append((attribute.field, value))
    values = {a_field: value for a_field, value in given if value is not msgspec.UNSET}
    faults += [fault for a_field, value in values.items() for fault in _type_errors(a_field, value)]
    if faults:
        raise InvalidRequestError(INVALID_USER, faults)
    return {a_field: _text(value) for a_field, value in values.items()}


def new_user(given: Mapping[Field, str], context: ValidationContext) -> UserFields:
    """Validate a new user; return its fields.

    Raises:
        InvalidRequestError: with every field that is missing or breaks its rule.
    """
    columns = {a_field: "" for a_field in FIELDS if a_field.kind != "boolean"} | {
        a_field: text for a_field, text in given.items() if text or a_field.kind != "boolean"
    }
    validated = _validated(columns, context)
    _refuse(_details(validated.faults))
    fields = _event_fields(columns, validated, context.today)
    attributes = {name: text for name, text in fields.attributes.items() if text is not None}
    return UserFields(fields.key, fields.values, attributes, fields.present)


def changed_user(
    given: Mapping[Field, str], present: Mapping[Field, str], context: ValidationContext
) -> UserFields:
    """Validate a change; return the fields that it sets. ``present`` is the user as it is.

    Raises:
        InvalidRequestError: with every field that breaks its rule. What the user has and the
            request doesn't set is not validated again.
    """
    validated = _validated({**present, **given}, context)
    touched = {_name(a_field) for a_field in given}
    if "country" in touched:
        touched.add("state")
    details = [detail for detail in _details(validated.faults) if detail.column in touched]
    for a_field, text in given.items():
        if a_field.kind == "boolean" and not is_attribute(a_field) and not stripped_value(text):
            reason = BOOLEAN_INVALID.reason.format(column=_name(a_field))
            details.append(Detail(BOOLEAN_INVALID.code, reason, column=_name(a_field)))
    _refuse(details)
    return _event_fields(given, validated, context.today)


def _unknown_attribute(name: str) -> Detail:
    message = f"There is no attribute {name}: an administrator may define it."
    return Detail("UNKNOWN_FIELD", message, column=f"attributes.{name}")


def _type_errors(a_field: Field, value: _Value) -> Iterator[Detail]:
    column = _name(a_field)
    allowed = _JSON_TYPES.get(a_field.kind, (str,))
    if value is not None and type(value) not in allowed:
        names = " or ".join("string" if kind is str else a_field.kind for kind in allowed[-2:])
        yield Detail("VALUE_INVALID", f"{column} must be a {names}.", column=column)
    if isinstance(value, str) and "\0" in value:
        yield Detail(NUL_CHARACTER.code, NUL_CHARACTER.reason.format(column=column), column=column)


def _text(value: _Value) -> str:
    """Return the value as the text of a file's cell."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return format(Decimal(repr(value)), "f")
        case _:
            return str(value)


def _name(a_field: Field) -> str:
    """Return the field's name in the body."""
    return a_field.name if is_attribute(a_field) else a_field.json_name


def _validated(columns: Mapping[Field, str], context: ValidationContext) -> ValidatedBlock:
    return validate_columns(
        {a_field: pa.array([text], pa.string()) for a_field, text in columns.items()},
        {a_field: _name(a_field) for a_field in (*columns, *FIELDS, context.key_field)},
        context.key_field,
    )


def _details(faults: list[LineFault]) -> list[Detail]:
    """Return the first violation of each field."""
    details: dict[str, Detail] = {}
    for fault in faults:
        detail = Detail(fault.rule.code, fault.reason, column=fault.column)
        details.setdefault(fault.column, detail)
    return list(details.values())


def _refuse(details: list[Detail]) -> None:
    if details:
        raise InvalidRequestError(INVALID_USER, details)


def _event_fields(columns: Iterable[Field], validated: ValidatedBlock, today: date) -> UserFields:
    values = {a_field: _value(a_field, validated) for a_field in columns}
    own = {a_field: value for a_field, value in values.items() if not is_attribute(a_field)}
    return UserFields(
        key=_only(validated.key),
        values={
            a_field.name: today if value is None and a_field.kind == "date" else value
            for a_field, value in own.items()
        },
        attributes={
            a_field.json_name: _canonical_text(value)
            for a_field, value in values.items()
            if is_attribute(a_field)
        },
        present=sum(a_field.bit for a_field in own),
    )


def _value(a_field: Field, validated: ValidatedBlock) -> _Parsed:
    """Return the only row's value in this column, None where it is blank."""
    cells = validated.cells[a_field.name]
    if not cells.lengths[0]:
        return None
    match a_field.kind:
        case "mobile" | "number":
            return _only(validated.values[a_field.name])
        case "boolean":
            return validated.values[a_field.name][0].as_py()
        case "date":
            return _EPOCH + timedelta(days=int(validated.values[a_field.name][0]))
        case "text" | "email":
            return _only(cells)


def _canonical_text(value: _Parsed) -> str | None:
    """Return the value as events hold it among attributes, see :mod:`schemas.rules.attributes`."""
    match value:
        case bool():
            return "true" if value else "false"
        case date():
            return value.isoformat()
        case _:
            return value


def _only(column: TextColumn) -> str:
    return column.array[0].as_py()
