"""A user as answers show it: from a row of the read model, whole or some of its fields."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from ingest_api.openapi.response_types import User
from ingest_api.web.dates import date_text, day_text
from schemas.rules.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    Row = Mapping[str, Any]

_DAY: Final = "last_active_date"
_NAMES: Final = {field.name: field.json_name for field in FIELDS if field.kind != "date"}
_SHOWN: Final = _NAMES | {_DAY: "lastActiveDateStr"}


def user_of(row: Row) -> User:
    """Return the user that the row is."""
    return User(
        id=str(row["id"]),
        **{name: row[name] for name in _NAMES},
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
        for name, shown in _SHOWN.items()
        if prefix + name in values
    }


def shown_value(value: Any) -> Any:
    """Return a field's value as users are shown with it."""
    return day_text(value) if isinstance(value, date) else value
