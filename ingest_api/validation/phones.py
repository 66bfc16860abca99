"""Phone numbers of whole columns in E.164, by the data of libphonenumber (`phonenumbers`).

What people write between digits is taken out first.
A number is decided by its bytes where its length is one that its calling code has, and no
trunk prefix follows that code; the library decides about the few others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat, ValidationResult

from ingest_api.parsing.columns import text_column_of_bytes, with_replaced, without
from ingest_api.validation.faults import value_faults
from schemas.rules.characters import HIDDEN, SPACES
from schemas.rules.fields import MOBILE_INVALID, MOBILE_PATTERN, MOBILE_PUNCTUATION

if TYPE_CHECKING:
    import numpy.typing as npt
    from phonenumbers import PhoneNumber

    from ingest_api.parsing.columns import Codes, Mask, TextColumn
    from ingest_api.validation.faults import ValueFault

_MOBILE_DIGITS: Final = (7, 15)
_MOST_REMEMBERED: Final = 64
"""Characters of a text whose verdict is remembered."""
_ASCII_END: Final = 0x80
_ZERO, _ONE, _NINE, _PLUS, _DOT, _APOSTROPHE, _P = b"019+.'p"
_PUNCTUATION: Final = np.array(
    [re.fullmatch(MOBILE_PUNCTUATION, chr(code)) is not None for code in range(256)]
)
_DASHES: Final = "\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_NOT_LINE_ENDS: Final = {character for character in HIDDEN if ord(character) >= _ASCII_END}
_TYPOGRAPHY: Final = str.maketrans(
    dict.fromkeys((_NOT_LINE_ENDS | SPACES | {*_DASHES}) - {"\u2028", "\u2029", "\u0085"})
)
"""What programs and phones put between digits, taken out."""
_MOBILE: Final = re.compile(MOBILE_PATTERN)
_SHORTENED: Final = re.compile(r"[0-9,]+E\+[0-9]+", re.IGNORECASE)
_FRACTION: Final = re.compile(r"\+?[0-9]{7,}\.0")
_INVALID: Final = MOBILE_INVALID.reason.removeprefix("{column} ")
_INVALID_IN: Final = (
    "is neither a phone number of {region} nor one in international form, such as +14155550123."
)
PHONE_REGIONS: Final = tuple(sorted(phonenumbers.SUPPORTED_REGIONS))
"""Countries by their two letters of ISO 3166."""


def load_calling_codes() -> None:
    """Read libphonenumber's data, which takes some hundredths of a second, before it is needed."""
    _calling_codes()


def to_phone_numbers(
    column: TextColumn, region: str | None = None
) -> tuple[TextColumn, list[ValueFault]]:
    """Return the phone numbers in E.164, and what is wrong with those that are none.

    One without its country is taken as one of the region, if there is any.
    """
    plain = column
    if not _is_plus_and_digits(column):
        plain = _without_marks_of_tables(without_typography(column))
        plain = without(plain, _PUNCTUATION[plain.data])
        plain = plain if region and _dials_abroad_otherwise(region) else _with_plus(plain)
    numbers = _with_country(plain, region) if region else plain
    is_odd = (column.lengths > 0) & ~_is_plain(numbers, _is_mobile(numbers))
    if not is_odd.any():
        return numbers, []
    given = plain.values_where(is_odd)
    found = [_judged(number, region) for number in given]
    texts = [number or text for (number, _), text in zip(found, given, strict=True)]
    faults = value_faults(is_odd, (detail for _, detail in found))
    return with_replaced(numbers, is_odd, texts), faults


def _dials_abroad_otherwise(region: str) -> bool:
    """Return whether numbers abroad are not dialled with 00 there; the library knows how."""
    metadata = PhoneMetadata.metadata_for_region(region)
    return metadata is not None and metadata.international_prefix != "00"


def _with_country(column: TextColumn, region: str) -> TextColumn:
    """Return national numbers with the region's calling code in place of the trunk prefix.

    What begins with that very code is left alone, because it may be meant so; so is all of a
    region where more than a trunk prefix may precede a number.
    """
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None or not _is_simple(metadata) or not len(column.data):
        return column
    trunk = metadata.national_prefix or ""
    code = str(phonenumbers.country_code_for_region(region))
    starts = column.data[np.minimum(column.starts, len(column.data) - 1)]
    is_national = (column.lengths > 0) & (starts != _PLUS)
    if not is_national.any():
        return column
    texts = [
        f"+{code}{text.removeprefix(trunk)}"
        if (trunk and text.startswith(trunk)) or not text.startswith(code)
        else text
        for text in column.values_where(is_national)
    ]
    return with_replaced(column, is_national, texts)


