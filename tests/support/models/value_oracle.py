"""What a cell comes to by each version of the rules, one value at a time, in plain Python.

Addresses and phone numbers are judged by the libraries themselves, whatever they look like.
"""

from __future__ import annotations

import re
import unicodedata
from calendar import month_abbr, month_name
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context
from functools import partial
from typing import TYPE_CHECKING

import email_validator
import phonenumbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.events import JobAccepted

SUBSCRIPTIONS = ("sms_subscription", "email_subscription", "voice_subscription")
MOST_OF_TYPE = {"string": 1024, "number": 64, "boolean": 16, "date": 32}
MOST = {"email": 254, "mobile_number": 32, "last_active_date": 32} | dict.fromkeys(
    SUBSCRIPTIONS, 16
)
FILLERS = re.compile("[\u00ad\u115f\u1160\u180e\u200b\u2060-\u2064\u2800\u3164\ufeff\uffa0]")
BELONGING = re.compile(
    "[\u034f\u061c\u200c-\u200f\u202a-\u202e\u2066-\u206f\ufe00-\ufe0f"
    "\U000e0001\U000e0020-\U000e007f\U000e0100-\U000e01ef]"
)
CONSENT_WORDS = (
    *("subscribed", "optedin", "optin", "unsubscribed", "neversubscribed", "notsubscribed"),
    *("nonsubscribed", "optedout", "optout"),
)
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"


@dataclass(frozen=True, slots=True)
class Refusal(Exception):  # noqa: N818 - raised and caught here only
    """Why a line is refused; the column is None where all of it is."""

    column: str | None
    code: str
    value: str | None
    limit: int = 0


def is_free(field: str, attribute_type: str | None) -> bool:
    """Whether the field is text of any kind."""
    return attribute_type == "string" or (attribute_type is None and field.lstrip("!") not in MOST)


def stripped(cell: str, job: JobAccepted, *, is_free: bool) -> str:
    """The cell without what nobody sees around it."""
    if job.rules_version < 3:
        return cell.strip()
    seen = [place for place, character in enumerate(cell) if _is_seen(character)]
    if not seen:
        return ""
    first, last = seen[0], seen[-1]
    if is_free:
        kept = [
            place
            for place, character in enumerate(cell)
            if _is_seen(character) or BELONGING.match(character)
        ]
        first, last = kept[0], kept[-1]
    return cell[first : last + 1]


def _is_seen(character: str) -> bool:
    is_unseen = FILLERS.match(character) or BELONGING.match(character)
    return not (character.isspace() or is_unseen)


def _hidden(text: str) -> bool:
    return any(
        not _is_seen(character) or unicodedata.category(character) == "Cc"
        for character in text
        if character != " "
    )


def value_of(
    job: JobAccepted, field: str, cell: tuple[str, str], attribute_type: str | None, *, is_key: bool
) -> str | date | bool | None:
    """The value of a stripped cell, given with the name of its column; None if it is blank."""
    text, column = cell
    if not text:
        return None
    if is_key and len(text.encode()) > 1024:
        raise Refusal(column, "KEY_TOO_LONG", text)
    most = MOST_OF_TYPE[attribute_type] if attribute_type else MOST.get(field.lstrip("!"), 255)
    if len(text) > most:
        raise Refusal(column, "TOO_LONG", text, most)
    is_first = job.rules_version < 3
    later_words = () if is_first else ("t", "on", "1.0", "f", "off", "0.0", *CONSENT_WORDS)
    rules: dict[str, Callable[[str, str], str | date | bool]] = {
        "email": _email if is_first else _later_email,
        "mobile": _mobile if is_first else _later_mobile,
        "date": _date if is_first else _later_date,
        "number": _number,
        "boolean": partial(_boolean, more=later_words),
        "text": partial(_text, is_seen=is_key and not is_first),
    }
    value = rules[_kind(field, attribute_type)](text, column)
    # A word for consent says of a subscription what it says anywhere.
    is_turned = field[0] == "!" and re.sub(r"[\s_-]", "", text.lower()) not in CONSENT_WORDS
    return not value if is_turned else value


def _kind(field: str, attribute_type: str | None) -> str:
    kinds = {"email": "email", "mobile_number": "mobile", "last_active_date": "date"}
    if attribute_type:
        return "text" if attribute_type == "string" else attribute_type
    return kinds.get(field) or ("boolean" if field.lstrip("!") in SUBSCRIPTIONS else "text")


