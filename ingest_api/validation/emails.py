"""Email addresses of whole columns: by their bytes where they are plain, else by email-validator.

Only syntax is judged, and nobody is asked: neither DNS nor a server.
Plain is an address of ASCII with no odd character, which email-validator takes as it is.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

import email_validator
import numpy as np

from ingest_api.parsing.columns import with_replaced
from ingest_api.validation.faults import value_faults
from schemas.rules.characters import hidden_fault
from schemas.rules.fields import EMAIL_PATTERN

if TYPE_CHECKING:
    from ingest_api.parsing.columns import Codes, Mask, Positions, TextColumn
    from ingest_api.validation.faults import ValueFault

email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()  # whether a name is public is not syntax

_EMAIL: Final = re.compile(EMAIL_PATTERN)
_INVALID: Final = "is not a valid email address"
_MAX_LOCAL_PART: Final = 64
_MAX_LABEL: Final = 63
_AT, _DOT, _HYPHEN = b"@.-"
_DELETE: Final = 0x7F
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


_LETTER_OR_DIGIT, _MARK, _LOCAL, _ODD = range(4)
_KINDS: Final = bytes(
    _LETTER_OR_DIGIT
    if chr(code) in f"{_LETTERS}0123456789"
    else _MARK
    if code in b"@.-"
    else _LOCAL
    if code in b"!#$%&'*+/=?^_`{|}~"
    else _ODD
    for code in range(256)
)


def is_bad_email(column: TextColumn) -> Mask:
    """Return which values :data:`EMAIL_PATTERN` refuses, the rule of versions 1 and 2."""
    is_bad = (column.lengths > 0) & ~_is_dotted(column)
    if is_bad.any():
        is_bad[is_bad] = [_EMAIL.fullmatch(value) is None for value in column.values_where(is_bad)]
    return is_bad


def to_addresses(column: TextColumn) -> tuple[TextColumn, list[ValueFault]]:
    """Return the addresses in Unicode's NFC, and what is wrong with those that are none."""
    is_odd = (column.lengths > 0) & ~_is_plain(column)
    if not is_odd.any():
        return column, []
    given = column.values_where(is_odd)
    texts = [unicodedata.normalize("NFC", text) for text in given]
    faults = value_faults(is_odd, map(address_fault, texts))
    return column if texts == given else with_replaced(column, is_odd, texts), faults


def address_fault(text: str) -> str | None:
    """Return what is wrong with this text as an address, in words that follow its column's name.

    It is trimmed and in NFC.
    """
    fault = hidden_fault(text)
    if fault is None:
        fault = _usual_fault(text) or _fault_by_library(text)
        fault = fault and f"{_INVALID}{fault}"
    return fault


def _usual_fault(text: str) -> str | None:
    """Return what files hold in place of an address."""
    at = text.count("@")
    if not at:
        return "."
    is_quoted = text.startswith('"')
    found = (
        (text.lower().startswith("mailto:"), 'it begins with "mailto:"'),
        (not is_quoted and bool({*"<>"} & {*text}), "give it alone, without a name and <>"),
        (at > 1, "it holds more than one @"),
        (text[-1] in ",;", f'it ends with "{text[-1]}"'),
        (not is_quoted and bool({*"()"} & {*text}), "it holds a comment in parentheses"),
        (" " in text, "it holds a blank"),
        ("\ufffd" in text, "it holds U+FFFD, which stands for a character that was lost"),
        (len(text.partition("@")[0]) > _MAX_LOCAL_PART, "more than 64 characters precede the @"),
    )
    return next((f": {fault}." for is_found, fault in found if is_found), None)


def _fault_by_library(text: str) -> str | None:
    try:
        found = email_validator.validate_email(
            text, check_deliverability=False, allow_quoted_local=True, globally_deliverable=False
        )
    except email_validator.EmailNotValidError as error:
        return f". {error}"
    local, _, domain = text.rpartition("@")
    domain = domain.lower()
    ascii_domain = found.ascii_domain.lower()
    if local != found.local_part or domain not in {found.domain.lower(), ascii_domain}:
        return f": write it as {found.normalized}."
    if "." not in ascii_domain:
        return ": the part after the @ has no dot."
    if ascii_domain[-1] not in _LETTERS:
        return ": the part after the @ ends with no letter."
    return None


