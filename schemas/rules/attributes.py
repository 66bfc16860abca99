"""Custom attributes: fields that an administrator defines beside those of every user.

A definition is appended (``AttributeDefined`` to every partition of
``user-events``) before any value of it, so a replay knows it in time.
In events a value is text in the canonical form of its type; the projection
stores it typed in the ``attributes`` column (jsonb).

=========  ==========================  ==============================
type       canonical text              in jsonb
=========  ==========================  ==============================
string     as it is, trimmed           string
number     shortest decimal: ``-0.5``  number
boolean    ``true`` or ``false``       boolean
date       ``YYYY-MM-DD``              string
=========  ==========================  ==============================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from schemas.rules.fields import ADDED_COLUMNS, FIELDS, KEY_FIELD, Field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.events import AttributeType
    from schemas.rules.fields import Kind

ATTRIBUTE_TYPES: Final[tuple[AttributeType, ...]] = ("string", "number", "boolean", "date")
KEY_TYPES: Final[tuple[AttributeType, ...]] = ("string", "number")
"""The types that the reconciliation key may have as an attribute."""
MAX_ATTRIBUTES: Final = 200
NAME_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9 _-]{0,63}$"
MAX_NAME_CHARACTERS: Final = 64
MAX_NUMBER_DIGITS: Final = 15
"""Before and after the decimal point together: as many as a double, so any JSON reader, keeps."""
CANONICAL_NUMBER: Final = r"^-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?$"
"""The pattern of a number's text: a normalised :class:`~decimal.Decimal`, and not ``-0``."""
_NUMBER: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?")
_CANONICAL_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_PREFIX: Final = "attributes."
_KINDS: Final[dict[AttributeType, tuple[Kind, int]]] = {
    "string": ("text", 1024),
    "number": ("number", 64),
    "boolean": ("boolean", 16),
    "date": ("date", 32),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """A custom attribute as it was defined; ``label`` is another name of its columns."""

    name: str
    type: AttributeType
    is_reconciliation_key: bool = False
    is_indexed: bool = False
    label: str | None = None

    @property
    def field(self) -> Field:
        """Return the attribute as a field, whose name no other field has."""
        return attribute_field(self.name, self.type)


def attribute_field(name: str, attribute_type: AttributeType) -> Field:
    """Return a custom attribute as a field, whose name no other field has."""
    kind, max_characters = _KINDS[attribute_type]
    return Field(f"{_PREFIX}{name}", name, name, kind, max_characters)


def is_attribute(field: Field) -> bool:
    """Return whether the field is a custom attribute."""
    return field.name.startswith(_PREFIX)


def is_canonical(attribute_type: AttributeType, text: str) -> bool:
    """Return whether a value's text is in the canonical form of its type; see the table above."""
    if not 0 < len(text) <= _KINDS[attribute_type][1]:
        return False
    if attribute_type == "string":
        return text == text.strip()
    if attribute_type == "boolean":
        return text in {"true", "false"}
    return _is_number(text) if attribute_type == "number" else _is_date(text)


def canonical_number(value: str) -> tuple[str, int]:
    """Return the canonical text and its number of significant digits; 0 where it is no number."""
    found = _NUMBER.fullmatch(value)
    if not found or not (found[2] or found[3]):
        return value, 0
    whole, fraction = found[2].lstrip("0"), (found[3] or "").rstrip("0")
    digits = (whole + fraction).strip("0")
    sign = "-" if found[1] == "-" and digits else ""
    text = sign + (whole or "0") + (f".{fraction}" if fraction else "")
    # The zero before a point may be one character too many.
    return text, (len(digits) or 1) if len(text) <= _KINDS["number"][1] else 0


def _is_number(text: str) -> bool:
    digits = text.lstrip("-").replace(".", "").strip("0")
    is_short = len(digits) <= MAX_NUMBER_DIGITS
    return bool(re.fullmatch(CANONICAL_NUMBER, text)) and text != "-0" and is_short


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return bool(re.fullmatch(_CANONICAL_DATE, text))


def plain_name(name: str) -> str:
    """Return the name as headers are compared: without case, white space, ``_`` and ``-``."""
    return re.sub(r"[\s_-]+", "", name).lower()


TAKEN_NAMES: Final = frozenset(
    plain_name(name)
    for name in (
        *(name for field in FIELDS for name in (field.header, field.json_name)),
        *ADDED_COLUMNS,
        # Further names of a user's properties in the HTTP contract.
        *("id", "key", "active", "attributes", "lastActiveDateStr", "createdDateStr"),
        "lastModifiedDateStr",
    )
)
"""Plain names that no attribute may have."""


def key_field(reconciliation_key: str, attributes: Iterable[Attribute]) -> Field | None:
    """Return the reconciliation key's field; None where its attribute isn't defined yet."""
    if reconciliation_key in KEY_FIELD:
        return KEY_FIELD[reconciliation_key]
    return next(
        (
            attribute.field
            for attribute in attributes
            if attribute.is_reconciliation_key and attribute.name == reconciliation_key
        ),
        None,
    )
