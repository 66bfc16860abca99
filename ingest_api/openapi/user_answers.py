"""Makes the answer for a user from a row of the read model, whole or some of its fields."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from ingest_api.openapi.response_types import User
from ingest_api.web.dates import date_text, day_text
from schemas.rules.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest_api.openapi.response_types import AttributeValue
    from schemas.events import AttributeType

    Row = Mapping[str, Any]

_DAY: Final = "last_active_date"
FIELD_NAMES: Final = {field.name: field.json_name for field in FIELDS}
SHOWN_NAMES: Final = {name: FIELD_NAMES[name] for name in FIELD_NAMES if name != _DAY} | {
    _DAY: "lastActiveDateStr"
}
"""The names that fields are shown with, by their names in tables."""


def user_of(row: Row) -> User:
    """Return the user that the row is."""
    return User(
        id=str(row["id"]),
        **{name: row[name] for name in FIELD_NAMES if name != _DAY},
        active=True,
        last_active_date_str=day_text(row[_DAY]),
        created_date_str=date_text(row["created_at"]),
        last_modified_date_str=date_text(row["modified_at"]),
        attributes=row["attributes"],
    )


def shown_fields(values: Row, prefix: str = "") -> dict[str, Any]:
    """Return those fields that are among the values, by the names that users are shown with."""
    return {
        shown: shown_value(values[prefix + name])
        for name, shown in SHOWN_NAMES.items()
        if prefix + name in values
    }


def shown_value(value: Any, attribute_type: AttributeType | None = None) -> AttributeValue:
    """Return a field's value as users are shown with it; events have attributes as texts."""
    match attribute_type, value:
        case _, date():
            return day_text(value)
        case "number", str():
            return float(value) if "." in value else int(value)
        case "boolean", str():
            return value == "true"
        case _:
            return value
