"""The reasons for which a record of ``user-events`` becomes a dead letter, and its headers.

A dead letter has the key and the value of its record, unless they are too large for the
topic; the headers name the reason and the record's partition and offset.
"""

from __future__ import annotations

from typing import Final

REASONS: Final[dict[str, str]] = {
    "UNREADABLE_BATCH": "It stands for a batch of records, up to the offset, that nobody can "
    "decompress.",
    "NULL_VALUE": "The record has no value.",
    "NOT_FRAMED": "The value begins with none of the framings that are read.",
    "UNKNOWN_SCHEMA": "The value names a writer's schema that is no released one of these types, "
    "and none that the schema registry has.",
    "INCOMPATIBLE_SCHEMA": "The registry's schema is none of these types, or can't be resolved.",
    "UNKNOWN_SYMBOL": "An enum has a symbol that only a later schema has.",
    "MALFORMED": "The value's bytes are not what the schema that it names says.",
    "TRAILING_BYTES": "Bytes follow after the end of the event.",
    "NO_RIGHT_DIGEST": "Only the publisher and the API send such events, and in a signed log "
    "each has a digest.",
    "UNEXPECTED_TYPE": "The event is of a type that does not belong on this topic.",
    "JOB_ID_NOT_ITS_OWN": "The row names a job, and is not as the rows of jobs are: only the "
    "publisher sends those.",
    "OUT_OF_RANGE": "A number of an event of a job is none that the tables can hold.",
    "FIELD_MISSING": "A field of an event of a job is null, and must not be.",
    "NULL_KEY": "The record has no key.",
    "KEY_MISMATCH": "The record's key is not the UTF-8 of the row's `key`.",
    "KEY_MISSING": "The key is empty.",
    "KEY_TOO_LONG": "The key is longer than 1024 bytes.",
    "KEY_NOT_NORMALISED": "The key is not the reconciliation key as uploads write it: an email "
    "trimmed and in lower case, a number in E.164, an attribute in canonical text.",
    "MISROUTED": "The record stands in another partition than the one of its key.",
    "MODE_NOT_ALLOWED": "`delsert`, which belongs to jobs, or an `insert` with a `user_id`.",
    "EVENT_ID_INVALID": "The `source` is the API's own, and the `event_id` is not as the API's.",
    "EVENT_ID_MISSING": "There is no `event_id`, or an empty one.",
    "NUL_CHARACTER": "A text holds a NUL character.",
    "ATTRIBUTE_UNKNOWN": "A custom attribute is not defined, or not before this record.",
    "ATTRIBUTE_INVALID": "A custom attribute's value is not in the canonical text of its type.",
    "TEXT_NOT_TRIMMED": "A field's text is empty, or has white space around it.",
    "TOO_LONG": "A field's text is longer than an upload may have it.",
    "EMAIL_INVALID": "The `email` is no email address.",
    "MOBILE_INVALID": "The `mobile_number` is not in E.164.",
    "KEY_FIELD_MISMATCH": "The field that is the reconciliation key is not that of the `key`: it "
    "has another value, is cleared, or is missing in an `insert`.",
    "ATTRIBUTE_NAME_INVALID": "An `AttributeDefined` has a name that no attribute may have.",
    "KEY_EXISTS": "An `insert` of a key that a user has, made by another event.",
    "REQUIRED": "No user has the key, and the row lacks a field that a new user must have.",
    "NO_SUCH_USER": "The row has a `user_id`, and no user has both that id and the key.",
    "JOB_REPEATED": "A `JobOpened` of a job that the partition has had already, after another one.",
    "NOT_STORABLE": "The tables did not take it, for a reason that no rule here knows.",
}
"""The meaning of each reason, in the order in which a record is checked."""

HEADERS: Final[dict[str, str]] = {
    "reason": "Why it was not applied: a code.",
    "detail": "The same for people.",
    "source-topic": "The topic that it came on.",
    "source-partition": "Its partition there.",
    "source-offset": "Its offset there.",
}
"""The headers of a dead letter; each value is text in UTF-8."""

LEFT_OUT: Final = "left-out"
"""A further header where the record is too large for the topic: what was left out, and its size.

The whole record still stands in `user-events`.
"""