def _is_plain(column: TextColumn) -> Mask:
    """Return which values are plain; False where that is not clear."""
    data, starts, ends = column.data, column.starts, column.ends
    is_plain = np.zeros(len(ends), np.bool_)
    kinds = np.frombuffer(data.tobytes().translate(_KINDS), np.uint8)
    # Few bytes are marks: what is looked for among them alone costs little.
    marks = np.flatnonzero(kinds == _MARK)
    codes = data[marks]
    is_at = codes == _AT
    ats = marks[is_at]
    if not len(ats):
        return is_plain
    rows = column.rows_at(ats)
    at = np.zeros(len(ends), np.int64)
    at[rows] = ats
    is_no_hyphen = codes != _HYPHEN
    dots = marks[is_no_hyphen]
    next_dot = np.append(dots[1:], len(data))[is_at[is_no_hyphen]]
    is_plain[rows] = next_dot < ends[rows]
    is_plain &= np.bincount(rows, minlength=len(ends)) == 1
    local_part, domain = at - starts, ends - at - 1
    is_plain &= (local_part > 0) & (local_part <= _MAX_LOCAL_PART) & (domain <= _MAX_LABEL)
    # Of what a domain may hold, only letters are that high.
    is_plain &= (data[ends - 1] >= ord("A")) & (data[np.minimum(starts, len(data) - 1)] != _DOT)
    never, not_in_domain = _odd_places(kinds, marks, is_no_hyphen)
    is_plain[column.rows_at(never)] = False
    rows = column.rows_at(not_in_domain)
    is_plain[rows[not_in_domain >= at[rows]]] = False
    return is_plain


def _odd_places(kinds: Codes, marks: Positions, is_no_hyphen: Mask) -> tuple[Positions, Positions]:
    """Return the places of what no plain address has, and of what no domain has.

    Dots and an @ never stand side by side; a domain has no hyphen beside another mark.
    """
    is_beside_next = marks[1:] - marks[:-1] == 1
    pairs = marks[:-1][is_beside_next]
    has_no_hyphen = (is_no_hyphen[1:] & is_no_hyphen[:-1])[is_beside_next]
    never, not_in_domain = pairs[has_no_hyphen], pairs[~has_no_hyphen]
    if kinds.max() > _MARK:
        never = np.append(np.flatnonzero(kinds == _ODD), never)
        not_in_domain = np.append(np.flatnonzero(kinds == _LOCAL), not_in_domain)
    return never, not_in_domain


def _is_dotted(column: TextColumn) -> Mask:
    """Return which values are ASCII with one @ and a dotted domain; False if that is not clear."""
    data, ends = column.data, column.ends
    ats = np.flatnonzero(data == _AT)
    if not len(ats):
        return np.zeros(len(ends), np.bool_)
    rows = column.rows_at(ats)
    at = np.zeros(len(ends), np.int64)
    at[rows] = ats
    local_part = at - column.starts
    is_plain = np.bincount(rows, minlength=len(ends)) == 1
    is_plain &= (local_part > 0) & (local_part <= _MAX_LOCAL_PART)
    is_plain &= (data[np.minimum(at + 1, len(data) - 1)] != _DOT) & (data[ends - 1] != _DOT)
    # A domain ends with two to four letters nearly always.
    has_dot = np.zeros(len(ends), np.bool_)
    for back in (4, 3, 5):
        has_dot |= (data[np.maximum(ends - back, 0)] == _DOT) & (ends - back > at + 1)
    is_plain &= has_dot
    dots = np.flatnonzero(data == _DOT)
    doubled = dots[1:][np.diff(dots) == 1]
    odd = np.flatnonzero((data <= ord(" ")) | (data >= _DELETE))
    is_plain[column.rows_at(doubled)] = False
    is_plain[column.rows_at(odd)] = False
    return is_plain
