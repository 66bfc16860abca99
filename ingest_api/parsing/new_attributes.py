"""Unknown columns as custom attributes that are to be defined: the names that those would have."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from ingest_api.parsing.suggestions import suggested_fields, usual_fields
from schemas.rules.attributes import (
    MAX_NAME_CHARACTERS,
    TAKEN_NAMES,
    attribute_field,
    is_attribute,
    plain_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.rules.fields import Field

_SPELLED_OUT: Final = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "&": " and "}
)
_NOT_TAKEN: Final = re.compile(r"[^A-Za-z0-9 _-]+")
_BEFORE_LETTERS: Final = re.compile(r"^[^A-Za-z]+")


def attribute_name(header: str) -> str | None:
    """Return the name that an attribute may have which is nearest to a column's; None without."""
    letters = unicodedata.normalize("NFKD", header.translate(_SPELLED_OUT))
    letters = "".join(each for each in letters if not unicodedata.combining(each))
    name = _BEFORE_LETTERS.sub("", " ".join(_NOT_TAKEN.sub(" ", letters).split()))
    return name[:MAX_NAME_CHARACTERS].strip() or None


def attributes_of(
    unknown: Sequence[str], free: Sequence[Field], known: Mapping[str, Field | None]
) -> dict[str, Field]:
    """Return by column the attribute that it holds: one of that name, or one to be defined.

    Left out are columns that probably hold a field which every user has, and those whose names
    no attribute may have; ``free`` are the fields that no column holds.
    """
    meant = suggested_fields(unknown, [field for field in free if field.is_required])
    meant |= usual_fields(unknown, free)
    found: dict[str, Field] = {}
    for header in unknown:
        name = attribute_name(header)
        if header in meant or name is None or plain_name(name) in TAKEN_NAMES:
            continue
        field = known.get(plain_name(name)) or attribute_field(name, "string")
        if is_attribute(field):
            found[header] = field
    return found
