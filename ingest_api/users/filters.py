"""Parse the filters of a query for users, and build their SQL condition.

Email is compared trimmed and lower-cased, a mobile number in E.164, country and
state without case and white space around them, a custom attribute as a value of
its type, a key as its field.
The values mean what they would mean in a file; but ``search`` is a part of a name, an address or
a number, for which all users are looked at: no index holds parts, because one would slow imports
down by more than it is worth (docs/decisions.md).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, LiteralString, cast

import pyarrow as pa

from ingest_api.errors import invalid_parameter
from ingest_api.parsing.columns import text_column
from ingest_api.validation.dates import iso_dates, to_days
from ingest_api.validation.field_rules import to_booleans
from ingest_api.validation.numbers import to_numbers
from ingest_api.validation.phones import to_e164, to_phone_numbers
from schemas.rules.characters import stripped_text, stripped_value
from schemas.rules.fields import (
    BOOLEAN_INVALID,
    DATE_INVALID,
    KEY_FIELD,
    MOBILE_INVALID,
    NUMBER_INVALID,
    NUMBER_TOO_LARGE,
)
from schemas.rules.value_rules import ValueRules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest_api.errors import InvalidRequestError
    from ingest_api.parsing.columns import TextColumn
    from schemas.events import AttributeType
    from schemas.rules.fields import Rule

_RULES: Final = ValueRules()
ATTRIBUTE_PREFIX: Final = "attributes."
FIELD_FILTERS: Final = ("email", "mobileNumber", "country", "state")
_CONDITIONS: Final[dict[str, LiteralString]] = {
    "email": "lower(email) = %(email)s",
    "mobileNumber": "mobile_number = %(mobileNumber)s",
    "country": "lower(country) = lower(%(country)s)",
    "state": "lower(state) = lower(%(state)s)",
}
_KEY_CONDITIONS: Final[dict[str, LiteralString]] = {
    "email": "key = %(email)s",
    "mobileNumber": "key = %(mobileNumber)s",
}
_ATTRIBUTE_CONDITION: Final[LiteralString] = (
    "hashtextextended(attributes ->> %(name{n})s::text, 0) = hashtextextended(%(value{n})s, 0)"
    " AND attributes ->> %(name{n})s::text = %(value{n})s"
)
"""As ``public.attributes`` has it indexed; {n} numbers the attributes of one filter."""
_SEARCH: Final[LiteralString] = (
    "(lower(concat_ws(' ', first_name, last_name)) LIKE lower(%(search)s)"
    " OR lower(email) LIKE lower(%(search)s) OR mobile_number LIKE %(digits)s)"
)
_OTHER_CONDITIONS: Final[dict[str, LiteralString]] = {
    "search": _SEARCH,
    "key": "key = %(key)s",
    "job": "job_id = %(job)s",
}
_AS_A_NUMBER: Final = re.compile(r"\+?[0-9 ()./\u2010-\u2015-]+")
_SHOWN_CHARACTERS: Final = 100
_MOST_SEARCHED_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class UserFilter:
    """The values to filter by: those of fields normalised, those of attributes and keys as sent.

    ``job`` finds the users whom the job with this id was the last to set.
    """

    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    key: str | None = None
    search: str | None = None
    job: int | None = None

    @property
    def is_empty(self) -> bool:
        """True where every user fits."""
        return self == UserFilter()

    def needs_attributes(self, reconciliation_key: str) -> bool:
        """Return whether the types of attributes are needed for the values."""
        is_by_attribute = self.key is not None and reconciliation_key not in KEY_FIELD
        return bool(self.attributes) or is_by_attribute

    def condition(self, reconciliation_key: str) -> LiteralString:
        """Return the SQL condition; a filter by the reconciliation key uses its index."""
        conditions: list[LiteralString] = [
            (_KEY_CONDITIONS if name == reconciliation_key else _CONDITIONS)[name]
            for name in self.fields
        ]
        conditions += map(_attribute_condition, range(len(self.attributes)))
        for name, condition in _OTHER_CONDITIONS.items():
            if getattr(self, name) is not None:
                conditions.append(condition)
        return " AND ".join(conditions)

    def parameters(
        self, types: Mapping[str, AttributeType], reconciliation_key: str
    ) -> dict[str, object]:
        """Return the values of the condition's placeholders; ``types`` has every defined attribute.

        Raises:
            InvalidRequestError: an attribute is unknown, or the value not of its type.
        """
        values: dict[str, object] = dict(self.fields)
        for number, (name, text) in enumerate(self.attributes.items()):
            parameter = f"{ATTRIBUTE_PREFIX}{name}"[:_SHOWN_CHARACTERS]
            values |= {
                f"name{number}": name,
                f"value{number}": _attribute_text(name, text.strip(), types, parameter),
            }
        if self.key is not None:
            values["key"] = _key(self.key, reconciliation_key, types)
        return values | {"job": self.job} | _search_patterns(self.search or "")


def read_filter(query: Mapping[str, Sequence[str]], job: int | None = None) -> UserFilter:
    """Parse the parameters of a query but for its job, which is known to be there.

    Raises:
        InvalidRequestError: one is repeated, empty, or can't be a value of its field.
    """
    fields = {
        name: _field_value(name, _text(name, query[name]), name)
        for name in FIELD_FILTERS
        if name in query
    }
    attributes = {
        name.removeprefix(ATTRIBUTE_PREFIX): _text(name, values)
        for name, values in query.items()
        if name.startswith(ATTRIBUTE_PREFIX)
    }
    key, search = (
        _text(name, query[name]) if name in query else None for name in ("key", "search")
    )
    if search is not None and len(search) > _MOST_SEARCHED_CHARACTERS:
        message = f"search is longer than {_MOST_SEARCHED_CHARACTERS} characters."
        raise invalid_parameter("search", message)
    return UserFilter(fields, attributes, key, search, job)


def _search_patterns(text: str) -> dict[str, object]:
    """Return the patterns of a text that is looked for, and of the number that it may be.

    A number is found as people write it: with anything between its digits, a 0 or 00 before them.
    """
    plain = " ".join(text.split())
    escaped = re.sub(r"([\\%_])", r"\\\1", plain)
    digits = re.sub(r"[^0-9]", "", plain)
    is_number = bool(digits) and _AS_A_NUMBER.fullmatch(plain)
    start = "+" if plain.startswith("+") else "%"
    return {
        "search": f"%{escaped}%",
        "digits": f"{start}{digits.lstrip('0') or digits}%" if is_number else None,
    }


def _key(text: str, reconciliation_key: str, types: Mapping[str, AttributeType]) -> str:
    if reconciliation_key in KEY_FIELD:
        return _field_value(reconciliation_key, text, "key")
    return _attribute_text(reconciliation_key, stripped_value(text), types, "key")


def _attribute_condition(number: int) -> LiteralString:
    return _ATTRIBUTE_CONDITION.replace("{n}", cast("LiteralString", str(number)))


def _text(name: str, values: Sequence[str]) -> str:
    name = name[:_SHOWN_CHARACTERS]
    if len(values) > 1:
        raise invalid_parameter(name, f"{name} is given {len(values)} times.")
    if "\0" in values[0]:
        raise invalid_parameter(name, f"{name} holds a NUL character.")
    if not stripped_value(values[0]):
        raise invalid_parameter(name, f"{name} is empty: leave it out, or say what to look for.")
    return values[0]


def _field_value(name: str, text: str, parameter: str) -> str:
    if name == "mobileNumber":
        # In a query an unescaped + stands for a space.
        column = _column(stripped_value(re.sub(r"^ (?=[1-9])", "+", text)))
        numbers, faults = to_phone_numbers(column)
        if faults:
            # A user may have been stored with it under earlier rules.
            numbers, is_bad = to_e164(column)
            if is_bad[0]:
                raise _not_of_type(parameter, MOBILE_INVALID)
        return str(numbers.array[0].as_py())
    if name == "email":
        return unicodedata.normalize("NFC", stripped_value(text)).lower()
    return stripped_text(text)


def _attribute_text(
    name: str, text: str, types: Mapping[str, AttributeType], parameter: str
) -> str:
    """Return the value of the parameter as its canonical text."""
    if name not in types:
        raise invalid_parameter(parameter, f"There is no custom attribute for {parameter}.")
    rule: Rule | None = None
    match types[name]:
        case "string":
            pass
        case "number":
            text, rule = _number(text)
        case "boolean":
            value = to_booleans(_column(stripped_value(text)), _RULES)[0][0].as_py()
            text, rule = str(value).lower(), BOOLEAN_INVALID if value is None else None
        case "date":
            days, is_bad = to_days(_column(stripped_value(text)), _RULES)
            text, rule = (
                str(iso_dates(days)[0]),
                DATE_INVALID[_RULES.date_order] if is_bad[0] else None,
            )
    if rule is not None:
        raise _not_of_type(parameter, rule)
    return text


def _number(text: str) -> tuple[str, Rule | None]:
    numbers = to_numbers(_column(text))
    rule = NUMBER_TOO_LARGE if numbers.is_too_large[0] else None
    return str(numbers.column.array[0]), NUMBER_INVALID if numbers.is_bad[0] else rule


def _not_of_type(parameter: str, rule: Rule) -> InvalidRequestError:
    return invalid_parameter(parameter, rule.reason.format(column=parameter))


def _column(text: str) -> TextColumn:
    """Return one value as a column, for the rules of files."""
    return text_column(pa.array([text]))
