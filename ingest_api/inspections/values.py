"""Guesses how the values of a file are meant where its sender didn't say: by its first lines."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import phonenumbers
import pyarrow as pa

from ingest_api.parsing.columns import read_cells, take, trimmed
from ingest_api.validation.dates import DateOrders, to_days
from ingest_api.validation.phones import PHONE_REGIONS, to_phone_numbers
from schemas.rules.attributes import plain_name
from schemas.rules.fields import FIELD_BY_NAME, USA_NAMES
from schemas.rules.value_rules import DATE_ORDERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest_api.parsing.block import Block
    from ingest_api.parsing.columns import TextColumn
    from ingest_api.parsing.header import Header
    from schemas.rules.fields import Field
    from schemas.rules.value_rules import ValueRules

_MOST_SAMPLES: Final = 4
_MOST_LINES: Final = 5_000
"""That are looked at for what values mean."""
_SHOWN_CHARACTERS: Final = 60
_PART: Final = re.compile("[(,]")
_OTHER_NAMES: Final = dict.fromkeys(("uk", "england", "scotland", "wales"), "GB") | dict.fromkeys(
    map(plain_name, USA_NAMES), "US"
)


@dataclass(frozen=True, slots=True)
class FirstLines:
    """The cells of a file's first lines by column, trimmed."""

    header: Header
    columns: tuple[TextColumn, ...]

    def samples(self) -> list[list[str]]:
        """Return some different values of each column."""
        found: list[list[str]] = []
        for column in self.columns:
            values = cast("list[str]", column.array.unique().to_pylist())
            shown = [value[:_SHOWN_CHARACTERS] for value in values if value]
            found.append(shown[:_MOST_SAMPLES])
        return found

    def column(self, field: Field) -> TextColumn | None:
        """Return the column that holds this field."""
        fields = self.header.fields
        return self.columns[fields.index(field)] if field in fields else None

    def date_columns(self) -> Sequence[TextColumn]:
        """Return the columns of dates."""
        pairs = zip(self.header.fields, self.columns, strict=True)
        return [column for field, column in pairs if field and field.kind == "date"]


def first_lines(block: Block, header: Header) -> FirstLines:
    """Return the first lines of a file's first block."""
    is_whole = block.field_counts == len(header.names)
    is_whole &= np.cumsum(is_whole) <= _MOST_LINES
    names = len(header.names)
    if not is_whole.any():
        return FirstLines(header, tuple(trimmed(pa.array([], pa.string())) for _ in range(names)))
    return FirstLines(header, tuple(map(trimmed, read_cells(block, is_whole, names))))


def guessed_rules(lines: FirstLines, *, region: str | None, order: str | None) -> ValueRules:
    """Return the rules with which most of the values can be read; what is said stands."""
    rules = lines.header.rules
    if region is None:
        rules = replace(rules, phone_region=_phone_region(lines))
    if order is None:
        orders = [replace(rules, date_order=each) for each in DATE_ORDERS]
        rules = max(orders, key=lambda each: _readable_dates(lines, each))
    return rules


def are_dates_unclear(columns: Sequence[TextColumn]) -> bool:
    """Return whether each date could be month first or day first."""
    orders = DateOrders()
    for column in columns:
        orders.note(column)
    return orders.are_unclear


def _readable_dates(lines: FirstLines, rules: ValueRules) -> int:
    return sum(int(np.count_nonzero(~to_days(column, rules)[1])) for column in lines.date_columns())


def _phone_region(lines: FirstLines) -> str | None:
    """Return the country of most users whose phone numbers name none, if those fit it."""
    phones = lines.column(FIELD_BY_NAME["mobile_number"])
    countries = lines.column(FIELD_BY_NAME["country"])
    if phones is None or countries is None:
        return None
    unread = _unread(phones, None)
    names = cast("list[str]", take(countries.array, unread).to_pylist())
    regions = Counter(region for name in names if (region := region_named(name)))
    if not regions:
        return None
    ((region, _),) = regions.most_common(1)
    return region if 2 * len(_unread(phones, region)) <= len(unread) else None


def _unread(phones: TextColumn, region: str | None) -> Any:
    faults = to_phone_numbers(phones, region)[1]
    return np.unique(np.concatenate([np.array([], np.int64), *(fault.rows for fault in faults)]))


def region_named(country: str) -> str | None:
    """Return the two letters of a country of this name, in any language that Google knows."""
    if country.upper() in PHONE_REGIONS:
        return country.upper()
    names = _regions()
    return names.get(plain_name(country)) or names.get(
        plain_name(_PART.split(country, maxsplit=1)[0])
    )


@cache
def _regions() -> Mapping[str, str]:
    names = _names_of_countries()
    found = {
        plain_name(name): region
        for region in PHONE_REGIONS
        for name in names.get(region, {}).values()
        if not name.startswith("*")
    }
    return found | _OTHER_NAMES


def _names_of_countries() -> Mapping[str, Mapping[str, str]]:
    """Return the countries' names by language, by region, as phonenumbers has them.

    The module is loaded by its file: its package loads 97 MB of places, which nobody asks for.
    """
    file = Path(phonenumbers.__file__).with_name("geodata") / "locale.py"
    loader = SourceFileLoader("phonenumbers.geodata.locale", str(file))
    module = ModuleType(loader.name)
    module.__package__ = "phonenumbers.geodata"
    loader.exec_module(module)
    return module.LOCALE_DATA
