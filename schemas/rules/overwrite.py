"""Which fields of a user a file overwrites, and which it only fills where the user has none.

A job keeps the latter as a bit set: the bits of fields as in ``present``, and
:data:`ATTRIBUTES_BIT` for all custom attributes together.
A subscription is never empty, so it is never filled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.rules.attributes import plain_name
from schemas.rules.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

ATTRIBUTES_BIT: Final = 1 << len(FIELDS)
ALL_BITS: Final = 2 * ATTRIBUTES_BIT - 1
RULES: Final = ("always", "blank")
_BITS: Final[Mapping[str, int]] = {
    plain_name(name): field.bit for field in FIELDS for name in (field.header, field.json_name)
} | {"attributes": ATTRIBUTES_BIT}


class OverwriteError(ValueError):
    """A text says no rule, or names no field; the message says what would."""


def filled_fields(text: str) -> int:
    """Return the bits of the fields that are only filled.

    ``text`` is a rule for all, rules by field after an equals sign, or both, between commas:
    ``blank``, ``State=blank``, ``blank, Mobile Number=always``.

    Raises:
        OverwriteError: it says something else.
    """
    bits = 0
    for place, part in enumerate(text.split(",")):
        name, equals, rule = part.rpartition("=")
        if rule.strip() not in RULES or (not equals and place > 0):
            raise OverwriteError(
                "overwrite is always or blank, or says it by column, such as"
                " always,State=blank,attributes=blank."
            )
        chosen = _BITS.get(plain_name(name)) if equals else ALL_BITS
        if chosen is None:
            raise OverwriteError(
                f'overwrite names "{name.strip()}", which is no column of users: custom attributes'
                " are named together, as attributes."
            )
        bits = bits | chosen if rule.strip() == "blank" else bits & ~chosen
    return bits
