"""What a file may hold, as Markdown made from the rules: for the API's description and the docs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ingest_api.parsing.file_format import AUTO, DELIMITERS, Limits
from schemas.rules.attributes import (
    ATTRIBUTE_TYPES,
    MAX_ATTRIBUTES,
    MAX_NUMBER_DIGITS,
    attribute_field,
)
from schemas.rules.fields import (
    DATE_INVALID,
    FALSE_WORDS,
    FIELDS,
    MAX_KEY_BYTES,
    OPTED_IN_WORDS,
    OPTED_OUT_WORDS,
    TRUE_WORDS,
    USA_NAMES,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.rules.fields import Field, Kind

_HOLDS: Final[dict[Kind, str]] = {
    "text": "text",
    "email": "an address by email-validator",
    "mobile": "a phone number by libphonenumber's data, with its country or `phoneRegion`",
    "date": "a date, with a time or not",
    "boolean": "yes or no",
    "number": f"a number of {MAX_NUMBER_DIGITS} digits at most",
}


def file_table() -> str:
    """Return the tables of columns, formats and limits."""
    return "\n".join([*_columns(), "", *_formats()])


def _columns() -> Iterator[str]:
    yield "| column | in JSON | needed | holds | characters |"
    yield "|---|---|---|---|---|"
    for field in FIELDS:
        needed = "of a new user" if field.is_required else _needed(field)
        yield _row(field.header, f"`{field.json_name}`", field, needed)
    for kind in ATTRIBUTE_TYPES:
        field = attribute_field("", kind)
        yield _row(f"a custom attribute, {kind}", "`attributes`", field, "")


def _row(name: str, json_name: str, field: Field, needed: str) -> str:
    cells = (name, json_name, needed, _HOLDS[field.kind], str(field.max_characters))
    return f"| {' | '.join(cells)} |"


def _needed(field: Field) -> str:
    return f"where the country is {_listed(USA_NAMES)}" if field.name == "state" else ""


def _formats() -> Iterator[str]:
    limits = Limits()
    yield "| | what is taken |"
    yield "|---|---|"
    for order, rule in DATE_INVALID.items():
        usual = rule.reason.partition("use ")[2].partition(",")[0]
        yield f"| a date, `dateOrder={order}` | {usual} |"
    yield f"| yes | {_listed(TRUE_WORDS | OPTED_IN_WORDS)}, in any case |"
    yield f"| no | {_listed(FALSE_WORDS | OPTED_OUT_WORDS)}, in any case |"
    named = ", ".join(f"`{name}`" for name in (*DELIMITERS, AUTO))
    yield f"| between cells, `DELIMITER` | {named} |"
    yield f"| the reconciliation key | {MAX_KEY_BYTES:,} bytes at most |"
    yield f"| custom attributes | {MAX_ATTRIBUTES} at most |"
    most = f"{limits.max_header_bytes:,} bytes, {limits.max_columns:,} columns"
    yield f"| a header | {most} at most |"
    yield f"| a line | {limits.max_record_bytes:,} bytes at most, unless set otherwise |"
    yield f"| a cell | {limits.max_cell_bytes:,} bytes at most, unless set otherwise |"
    yield f"| a gzip file | {limits.max_unpacked_bytes:,} bytes unpacked, unless set otherwise |"


def _listed(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))