def without_typography(column: TextColumn) -> TextColumn:
    """Return the values without spaces, dashes and marks that are not of ASCII."""
    is_other = column.data >= _ASCII_END
    if not is_other.any():
        return column
    is_odd = np.zeros(len(column.starts), np.bool_)
    is_odd[column.rows_at(np.flatnonzero(is_other))] = True
    plain = [text.translate(_TYPOGRAPHY) for text in column.values_where(is_odd)]
    return with_replaced(column, is_odd, plain)


def _without_marks_of_tables(column: TextColumn) -> TextColumn:
    """Return values without the apostrophe or ``p:`` that keeps text text, and a number's .0."""
    if not len(column.data):
        return column
    starts = np.minimum(column.starts, len(column.data) - 1)
    is_marked = (column.data[starts] == _APOSTROPHE) | (column.data[starts] == _P)
    before_last = column.data[np.maximum(column.ends - 2, 0)]
    is_marked |= (column.data[column.ends - 1] == _ZERO) & (before_last == _DOT)
    is_marked &= column.lengths > 0
    if not is_marked.any():
        return column
    # Facebook's lead forms write p: there.
    marked = column.values_where(is_marked)
    texts = [text.removeprefix("'").removeprefix("p:") for text in marked]
    plain = [text[:-2] if _FRACTION.fullmatch(text) else text for text in texts]
    return with_replaced(column, is_marked, plain)


def _judged(text: str, region: str | None) -> tuple[str | None, str | None]:
    """Return what the library says; texts that are no numbers are not remembered."""
    judge = _by_library if len(text) <= _MOST_REMEMBERED else _by_library.__wrapped__
    return judge(text, region)


@lru_cache(4096)
def _by_library(text: str, region: str | None) -> tuple[str | None, str | None]:
    """Return the number that this text without punctuation is, or what is wrong with it."""
    invalid = _INVALID if region is None else _INVALID_IN.format(region=region)
    if not re.fullmatch(r"\+[0-9]+" if region is None else r"\+?[0-9]+", text):
        is_shortened = _SHORTENED.fullmatch(text)
        more = " A spreadsheet has shortened it: format the column as text." if is_shortened else ""
        return None, invalid + more
    try:
        number = _parsed(text, region)
    except NumberParseException as error:
        is_code = error.error_type == NumberParseException.INVALID_COUNTRY_CODE
        more = f" No country has a calling code that {text[:4]} begins with." if is_code else ""
        return None, invalid + more
    canonical = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    is_possible = phonenumbers.is_possible_number_with_reason(number)
    if is_possible == ValidationResult.IS_POSSIBLE and _MOBILE.fullmatch(canonical):
        return canonical, None
    code = f"+{number.country_code}"
    digits = len(canonical) - len(code)
    return None, f"{invalid} After {code} no number has {digits} digits."


def _parsed(text: str, region: str | None) -> PhoneNumber:
    """Return the number; what only lacks its + is one with a calling code.

    Raises:
        NumberParseException: it is none.
    """
    number = phonenumbers.parse(text, region)
    code = str(number.country_code)
    if text.startswith("+") or not text.startswith(code):
        return number
    metadata = PhoneMetadata.metadata_for_region(region or "")
    # Where national numbers begin with a trunk prefix, one without it is rather whole.
    is_whole_likelier = bool(metadata and metadata.national_prefix not in {None, "", code})
    if is_whole_likelier or not phonenumbers.is_valid_number(number):
        whole = phonenumbers.parse(f"+{text}")
        return whole if phonenumbers.is_valid_number(whole) else number
    return number


@dataclass(frozen=True, slots=True)
class _CallingCodes:
    """What libphonenumber knows of calling codes, by the first three digits of a number.

    ``lengths`` has a bit for each count of digits that numbers have, the code included;
    ``code_digits`` is the code's length, ``trunk`` the first byte of the trunk prefix, or 0.
    ``prefixes`` is what may stand there besides, by the index, where ``has_prefixes``.
    """

    lengths: npt.NDArray[np.int32]
    code_digits: npt.NDArray[np.int64]
    trunk: npt.NDArray[np.uint8]
    has_prefixes: Mask
    prefixes: dict[int, re.Pattern[str]]


