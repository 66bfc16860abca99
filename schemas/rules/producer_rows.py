"""Validates producer rows (rows without a job), alike for the projection and for histories.

A file's line is validated before it is in the log, a producer row only when it is read
from there.
Its values are not corrected: each must be as an upload would normalise it, so that the
same user in a file changes nothing.
Checks that need more than the row (its partition, the defined attributes, who has the
key) stand where that is known.  Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from schemas.events import UserRow
from schemas.rules.attributes import (
    MAX_NUMBER_DIGITS,
    attribute_field,
    canonical_number,
    is_attribute,
    is_canonical,
)
from schemas.rules.fields import (
    EMAIL_INVALID,
    EMAIL_PATTERN,
    EVENT_ID_MISSING,
    FIELDS,
    KEY_FIELD,
    KEY_FIELD_MISMATCH,
    MOBILE_INVALID,
    MOBILE_PATTERN,
    NUL_CHARACTER,
    TEXT_NOT_TRIMMED,
    TOO_LONG,
    e164,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.events import AttributeType
    from schemas.rules.fields import Field

_NAMES: Final = tuple(field.name for field in fields(UserRow))
_LIKE_BOOLEANS: Final[dict[str, AttributeType]] = {"boolean": "boolean", "date": "date"}


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a row breaks: its code, the field that breaks it, and the field's value."""

    code: str
    field: str | None = None
    value: str | None = None


def key_field_of(setting: str, types: Mapping[str, AttributeType]) -> Field | None:
    """Return the reconciliation key's field; None where these attributes do not include it."""
    if setting in KEY_FIELD:
        return KEY_FIELD[setting]
    return attribute_field(setting, types[setting]) if setting in types else None


def normalised_key(field: Field, text: str) -> str | None:
    """Return the key for this value of the key's field; None where no user can have it.

    :mod:`ingest_api.validation.validate` does the same for whole columns.
    """
    plain = text.strip()
    match field.kind:
        case "email":
            return plain.lower() or None
        case "mobile":
            return e164(plain)
        case "number":
            number, digits = canonical_number(plain)
            return number if 0 < digits <= MAX_NUMBER_DIGITS else None
        case "boolean" | "date":
            return plain if is_canonical(_LIKE_BOOLEANS[field.kind], plain) else None
        case "text":
            return plain or None


def event_violation(row: UserRow) -> Violation | None:
    """Return the first broken rule of the event itself, apart from the user's values."""
    if not row.event_id:
        return Violation(EVENT_ID_MISSING.code, "event_id")
    if (name := _nul_field(row)) is not None:
        return Violation(NUL_CHARACTER.code, name)
    return None


def value_violation(row: UserRow) -> Violation | None:
    """Return the first field whose value is not normalised; a delete's values are never kept."""
    if row.mode == "delete":
        return None
    texts = ((field, getattr(row, field.name)) for field in FIELDS)
    for field, text in texts:
        if isinstance(text, str) and (code := _broken(field, text)):
            return Violation(code, field.name, text)
    return None


def key_field_violation(row: UserRow, field: Field) -> Violation | None:
    """Return the broken rule where the row's key is not the one in the key's field."""
    if row.mode == "delete":
        return None
    value = _key_value(row, field)
    is_fit = normalised_key(field, value) == row.key if value is not None else _may_lack(row, field)
    return None if is_fit else Violation(KEY_FIELD_MISMATCH.code, field.json_name, value)


def _key_value(row: UserRow, field: Field) -> str | None:
    return row.attributes.get(field.json_name) if is_attribute(field) else getattr(row, field.name)


def _may_lack(row: UserRow, field: Field) -> bool:
    """Return whether the key's field may be null: an upsert may leave the user's value."""
    if field.is_required:
        return True  # a null changes no user, and makes none
    if is_attribute(field):
        return row.mode == "upsert" and field.json_name not in row.attributes
    return row.mode == "upsert" and not row.present & field.bit


def _broken(field: Field, text: str) -> str | None:
    """Return the code of the rule that the text breaks."""
    if not text or text != text.strip():
        return TEXT_NOT_TRIMMED.code
    if len(text) > field.max_characters:
        return TOO_LONG.code
    if field.kind == "email" and not re.fullmatch(EMAIL_PATTERN, text):
        return EMAIL_INVALID.code
    if field.kind == "mobile" and not re.fullmatch(MOBILE_PATTERN, text):
        return MOBILE_INVALID.code
    return None


def _nul_field(row: UserRow) -> str | None:
    """Return the name of a field that holds a NUL character."""
    for name in _NAMES:
        text = getattr(row, name)
        if isinstance(text, str) and "\0" in text:
            return name
    has_nul = any("\0" in (text or "") for pair in row.attributes.items() for text in pair)
    return "attributes" if has_nul else None