def _text(text: str, column: str, *, is_seen: bool) -> str:
    if is_seen and _hidden(text):
        raise Refusal(column, "HIDDEN_CHARACTER", text)
    return text


def _number(text: str, column: str) -> str:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", text):
        raise Refusal(column, "NUMBER_INVALID", text)
    exact = Context(prec=100)
    number = exact.create_decimal(text).normalize(exact)
    canonical = f"{number:f}" if number else "0"
    if len(canonical) > 64:
        raise Refusal(column, "NUMBER_INVALID", text)
    if len(number.as_tuple().digits) > 15:
        raise Refusal(column, "NUMBER_TOO_LARGE", text)
    return canonical


def _email(text: str, column: str) -> str:
    local, _, domain = text.partition("@")
    is_odd = any(character.isspace() or ord(character) < 32 for character in text)
    if (
        text.count("@") != 1
        or not 1 <= len(local) <= 64
        or "." not in domain
        or not all(domain.split("."))
        or is_odd
        or "\x7f" in text
    ):
        raise Refusal(column, "EMAIL_INVALID", text)
    return text


def _mobile(text: str, column: str) -> str:
    plain = "".join(character for character in text if character not in " ()./-")
    if plain.startswith("00"):
        plain = "+" + plain[2:]
    digits = plain[1:]
    is_number = digits.isascii() and digits.isdigit()
    if not (plain.startswith("+") and is_number and 7 <= len(digits) <= 15) or digits[0] == "0":
        raise Refusal(column, "MOBILE_INVALID", text)
    return plain


def _date(text: str, column: str) -> date:
    us = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", text)
    iso = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", text)
    try:
        if us:
            return date(int(us[3]), int(us[1]), int(us[2]))
        if iso:
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
    except ValueError:
        pass
    raise Refusal(column, "DATE_INVALID", text)


def _boolean(text: str, column: str, more: Sequence[str]) -> bool:
    words = ("true", "yes", "y", "1", "false", "no", "n", "0", *more)
    word = text.lower()
    if word not in words:
        word = re.sub(r"[ \t\n\f\r_-]", "", word)
    if word not in words or (word != text.lower() and word not in CONSENT_WORDS):
        raise Refusal(column, "BOOLEAN_INVALID", text)
    return word in ("true", "yes", "y", "1", "t", "on", "1.0", "subscribed", "optedin", "optin")


def _later_email(text: str, column: str) -> str:
    """As email-validator says, of every address."""
    value = unicodedata.normalize("NFC", text)
    try:
        found = email_validator.validate_email(
            value, check_deliverability=False, allow_quoted_local=True, globally_deliverable=False
        )
    except email_validator.EmailNotValidError:
        raise Refusal(column, "EMAIL_INVALID", value) from None
    local, _, domain = value.rpartition("@")
    is_same = domain.lower() in {found.domain.lower(), found.ascii_domain.lower()}
    is_odd = (
        _hidden(value)
        or " " in value
        or "\ufffd" in value
        or value.count("@") != 1
        or len(local) > 64
    )
    if local != found.local_part or not is_same or is_odd or value.lower().startswith("mailto:"):
        raise Refusal(column, "EMAIL_INVALID", value)
    if not re.search(r"\.[^.]*[a-z]$", found.ascii_domain.lower()):
        raise Refusal(column, "EMAIL_INVALID", value)
    return value