@cache
def _calling_codes() -> _CallingCodes:
    codes = _CallingCodes(
        np.zeros(1000, np.int32),
        np.zeros(1000, np.int64),
        np.zeros(1000, np.uint8),
        np.zeros(1000, np.bool_),
        {},
    )
    least, most = _MOBILE_DIGITS
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, regions[0])
        if metadata is None or metadata.general_desc is None:
            raise RuntimeError(f"phonenumbers has no data of the calling code {code}")
        digits = len(str(code))
        totals = (digits + length for length in metadata.general_desc.possible_length)
        step = 10 ** (3 - digits)
        at = slice(code * step, (code + 1) * step)
        codes.lengths[at] = sum(1 << total for total in totals if least <= total <= most)
        codes.code_digits[at] = digits
        codes.trunk[at] = ord(metadata.national_prefix[0]) if metadata.national_prefix else 0
        if not _is_simple(metadata):
            codes.has_prefixes[at] = True
            prefix = re.compile(metadata.national_prefix_for_parsing or "")
            codes.prefixes.update(dict.fromkeys(range(at.start, at.stop), prefix))
    return codes


def _is_simple(metadata: PhoneMetadata) -> bool:
    """Return whether the trunk prefix is all that may precede a national number."""
    return metadata.national_prefix_for_parsing == metadata.national_prefix


def _is_plain(column: TextColumn, is_mobile: Mask) -> Mask:
    """Return which of these numbers are right as they are; False where that is not clear."""
    rows = np.flatnonzero(is_mobile)
    codes = _calling_codes()
    starts, digits = column.starts[rows], column.lengths[rows] - 1
    data = column.data
    code = data[starts + 1] * np.int64(100) + data[starts + 2] * np.int64(10) + data[starts + 3]
    code -= _ZERO * 111
    first_of_rest = data[starts + 1 + codes.code_digits[code]]
    is_plain = np.zeros(len(is_mobile), np.bool_)
    is_plain[rows] = (codes.lengths[code] >> digits) & 1 == 1
    is_plain[rows] &= first_of_rest != codes.trunk[code]
    is_asked = is_plain.copy()
    is_asked[rows] &= codes.has_prefixes[code]
    if is_asked.any():
        of_row = code[is_asked[rows]].tolist()
        is_plain[is_asked] = [
            not _has_prefix(text, codes, at)
            for text, at in zip(column.values_where(is_asked), of_row, strict=True)
        ]
    return is_plain


def _has_prefix(number: str, codes: _CallingCodes, at: int) -> bool:
    """Return whether something precedes the national number that is not its trunk prefix."""
    found = codes.prefixes[at].match(number, 1 + int(codes.code_digits[at]))
    return found is not None and found.end() > found.start()


def to_e164(column: TextColumn) -> tuple[TextColumn, Mask]:
    """Return the phone numbers in E.164, and which values are none, as versions 1 and 2 do.

    What people write between digits is taken out, a leading 00 becomes ``+``.
    """
    plain = column
    if not _is_plus_and_digits(column):
        plain = _with_plus(without(column, _PUNCTUATION[column.data]))
    return plain, (column.lengths > 0) & ~_is_mobile(plain)


def _is_mobile(column: TextColumn) -> Mask:
    """Return which values :data:`MOBILE_PATTERN` takes."""
    lengths = column.lengths
    is_good = (lengths > _MOBILE_DIGITS[0]) & (lengths <= _MOBILE_DIGITS[1] + 1)
    if not _is_plus_and_digits(column):
        others = column.rows_at(np.flatnonzero(_is_no_digit(column.data)))
        is_good &= np.bincount(others, minlength=len(lengths)) == 1
    if len(column.data):
        last = len(column.data) - 1
        second = column.data[np.minimum(column.starts + 1, last)]
        is_good &= column.data[np.minimum(column.starts, last)] == _PLUS
        is_good &= (second >= _ONE) & (second <= _NINE)
    return is_good


def _is_plus_and_digits(column: TextColumn) -> bool:
    """Return whether each value is + and then digits only."""
    heads = column.starts[column.lengths > 0]
    is_other = _is_no_digit(column.data)
    return np.count_nonzero(is_other) == len(heads) and bool((column.data[heads] == _PLUS).all())


def _is_no_digit(data: Codes) -> Mask:
    return (data < _ZERO) | (data > _NINE)


def _with_plus(column: TextColumn) -> TextColumn:
    """Return the values with + for a leading 00."""
    rows = np.flatnonzero(column.lengths > 1)
    starts = column.starts[rows]
    starts = starts[(column.data[starts] == _ZERO) & (column.data[starts + 1] == _ZERO)]
    if not len(starts):
        return column
    data = column.data.copy()
    data[starts + 1] = _PLUS
    is_dropped = np.zeros(len(data), np.bool_)
    is_dropped[starts] = True
    return without(text_column_of_bytes(data, np.append(column.starts, len(data))), is_dropped)
