"""Dates of whole columns as days since 1970-01-01.

Dates of ten characters are read by the positions of their bytes; shorter ones, and those
with a time, one by one.
A time with a zone counts as the day that it is in UTC, one without as the day that is written.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import numpy.typing as npt

    from ingest_api.parsing.columns import Mask, Positions, TextColumn
    from schemas.rules.value_rules import DateOrder, ValueRules

    Numbers = npt.NDArray[np.int32]

_ZERO: Final = ord("0")
_US_DATE: Final = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")
_DATE_CHARACTERS: Final = 10
_EPOCH: Final = date(1970, 1, 1)
_FIRST_DAY, _LAST_DAY = (day.toordinal() - _EPOCH.toordinal() for day in (date.min, date.max))
_DAYS_BEFORE_MONTH: Final = np.array(
    [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], np.int32
)
_DAYS_IN_MONTH: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int32)
_FEBRUARY, _DECEMBER = 2, 12
_DAY_S: Final = 86_400
_MINUTE_S: Final = 60  # and minutes of an hour
_HALF_DAY_H: Final = 12

_ISO: Final = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")
_IN_ORDER: Final[dict[DateOrder, re.Pattern[str]]] = {
    "MDY": re.compile(r"(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?P<year>[0-9]{4})"),
    "DMY": re.compile(
        r"(?P<day>[0-9]{1,2})(?P<mark>[/.-])(?P<month>[0-9]{1,2})(?P=mark)(?P<year>[0-9]{4})"
    ),
    "YMD": re.compile(
        r"(?P<year>[0-9]{4})(?P<mark>[/.])(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})"
    ),
}
_MONTHS: Final = "janfebmaraprmayjunjulaugsepoctnovdec"
_MONTH_CHARACTERS: Final = 3
_MONTH: Final = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY: Final = r"(?P<day>[0-9]{1,2})"
_YEAR: Final = r"(?P<year>[0-9]{4})(?![0-9])"
_LETTERS: Final = re.IGNORECASE | re.ASCII
"""No letter but ours: an s may also be a long one, which is no s in lower case."""
_WITH_MONTH: Final = tuple(
    re.compile(rf"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{{0,6}},? )?{form}", _LETTERS)
    for form in (rf"{_MONTH} {_DAY},? {_YEAR}", rf"{_DAY}(?P<mark>[ -]){_MONTH}(?P=mark){_YEAR}")
)
"""Dates in which the month has its English name, which every order takes: RFC 5322's, and those
of the USA."""
_EITHER_ORDER: Final = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-][0-9]{4}")
_MARKS: Final[dict[DateOrder, bytes]] = {"MDY": b"/", "DMY": b"/.-", "YMD": b"/."}
_TIME: Final = re.compile(
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,][0-9]{1,9})?)?"
    r"(?: ?(?P<half>[ap])m)?"
    r"(?: ?(?:z|gmt|utc|(?P<usa>[ecmp][sd]t)"
    r"|(?P<sign>[+-])(?P<east_h>[0-9]{2}):?(?P<east_min>[0-9]{2})?))?",
    _LETTERS,
)
_WEST_H: Final = {
    "est": 5, "edt": 4, "cst": 6, "cdt": 5, "mst": 7, "mdt": 6, "pst": 8, "pdt": 7
}  # fmt: skip
"""The zones that have names in RFC 5322 (4.3), in hours west of UTC."""
_LONGEST: Final = 64
"""No date and no time has so many characters; what is longer is not remembered."""
_BLANKS: Final = re.compile(r"[\u00a0\u202f]")


def to_days(column: TextColumn, rules: ValueRules) -> tuple[Numbers, Mask]:
    """Return the dates as days since 1970-01-01, and which values are none.

    The day of an empty or bad value means nothing.
    """
    days = np.zeros(len(column.starts), np.int32)
    is_bad = column.lengths > 0
    rows = np.flatnonzero(column.lengths == _DATE_CHARACTERS)
    if len(rows):
        days[rows], is_bad[rows] = _ten_characters_to_days(column, rows, rules.date_order)
    rest = is_bad & (column.lengths != _DATE_CHARACTERS)
    if rest.any():
        values = column.values_where(rest)
        if rules.are_first:
            found = [_us_day(value) for value in values]
        else:
            found = [_day(value, rules.date_order) for value in values]
        days[rest] = [day or 0 for day in found]
        is_bad[rest] = [day is None for day in found]
    return days, is_bad


class DateOrders:
    """Whether all dates of a file fit both orders, month first and day first."""

    def __init__(self) -> None:
        self._differs = self._is_decided = False

    @property
    def are_unclear(self) -> bool:
        """True where each date is one in both orders, and not always the same."""
        return self._differs and not self._is_decided

    def note(self, column: TextColumn) -> None:
        """Take in the dates of a column."""
        for text in cast("list[str]", column.array.unique().to_pylist()):
            found = _EITHER_ORDER.match(text)
            if found:
                first, second = int(found[1]), int(found[2])
                self._is_decided |= max(first, second) > _DECEMBER
                self._differs |= first != second


def _ten_characters_to_days(
    column: TextColumn, rows: Positions, order: DateOrder
) -> tuple[Numbers, Mask]:
    """Read ``YYYY-MM-DD`` and the given order by the positions of their characters."""
    if len(column.data) == len(rows) * _DATE_CHARACTERS:
        codes = column.data.reshape(-1, _DATE_CHARACTERS)
    else:
        codes = column.data[column.starts[rows][:, None] + np.arange(_DATE_CHARACTERS)]
    digits = codes.astype(np.int32) - _ZERO
    is_digit = (digits >= 0) & (digits <= 9)  # noqa: PLR2004 - the digits
    years_first = is_digit[:, (0, 1, 2, 3, 5, 6, 8, 9)].all(axis=1)
    years_last = is_digit[:, (0, 1, 3, 4, 6, 7, 8, 9)].all(axis=1)
    is_iso = years_first & (codes[:, 4] == ord("-")) & (codes[:, 7] == ord("-"))
    first, second = (4, 7) if order == "YMD" else (2, 5)
    marks = codes[:, first]
    is_other = np.logical_or.reduce([marks == mark for mark in _MARKS[order]])
    is_other &= marks == codes[:, second]
    is_other &= years_first if order == "YMD" else years_last
    is_year_first = is_iso | (order == "YMD")
    month_at, day_at = (0, 3) if order == "MDY" else (3, 0)
    year = np.where(is_year_first, _number(digits, 0, 4), _number(digits, 6, 10))
    month = np.where(is_year_first, _number(digits, 5, 7), _number(digits, month_at, month_at + 2))
    day = np.where(is_year_first, _number(digits, 8, 10), _number(digits, day_at, day_at + 2))
    days, is_real = _calendar_days(year, month, day)
    return days, ~((is_iso | is_other) & is_real)


def _number(digits: Numbers, start: int, end: int) -> Numbers:
    number = digits[:, start]
    for place in range(start + 1, end):
        number = number * 10 + digits[:, place]
    return number


def _calendar_days(year: Numbers, month: Numbers, day: Numbers) -> tuple[Numbers, Mask]:
    """Return the days since 1970-01-01, and which dates exist; Gregorian, years from 1."""
    is_real = (year >= 1) & (month >= 1) & (month <= _DECEMBER)
    month = np.where(is_real, month, 1)
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    is_real &= (day >= 1) & (day <= _DAYS_IN_MONTH[month] + (is_leap & (month == _FEBRUARY)))
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400
    days += _DAYS_BEFORE_MONTH[month] + (is_leap & (month > _FEBRUARY)) + day
    return (days - _EPOCH.toordinal()).astype(np.int32), is_real


def _us_day(value: str) -> int | None:
    found = _US_DATE.fullmatch(value)
    return _real_day(int(found[3]), int(found[1]), int(found[2])) if found else None


def _day(value: str, order: DateOrder) -> int | None:
    """Return the day of a date, with a time or not; None where it is none."""
    value = _BLANKS.sub(" ", value)
    # Usual timestamps have no name of a month, so nobody looks for one in them.
    is_usual = value[:4].isdigit() or "/" in value[:3]
    named = None if is_usual else _date_with_month(value)
    if named:
        head, tail = named[0], value[named.end() :].lstrip(", ")
        if not tail:
            return _day_of_date(head, order)
    elif value[_DATE_CHARACTERS : _DATE_CHARACTERS + 1] in ("T", "t"):
        head, tail = value[:_DATE_CHARACTERS], value[_DATE_CHARACTERS + 1 :]
    else:
        head, blank, tail = value.partition(" ")
        if not blank:
            return _day_of_date(head, order)
        head = head.removesuffix(",")
    day, later = _day_of_date(head, order), _days_later(tail)
    if day is None or later is None:
        return None
    return day + later if _FIRST_DAY <= day + later <= _LAST_DAY else None


def _date_with_month(value: str) -> re.Match[str] | None:
    return next(filter(None, (form.match(value) for form in _WITH_MONTH)), None)


def _day_of_date(text: str, order: DateOrder) -> int | None:
    return None if len(text) > _LONGEST else _remembered_day(text, order)


@lru_cache(65_536)
def _remembered_day(text: str, order: DateOrder) -> int | None:
    forms = (_ISO, _IN_ORDER[order], *_WITH_MONTH)
    found = next(filter(None, (form.fullmatch(text) for form in forms)), None)
    if not found:
        return None
    month = found["month"]
    if month.isalpha():
        at = _MONTHS.index(month[:_MONTH_CHARACTERS].lower())
        month = at // _MONTH_CHARACTERS + 1
    return _real_day(int(found["year"]), int(month), int(found["day"]))


def _days_later(time: str) -> int | None:
    """Return how many days in UTC are later than the written one, -1 to 1; None: it is no time."""
    return None if len(time) > _LONGEST else _remembered_days_later(time)


@lru_cache(65_536)
def _remembered_days_later(time: str) -> int | None:
    found = _TIME.fullmatch(time)
    if not found:
        return None
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    if found["half"]:
        is_real = 1 <= hour <= _HALF_DAY_H
        hour = hour % _HALF_DAY_H + _HALF_DAY_H * (found["half"].lower() == "p")
    else:
        is_real = hour < _DAY_S // 3600
    east_h, east_min = (int(found[name] or 0) for name in ("east_h", "east_min"))
    is_real &= max(minute, second, east_min) < _MINUTE_S and east_h < _DAY_S // 3600
    east_s = (east_h * 3600 + east_min * 60) * (-1 if found["sign"] == "-" else 1)
    east_s -= _WEST_H.get((found["usa"] or "").lower(), 0) * 3600
    return (hour * 3600 + minute * 60 + second - east_s) // _DAY_S if is_real else None


def _real_day(year: int, month: int, day: int) -> int | None:
    try:
        return date(year, month, day).toordinal() - _EPOCH.toordinal()
    except ValueError:
        return None


def iso_dates(days: Numbers) -> pa.StringArray:
    """Return days since 1970-01-01 as ``YYYY-MM-DD``."""
    return cast("pa.StringArray", pa.array(days).view(pa.date32()).cast(pa.string()))