def _later_mobile(text: str, column: str) -> str:
    """As it stands where its calling code has numbers so long, else as phonenumbers says."""
    given = re.sub(r"\A(\+?[0-9]{7,})\.0\Z", r"\1", re.sub(r"\A'?(p:)?", "", text))
    plain = "".join(
        character
        for character in given
        if character not in " ()./-" + DASHES
        and (character in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029" or _is_seen(character))
        and not "\x80" <= character <= "\x9f"
    )
    if plain.startswith("00"):
        plain = "+" + plain[2:]
    if not re.fullmatch(r"\+[0-9]+", plain):
        raise Refusal(column, "MOBILE_INVALID", text)
    if _is_usual(plain):
        return plain
    try:
        number = phonenumbers.parse(plain)
    except phonenumbers.NumberParseException:
        raise Refusal(column, "MOBILE_INVALID", text) from None
    found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    is_possible = phonenumbers.is_possible_number_with_reason(number)
    if is_possible != phonenumbers.ValidationResult.IS_POSSIBLE or not 8 <= len(found) <= 16:
        raise Refusal(column, "MOBILE_INVALID", text)
    return found


def _is_usual(plain: str) -> bool:
    if plain.startswith("+0"):
        return False
    codes = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    code = next((int(plain[1:end]) for end in (2, 3, 4) if int(plain[1:end] or 0) in codes), 0)
    if not code or not 7 <= len(plain) - 1 <= 15:
        return False
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, codes[code][0])
    assert metadata is not None
    assert metadata.general_desc is not None
    rest = plain[1 + len(str(code)) :]
    trunk = (metadata.national_prefix or "x")[0]
    prefix = re.match(metadata.national_prefix_for_parsing or trunk, rest)
    is_prefixed = rest.startswith(trunk) or (prefix is not None and prefix.end() > 0)
    return len(rest) in metadata.general_desc.possible_length and not is_prefixed


def _later_date(text: str, column: str) -> date:
    """A date, perhaps with a time, which counts as the day that it is in UTC."""
    plain = _with_month_in_digits(re.sub("[\u00a0\u202f]", " ", text))
    found = re.fullmatch(
        r"(?P<date>[0-9-]{10}|[0-9/]{8,10}),?(?:(?:(?<=[0-9/-]{10})[Tt]|(?<=[0-9,]) )"
        r"(?P<time>[0-9:.,]+)"
        r"(?P<half> ?[AaPp][Mm])?(?P<zone> ?(?:[Zz]|GMT|UTC|gmt|utc"
        r"|[ECMPecmp][SDsd][Tt]|[+-][0-9:]{2,5}))?)?",
        plain,
    )
    try:
        if found and found["time"]:
            return _day_in_utc(_date(found["date"], column), found)
        if found and not plain.endswith(","):
            return _date(plain, column)
    except (Refusal, ValueError, OverflowError):
        pass
    raise Refusal(column, "DATE_INVALID", text)


def _with_month_in_digits(text: str) -> str:
    """A date whose month has its English name, as ISO 8601 writes it, with what follows it."""
    words = re.sub(r"\A(mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},? ", "", text, flags=re.IGNORECASE)
    usa = re.match(r"([A-Za-z]+)\.? (\d{1,2}),? ([0-9]{4})(?!\d)", words, re.ASCII)
    other = re.match(r"(\d{1,2})([ -])([A-Za-z]+)\.?\2([0-9]{4})(?!\d)", words, re.ASCII)
    found = usa or other
    if found is None:
        return text
    name, day, year = usa.groups() if usa else (found[3], found[1], found[4])
    names = [[month_name[at], month_abbr[at], "Sept"][: 3 if at == 9 else 2] for at in range(13)]
    months = [at for at in range(1, 13) if name.lower() in [each.lower() for each in names[at]]]
    if not months:
        return text
    rest = words[found.end() :].lstrip(", ")
    return f"{year}-{months[0]:02}-{int(day):02}" + (f" {rest}" if rest else "")


def _day_in_utc(day: date, found: re.Match[str]) -> date:
    clock = re.fullmatch(
        r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]{1,9})?)?", found["time"]
    )
    if clock is None:
        raise ValueError(found["time"])
    hour, minute, second = (int(number or 0) for number in clock.groups())
    half = (found["half"] or "").strip().lower()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if half == "pm" else 0)
    east = timedelta()
    zone = re.fullmatch(r" ?([+-])([0-9]{2}):?([0-9]{2})?", found["zone"] or "")
    if zone:
        hours, minutes = int(zone[2]), int(zone[3] or 0)
        if hours > 23 or minutes > 59:
            raise ValueError(zone[0])
        east = timedelta(hours=hours, minutes=minutes) * (-1 if zone[1] == "-" else 1)
    elif re.search("[+-]", found["zone"] or ""):
        raise ValueError(found["zone"])
    elif (found["zone"] or "").strip().upper() not in {"", "Z", "GMT", "UTC"}:
        name = found["zone"].strip().upper()
        east = -timedelta(hours=5 + "ECMP".index(name[0]) - (name[1] == "D"))
    return (datetime(day.year, day.month, day.day, hour, minute, second) - east).date()  # noqa: DTZ001
