"""Writes the detail of a dead letter: what is wrong, with which record, and what to do.

The code is for programs, the detail for whoever is on duty: it names the values
that decided, and ends with the way out.  Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.codec.framing import FRAME_BYTES, MARKER
from schemas.rules.fields import (
    ATTRIBUTE_INVALID,
    ATTRIBUTE_UNKNOWN,
    EMAIL_INVALID,
    EVENT_ID_MISSING,
    KEY_FIELD_MISMATCH,
    KEY_NOT_NORMALISED,
    KEY_TOO_LONG,
    MOBILE_INVALID,
    NUL_CHARACTER,
    TEXT_NOT_TRIMMED,
    TOO_LONG,
)

if TYPE_CHECKING:
    from schemas.events import Event
    from schemas.rules.producer_rows import Violation

_LONGEST_VALUE: Final = 80
_LONGEST_REASON: Final = 500
_FIRST_BYTES: Final = 12
_UNSTORABLE: Final = {
    "OUT_OF_RANGE": "is out of range",
    "FIELD_MISSING": "is null",
    NUL_CHARACTER.code: "holds a NUL character",
    KEY_TOO_LONG.code: "is too long for a key",
    TOO_LONG.code: "holds a text that is too long",
}
_WAYS_OUT: Final = {
    "UNREADABLE_BATCH": "nothing of it counts, and its records can't be had; find out who sends"
    " such batches",
    "NULL_VALUE": "a record without a value deletes nobody here: send a UserRow of mode delete",
    "NOT_FRAMED": "encode it as Avro single-object encoding of a schema in schemas/avro, or in"
    " the Confluent wire format, and send it again",
    "UNKNOWN_SCHEMA": "write with a released schema, or retry this letter once the processors"
    " know the schema",
    "INCOMPATIBLE_SCHEMA": "register a schema that resolves to the one in schemas/avro, and send"
    " it again",
    "UNKNOWN_SYMBOL": "retry this letter once the processors are upgraded",
    "MALFORMED": "the body is not what its schema says: mend the producer, and send it again",
    "TRAILING_BYTES": "the value is longer than its schema says: mend the producer, and send it"
    " again",
    "NO_RIGHT_DIGEST": "it has no effect; find out who writes to user-events",
    "UNEXPECTED_TYPE": "other producers send UserRow only",
    "JOB_ID_NOT_ITS_OWN": "leave job_id null, and send it again",
    KEY_NOT_NORMALISED.code: "send it again with the normalised key",
    KEY_FIELD_MISMATCH.code: "a user's key is never changed: send it again with the key of the"
    " user that is meant, or delete that one and insert another",
    EVENT_ID_MISSING.code: "give each event an id of its own, the same each time it is sent",
    TEXT_NOT_TRIMMED.code: "send it again with the text trimmed, or with null",
    TOO_LONG.code: "send it again with a shorter one",
    EMAIL_INVALID.code: "send it again with one that is valid",
    MOBILE_INVALID.code: "send it again with +, country and number, and nothing between them",
    "JOB_REPEATED": "nothing is lost, the job has been applied; find out who sends such records",
    "NOT_STORABLE": "report it, with the record: it ought to have been judged before",
    "ATTRIBUTE_NAME_INVALID": "define it by the API or rollcall attributes add, under a name"
    " that is free",
    ATTRIBUTE_UNKNOWN.code: "define it (rollcall attributes add), then retry this letter",
    ATTRIBUTE_INVALID.code: "send it again with the value in canonical text",
    "MISROUTED": "place keys by murmur2 as Java's producer does; a retry of this letter puts it"
    " in the right one",
}


def shown(value: object) -> str:
    """Quote a value as a detail does: bounded, and nothing in it controls a terminal."""
    text = ascii(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def with_way_out(code: str, reason: str) -> str:
    """Return the reason, and what to do about it where the code alone tells."""
    what = reason.removeprefix(f"{code}: ").replace("\0", "\\x00")
    if len(what) > _LONGEST_REASON:
        what = f"{what[:_LONGEST_REASON]}…"
    way_out = _WAYS_OUT.get(code)
    return what if way_out is None else f"{what.removesuffix('.')}: {way_out}"


def undecodable(code: str, reason: str, value: bytes | None) -> str:
    """Say why a value is no event."""
    if code != "NOT_FRAMED" or value is None:
        return with_way_out(code, reason)
    begin = value[:_FIRST_BYTES].hex(" ") or "nothing"
    what = f"the value has {len(value)} bytes and begins with {begin}, not with"
    frame = f"{MARKER.hex(' ')} and {FRAME_BYTES - len(MARKER)} bytes of a schema's fingerprint,"
    frame += " nor with 00 and 4 bytes of a schema's id"
    return with_way_out(code, f"{what} {frame}")


def unstorable(event: Event, found: Violation) -> str:
    """Say why the tables can't hold an event of a job."""
    name, reason = type(event).__name__, _UNSTORABLE[found.code]
    value = "" if found.value is None else f", which is {shown(found.value)},"
    return (
        f"{found.field} of the {name}{value} {reason}: none that the publisher sends is so; the"
        " job's own record comes with its pass"
    )
