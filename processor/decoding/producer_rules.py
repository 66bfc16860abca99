"""The rules of producer rows (rows without a job): which count, and why others are refused.

Our own passes are guarded by their digest and were checked before; what other
producers send is checked here, a row at a time, so that no statement meets a value
that it can't write, and no user comes to be that no upload could reach.
A write of the API is told why it was refused; everybody else's record becomes a
dead letter.  Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from processor.decoding.dead_letter_texts import shown
from schemas.log.topics import partition_of
from schemas.read_model.tables import API_SOURCE
from schemas.rules import fields
from schemas.rules.attributes import (
    NAME_PATTERN,
    TAKEN_NAMES,
    is_attribute,
    is_canonical,
    plain_name,
)
from schemas.rules.fields import (
    ATTRIBUTE_INVALID,
    ATTRIBUTE_UNKNOWN,
    EVENT_ID_MISSING,
    FIELD_BY_NAME,
    KEY_FIELD_MISMATCH,
    KEY_NOT_NORMALISED,
    MAX_KEY_BYTES,
)
from schemas.rules.producer_rows import (
    event_violation,
    key_field_of,
    key_field_violation,
    normalised_key,
    value_violation,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.config.settings import Settings
    from schemas.events import AttributeDefined, AttributeType, Event, UserRow
    from schemas.log.digests import Keyring
    from schemas.rules.attributes import Attribute
    from schemas.rules.fields import Field, Rule
    from schemas.rules.producer_rows import Violation

MISATTRIBUTED: Final = "JOB_ID_NOT_ITS_OWN"
"""The code of a row that names a job whose it cannot be."""
FORGED: Final = "NO_RIGHT_DIGEST"
"""The code of a record that only who holds a key of the log may send, and that has no digest."""
UNREADABLE: Final = "UNREADABLE_BATCH"
"""The code of a record that stands for a batch of them: of no known source, time or number."""
_KEY: Final = "it is the user's normalised reconciliation key"
_BOTH_KEYS: Final = "both are the user's normalised reconciliation key"
_NO_DELSERT: Final = "delsert belongs to jobs: upload a file, or send insert, upsert or delete"
_NO_EVENT_ID: Final = "the row has no event_id, which tells a repeat of it from another event"
_NUL: Final = "holds a NUL character, which no text may"
_FORM: Final = "and is none in the canonical text of its type"
_FORMS: Final = {
    "mobile": "and is no phone number in E.164, such as +14155550123",
    "number": "and is no number in canonical text, such as -0.5 or 1200",
}
_EVENT_ID: Final = r"[!-~]{1,200}"
"""The form of a reported write's id: ids travel in a NOTIFY, separated by spaces."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why a row does not count: a code for programs, a text, the field if one."""

    code: str
    reason: str
    column: str | None = None


@dataclass(frozen=True, slots=True)
class LogPartition:
    """A partition of `user-events`: its number, of how many, and the key of that log.

    ``topic`` and ``keyring`` are what the digests of its records are made with.
    """

    number: int
    of: int
    reconciliation_key: str
    topic: str = ""
    keyring: Keyring | None = None

    @classmethod
    def in_log(cls, settings: Settings, number: int) -> LogPartition:
        """Return a partition of the log that these settings are for."""
        topic = settings.topics.user_events
        return cls(
            number, topic.partitions, settings.reconciliation_key, topic.name, settings.keyring
        )


@dataclass(frozen=True, slots=True)
class RefusedWrite:
    """A write of the API that does not count."""

    offset: int
    event_id: str
    refusal: Refusal


def reported_id(row: UserRow) -> str | None:
    """Return the event id by which a row's outcome is reported; None where nobody waits for it."""
    is_reported = row.source == API_SOURCE and row.event_id is not None
    return row.event_id if is_reported and _is_plain(row.event_id or "") else None


def no_row_of(job_id: int) -> str:
    """Say why a row that names the job is none of its pass, see :mod:`schemas.log.passes`."""
    return (
        f"the row names job {job_id}, and only the publisher sends the rows of a job: those have"
        " no event_id, source or user_id, never mode delete, and always record_number, line and"
        " sequence"
    )


def forged(event: Event) -> Refusal:
    """Say why an event does not count without a digest, see :mod:`schemas.log.digests`."""
    what = f"the {type(event).__name__} has no digest by a key of the log"
    return Refusal(FORGED, f"{what}, and only the publisher and the API send such records")


def refused_definition(event: AttributeDefined) -> Refusal | None:
    """Return why no attribute can be defined so, or None."""
    is_free = re.fullmatch(NAME_PATTERN, event.name) and plain_name(event.name) not in TAKEN_NAMES
    if is_free and "\0" not in event.defined_by:
        return None
    reason = f"{shown(event.name)} is no attribute's name, or a field's"
    return Refusal("ATTRIBUTE_NAME_INVALID", reason)


