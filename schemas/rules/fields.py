"""The fields of a user and the rules of their values: one table for every side.

The columnar validation of uploads and that of single users both read it.
A change of a rule's meaning needs a new :data:`RULES_VERSION`, because a pass over a
file must have the same result with every later version of the code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

RULES_VERSION: Final = 3
"""2: custom attributes; a cell of an error file loses the apostrophe that it was given there.
3: characters that nobody sees, addresses and phone numbers by libraries, dates with a time or a
month's name, more words for booleans; a line of delimiters alone is blank."""
LIBRARIES: Final = {"email-validator": "2.4.0", "idna": "3.20", "phonenumbers": "9.0.43"}
"""Whose data decide about values: these versions are part of the rules' version."""

Kind = Literal["text", "email", "mobile", "date", "boolean", "number"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a user.

    ``name`` is its column in events and tables, ``json_name`` its name in the
    HTTP contract, ``header`` its column in a file.
    ``max_characters`` counts Unicode code points.
    A custom attribute is a field too, see :mod:`schemas.rules.attributes`; it has no bit.
    """

    name: str
    json_name: str
    header: str
    kind: Kind
    max_characters: int
    is_required: bool = False

    @property
    def bit(self) -> int:
        """The field's bit in ``present``."""
        return 1 << FIELDS.index(self)

    @property
    def is_never_cleared(self) -> bool:
        """True where a null of an upsert leaves the field as it was."""
        return self.is_required or self.kind in ("boolean", "date")


FIELDS: Final[tuple[Field, ...]] = (
    Field("first_name", "firstName", "First Name", "text", 255, is_required=True),
    Field("last_name", "lastName", "Last Name", "text", 255, is_required=True),
    Field("email", "email", "Email", "email", 254, is_required=True),
    Field("mobile_number", "mobileNumber", "Mobile Number", "mobile", 32),
    Field("country", "country", "Country", "text", 255, is_required=True),
    Field("state", "state", "State", "text", 255),
    Field("last_active_date", "lastActiveDate", "Last Active Date", "date", 32),
    Field("sms_subscription", "smsSubscription", "SMS Subscription", "boolean", 16),
    Field("email_subscription", "emailSubscription", "Email Subscription", "boolean", 16),
    Field("voice_subscription", "voiceSubscription", "Voice Subscription", "boolean", 16),
)
FIELD_BY_NAME: Final = {field.name: field for field in FIELDS}
SUBSCRIPTIONS: Final = tuple(field for field in FIELDS if field.kind == "boolean")
"""What a user can opt out of: true unless the sender says otherwise."""
OPPOSITES: Final = {
    replace(
        field,
        name=f"not_{field.name}",
        json_name=f"!{field.json_name}",
        header=f"!{field.header}",
    ): field
    for field in SUBSCRIPTIONS
}
"""What a column that says who has opted out holds, and of which subscription it is the opposite.

They are fields of files only: a user has none of them.
"""
KEY_FIELD: Final[dict[str, Field]] = {
    "email": FIELD_BY_NAME["email"],
    "mobileNumber": FIELD_BY_NAME["mobile_number"],
}
"""The key's field, by the value of the setting."""

MAX_KEY_BYTES: Final = 1024
USA_NAMES: Final = frozenset({"usa", "us", "united states", "united states of america"})
"""Lower-cased country names with which a state is required."""

EMAIL_PATTERN: Final = (
    r"^[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f.]+(\.[^\s@\x00-\x1f\x7f.]+)+$"
)
"""One @, a local part of at most 64 characters (RFC 5321, 4.5.3.1.1), a dotted domain."""
MOBILE_PATTERN: Final = r"^\+[1-9][0-9]{6,14}$"
"""E.164: at most 15 digits; fewer than 7 reach nobody."""
MOBILE_PUNCTUATION: Final = r"[ ()./-]"
"""Characters between the digits, removed before the pattern is tried."""
FIRST_TRUE_WORDS: Final = frozenset({"true", "yes", "y", "1"})
FIRST_FALSE_WORDS: Final = frozenset({"false", "no", "n", "0"})
"""Under versions 1 and 2 of the rules."""
TRUE_WORDS: Final = FIRST_TRUE_WORDS | {"t", "on", "1.0"}
FALSE_WORDS: Final = FIRST_FALSE_WORDS | {"f", "off", "0.0"}
OPTED_IN_WORDS: Final = frozenset({"subscribed", "opted-in", "opt-in"})
OPTED_OUT_WORDS: Final = frozenset(
    {"unsubscribed", "never-subscribed", "not-subscribed", "non-subscribed", "opted-out", "opt-out"}
)
"""Words of other programs for consent; a blank or ``_`` may stand for their hyphen, or nothing."""
ADDED_COLUMNS: Final = ("Error Line", "Error Code", "Error Reason")
"""Columns of an error file, ignored when it is uploaded again."""
MISSING_CELL: Final = "(this cell is missing)"
"""In an error file, a cell that a line with too few fields lacks: nobody knows which it is.

Uploaded again as it is, the line still lacks it; corrected, it is overwritten or emptied.
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """Why a line is refused: a code for programs, a reason for people.

    ``reason`` is a format: ``{column}`` is the column's header as uploaded,
    the other names are said where the rule is applied.
    """

    code: str
    reason: str


TOO_FEW_FIELDS: Final = Rule(
    "TOO_FEW_FIELDS", "The line has {found} fields, the header has {expected}."
)
TOO_MANY_FIELDS: Final = Rule(
    "TOO_MANY_FIELDS", "The line has {found} fields, the header has {expected}."
)
KEY_MISSING: Final = Rule("KEY_MISSING", "{column} is required: it is the reconciliation key.")
KEY_TOO_LONG: Final = Rule("KEY_TOO_LONG", "{column} is longer than 1024 bytes.")
REQUIRED: Final = Rule("REQUIRED", "{column} is required.")
STATE_REQUIRED: Final = Rule("STATE_REQUIRED", "State is required where the country is USA.")
EMAIL_INVALID: Final = Rule("EMAIL_INVALID", "{column} is not a valid email address.")
MOBILE_INVALID: Final = Rule(
    "MOBILE_INVALID", "{column} is not a phone number in international form, such as +14155550123."
)
FIRST_DATE_INVALID: Final = Rule(
    "DATE_INVALID", "{column} is not a date: use MM/DD/YYYY or YYYY-MM-DD."
)
DATE_INVALID: Final = {
    order: Rule(
        "DATE_INVALID", f"{{column}} is not a date: use {usual} or YYYY-MM-DD, with a time or not."
    )
    for order, usual in (("MDY", "MM/DD/YYYY"), ("DMY", "DD/MM/YYYY"), ("YMD", "YYYY/MM/DD"))
}
"""By the order in which the sender writes dates."""
FIRST_BOOLEAN_INVALID: Final = Rule("BOOLEAN_INVALID", "{column} is neither true nor false.")
BOOLEAN_INVALID: Final = Rule(
    "BOOLEAN_INVALID",
    "{column} is neither true nor false: use true, yes, y, t, on or 1,"
    " or false, no, n, f, off or 0.",
)
"""Those named FIRST are of versions 1 and 2 of the rules."""
NUMBER_INVALID: Final = Rule("NUMBER_INVALID", "{column} is not a number such as 12 or -0.5.")
NUMBER_TOO_LARGE: Final = Rule("NUMBER_TOO_LARGE", "{column} has more than 15 digits.")
TOO_LONG: Final = Rule("TOO_LONG", "{column} is longer than {limit} characters.")
HIDDEN_CHARACTER: Final = Rule(
    "HIDDEN_CHARACTER", "{column} holds an invisible character, so nobody would find the user."
)
NUL_CHARACTER: Final = Rule("NUL_CHARACTER", "{column} holds a NUL character.")

KEY_EXISTS: Final = Rule("KEY_EXISTS", "{column} is being used for one of the audience members.")
DUPLICATE_IN_FILE: Final = Rule(
    "DUPLICATE_IN_FILE", "{column} is the same as in line {first} of this file."
)
UNKNOWN_USER_INCOMPLETE: Final = Rule(
    "REQUIRED", "{column} is required, because no user with this key exists yet."
)
UNKNOWN_USER_STATELESS: Final = Rule(
    "REQUIRED", "State is required where the country is USA, and no user with this key exists yet."
)
"""For an upsert line that would add a user; found by the projection."""

UNKNOWN_KEY: Final = Rule("NO_SUCH_USER", "No audience member has this {column}.")
"""For a line that may only change a user who is there; found by the projection."""

NO_SUCH_USER: Final = Rule("NO_SUCH_USER", "No user has both this id and this key.")
ATTRIBUTE_UNKNOWN: Final = Rule("ATTRIBUTE_UNKNOWN", "{column} is no attribute that is defined.")
ATTRIBUTE_INVALID: Final = Rule(
    "ATTRIBUTE_INVALID", "{column} is not in the canonical text of its type, which is {type}."
)
EVENT_ID_MISSING: Final = Rule("EVENT_ID_MISSING", "The event has no event_id.")
TEXT_NOT_TRIMMED: Final = Rule(
    "TEXT_NOT_TRIMMED", "{column} is empty, or has white space around it: null is no value."
)
KEY_NOT_NORMALISED: Final = Rule(
    "KEY_NOT_NORMALISED", "The key is not in the form in which keys are compared."
)
KEY_FIELD_MISMATCH: Final = Rule(
    "KEY_FIELD_MISMATCH", "{column} is the reconciliation key, and is not that of the event's key."
)
"""For single events only; they do not occur in files."""

OPT_OUT_KEPT: Final = Rule(
    "OPT_OUT_KEPT",
    "{column} stays false, because this person has opted out: only optIns=apply sets it to true.",
)
"""For a note: the line counts."""

ERASED: Final = Rule("ERASED", "The line was refused; what it held has been erased.")
"""For a line whose data `rollcall erase` has removed from the log."""


def e164(number: str) -> str | None:
    """Return the phone number in E.164, or None where it is none.

    :func:`ingest_api.validation.phones.to_e164` does the same for whole columns.
    """
    plain = re.sub(MOBILE_PUNCTUATION, "", number)
    plain = f"+{plain[2:]}" if plain.startswith("00") else plain
    return plain if re.fullmatch(MOBILE_PATTERN, plain) else None


def is_usa(country: str) -> bool:
    """Return whether a state is required with this country."""
    return country.strip().lower() in USA_NAMES
