"""Reads what the sender of a file says of its columns: ``Header=Field``, or a JSON object."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from ingest_api.parsing.file_format import AUTO
from ingest_api.uploads.invalid_option import invalid_option
from schemas.events import ColumnMapping
from schemas.rules.attributes import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_IGNORED: Final = frozenset({"", "ignore"})
_MOST_CHARACTERS: Final = 32 * 1024
_FORM: Final = (
    "columns says what columns hold, as Header=Field, once for each, or as one JSON object:"
    ' {"Email Address": "Email", "Notes": null}; a column whose field is ignore or null is ignored.'
    " !Email Subscription: the column says who has opted out of it."
    " auto: columns called as other programs do hold what those mean."
)


def columns_of(values: Sequence[str]) -> tuple[ColumnMapping, ...] | None:
    """Return the mappings in these values, in the order of their headers; None without values.

    Raises:
        InvalidRequestError: they can't be read, or say something twice of a column.
    """
    if not values:
        return None
    said = [value for value in values if value != AUTO]
    found = sorted(mapping for value in said for mapping in _mappings(value))
    if sum(len(each.header) + len(each.field) for each in found) > _MOST_CHARACTERS:
        raise invalid_option("columns", "columns is longer than 32,768 characters.")
    counted = Counter(plain_name(each.header) for each in found)
    for each in found:
        if counted[plain_name(each.header)] > 1:
            raise invalid_option("columns", f"columns names {each.header[:100]} twice.")
    return tuple(found)


def _mappings(value: str) -> Iterator[ColumnMapping]:
    if value.lstrip().startswith("{"):
        try:
            pairs = msgspec.json.decode(value, type=dict[str, str | None])
        except msgspec.MsgspecError:
            raise invalid_option("columns", _FORM) from None
        for header, field in pairs.items():
            yield _mapping(header, field or "")
        return
    header, mark, field = value.rpartition("=")
    if not mark:
        raise invalid_option("columns", _FORM)
    yield _mapping(header, field)


def _mapping(header: str, field: str) -> ColumnMapping:
    if not plain_name(header):
        raise invalid_option("columns", _FORM)
    plain = field.strip()
    return ColumnMapping(header.strip(), "" if plain.lower() in _IGNORED else plain)
