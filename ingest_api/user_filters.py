"""Which users are asked for: the filters of a query, in the form in which they are compared.

Email is compared trimmed and lower-cased, a mobile number in E.164, country and
state without case and white space around them, a custom attribute as a value of
its type.
The values mean what they would mean in a file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, LiteralString

import pyarrow as pa

from ingest_api.cell_rules import to_booleans, to_days, to_e164
from ingest_api.cells import texts
from ingest_api.responses import invalid_parameter
from schemas.attributes import MAX_NUMBER_DIGITS
from schemas.user_rules import BOOLEAN_INVALID, DATE_INVALID, MOBILE_INVALID, NUMBER_INVALID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest_api.cells import Texts
    from ingest_api.responses import Refused
    from schemas.events import AttributeType
    from schemas.user_rules import Rule

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
_ATTRIBUTES_CONDITION: Final = "attributes @> %(attributes)s::jsonb"
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_SHOWN_CHARACTERS: Final = 100
_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class UserFilter:
    """The values asked for: those of fields as they are compared, those of attributes as sent."""

    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def is_empty(self) -> bool:
        """Whether every user is asked for."""
        return not self.fields and not self.attributes

    def condition(self, reconciliation_key: str) -> LiteralString:
        """What a user fulfils, in SQL; by the index of the key where that is asked for."""
        wanted: list[LiteralString] = [
            (_KEY_CONDITIONS if name == reconciliation_key else _CONDITIONS)[name]
            for name in self.fields
        ]
        if self.attributes:
            wanted.append(_ATTRIBUTES_CONDITION)
        return " AND ".join(wanted)

    def parameters(self, types: Mapping[str, AttributeType]) -> dict[str, object]:
        """The values of the condition's placeholders; ``types`` has every attribute there is.

        Raises:
            Refused: 400, where an attribute is unknown, or the value not of its type.
        """
        values = {
            name: _attribute_value(name, text, types) for name, text in self.attributes.items()
        }
        return {**self.fields, "attributes": json.dumps(values)}


def read_filter(query: Mapping[str, Sequence[str]]) -> UserFilter:
    """The filter that the parameters of a query are.

    Raises:
        Refused: 400, where one is repeated, empty, or can't be a value of its field.
    """
    fields = {
        name: _field_value(name, _text(name, query[name]))
        for name in FIELD_FILTERS
        if name in query
    }
    attributes = {
        name.removeprefix(ATTRIBUTE_PREFIX): _text(name, values)
        for name, values in query.items()
        if name.startswith(ATTRIBUTE_PREFIX)
    }
    return UserFilter(fields, attributes)


def _text(name: str, values: Sequence[str]) -> str:
    name = name[:_SHOWN_CHARACTERS]
    if len(values) > 1:
        raise invalid_parameter(name, f"{name} is given {len(values)} times.")
    if "\0" in values[0]:
        raise invalid_parameter(name, f"{name} holds a NUL character.")
    if not values[0].strip():
        raise invalid_parameter(name, f"{name} is empty: leave it out, or say what to look for.")
    return values[0]


def _field_value(name: str, text: str) -> str:
    if name == "mobileNumber":
        # In a query an unescaped + stands for a space.
        found, is_bad = to_e164(_column(re.sub(r"^ (?=[1-9])", "+", text).strip()))
        if is_bad[0]:
            raise _not_of_type(name, MOBILE_INVALID)
        return str(found.array[0].as_py())
    text = text.strip()
    return text.lower() if name == "email" else text


def _attribute_value(name: str, text: str, types: Mapping[str, AttributeType]) -> object:
    parameter = f"{ATTRIBUTE_PREFIX}{name}"[:_SHOWN_CHARACTERS]
    if name not in types:
        raise invalid_parameter(parameter, f'There is no custom attribute "{parameter[11:]}".')
    text = text.strip()
    match types[name]:
        case "string":
            return text
        case "number":
            value, rule = _number(text), NUMBER_INVALID
        case "boolean":
            value, rule = _boolean(text), BOOLEAN_INVALID
        case "date":
            value, rule = _day(text), DATE_INVALID
    if value is None:
        raise _not_of_type(parameter, rule)
    return value


def _not_of_type(parameter: str, rule: Rule) -> Refused:
    return invalid_parameter(parameter, rule.reason.format(column=parameter))


def _number(text: str) -> float | None:
    if not _NUMBER.fullmatch(text) or sum(map(str.isdigit, text)) > MAX_NUMBER_DIGITS:
        return None
    return float(text) if "." in text else int(text)


def _boolean(text: str) -> bool | None:
    return to_booleans(_column(text))[0][0].as_py()


def _day(text: str) -> str | None:
    days, is_bad = to_days(_column(text))
    return None if is_bad[0] else (_EPOCH + timedelta(days=int(days[0]))).isoformat()


def _column(text: str) -> Texts:
    """One value as a column, for the rules of files."""
    return texts(pa.array([text]))