class ProducerRowRules:
    """The rules of one batch of a partition.

    ``known`` are the attributes that were defined before the batch, ``definitions``
    those in it, by their position there, in order.
    """

    def __init__(
        self,
        partition: LogPartition,
        known: Mapping[str, Attribute],
        definitions: Iterable[tuple[int, AttributeDefined]],
    ) -> None:
        self._partition = partition
        self._attributes: dict[str, tuple[int, AttributeType]] = {
            name: (-1, attribute.type) for name, attribute in known.items()
        }
        for at, event in definitions:
            self._attributes.setdefault(event.name, (at, event.type))

    def refusal(self, row: UserRow, record_key: bytes | None, at: int) -> Refusal | None:
        """Return why the row at this position of the batch does not count, or None."""
        return (
            self._refused_key(row, record_key, at)
            or self._refused_event(row)
            or self._refused_attribute(row, at)
            or self._refused_value(row, at)
        )

    def _refused_key(self, row: UserRow, record_key: bytes | None, at: int) -> Refusal | None:
        key = row.key.encode()
        if record_key is None:
            return Refusal(
                "NULL_KEY", f"the record has no key, and must have the row's, {shown(key)}"
            )
        if record_key != key:
            reason = f"the record's key is {shown(record_key)} and the row's {shown(key)}"
            return Refusal("KEY_MISMATCH", f"{reason}: {_BOTH_KEYS}")
        if not key:
            return Refusal("KEY_MISSING", f"the key is empty: {_KEY}")
        if len(key) > MAX_KEY_BYTES:
            reason = f"the key has {len(key)} bytes, and may have {MAX_KEY_BYTES}"
            return Refusal("KEY_TOO_LONG", reason)
        return self._refused_form(row, at) or self._refused_place(key)

    def _refused_form(self, row: UserRow, at: int) -> Refusal | None:
        """Refuse a key that no file's line, and no request, could ever mean."""
        field = self._key_field(at)
        if field is None:
            return self._undefined_key(row)
        normal = normalised_key(field, row.key)
        # What can be nobody's key is one that a delete may name: it removes nobody.
        if normal == row.key or (normal is None and row.mode == "delete"):
            return None
        how = f"which is {shown(normal)}" if normal else _FORMS.get(field.kind, _FORM)
        reason = f"the key {shown(row.key)} is not the normalised {_name(field)}, {how}"
        return Refusal(KEY_NOT_NORMALISED.code, reason, field.json_name)

    def _refused_place(self, key: bytes) -> Refusal | None:
        here, home = self._partition, partition_of(key, self._partition.of)
        if home == here.number:
            return None
        reason = (
            f"the record is in partition {here.number}, and its key belongs to"
            f" partition {home} of {here.of}"
        )
        return Refusal("MISROUTED", reason)

    def _undefined_key(self, row: UserRow) -> Refusal | None:
        """Refuse a key before the attribute is defined that is to be the key."""
        if row.mode == "delete":
            return None
        name = self._partition.reconciliation_key
        reason = ATTRIBUTE_UNKNOWN.reason.format(column=name)
        return Refusal(ATTRIBUTE_UNKNOWN.code, f"{reason} It is the reconciliation key.", name)

    def _refused_event(self, row: UserRow) -> Refusal | None:
        if row.mode == "delsert":
            return Refusal("MODE_NOT_ALLOWED", _NO_DELSERT)
        if row.mode == "insert" and row.user_id is not None:
            reason = f"an insert makes a user, and this one means user {row.user_id}"
            return Refusal("MODE_NOT_ALLOWED", f"{reason}: leave user_id out, or send an upsert")
        if row.source == API_SOURCE and not _is_plain(row.event_id or ""):
            reason = (
                f"the event_id {shown(row.event_id)} of a write of the API is not"
                f" 1 to 200 ASCII characters without spaces; {API_SOURCE} is the API's own source"
            )
            return Refusal("EVENT_ID_INVALID", reason)
        violation = event_violation(row)
        if violation is None:
            return None
        is_nameless = violation.code == EVENT_ID_MISSING.code
        reason = _NO_EVENT_ID if is_nameless else f"{violation.field} {_NUL}"
        return Refusal(violation.code, reason)

    def _refused_attribute(self, row: UserRow, at: int) -> Refusal | None:
        for name, text in row.attributes.items():
            attribute_type = self._type_of(name, at)
            if attribute_type is None:
                reason = ATTRIBUTE_UNKNOWN.reason.format(column=name)
                return Refusal(ATTRIBUTE_UNKNOWN.code, reason, name)
            if text is not None and not is_canonical(attribute_type, text):
                reason = ATTRIBUTE_INVALID.reason.format(column=name, type=attribute_type)
                return Refusal(ATTRIBUTE_INVALID.code, reason, name)
        return None

    def _refused_value(self, row: UserRow, at: int) -> Refusal | None:
        violation = value_violation(row)
        if violation is not None:
            return _value_refusal(violation)
        field = self._key_field(at)
        violation = key_field_violation(row, field) if field is not None else None
        return None if violation is None else _key_refusal(violation, row)

    def _key_field(self, at: int) -> Field | None:
        """Return the key's field, as far as it is known at this position."""
        name = self._partition.reconciliation_key
        attribute_type = self._type_of(name, at)
        return key_field_of(name, {} if attribute_type is None else {name: attribute_type})

    def _type_of(self, name: str, at: int) -> AttributeType | None:
        """Return the type of an attribute that is defined before this position."""
        defined_at, attribute_type = self._attributes.get(name, (at, None))
        return attribute_type if defined_at < at else None


def _value_refusal(violation: Violation) -> Refusal:
    field = FIELD_BY_NAME[violation.field or ""]
    rule: Rule = getattr(fields, violation.code)
    says = rule.reason.format(column=field.name, limit=field.max_characters)
    return Refusal(violation.code, f"{says} It is {shown(violation.value)}", field.json_name)


def _key_refusal(violation: Violation, row: UserRow) -> Refusal:
    says = KEY_FIELD_MISMATCH.reason.format(column=violation.field)
    which = f"it is {shown(violation.value)}, and the key {shown(row.key)}"
    return Refusal(violation.code, f"{says} In this event {which}", violation.field)


def _name(field: Field) -> str:
    return field.json_name if is_attribute(field) else field.name


def _is_plain(event_id: str) -> bool:
    return re.fullmatch(_EVENT_ID, event_id) is not None
