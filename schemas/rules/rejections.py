"""Rejections that only the projection can find: by who has the key, or has not."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from schemas.rules.attributes import attribute_field, is_attribute
from schemas.rules.fields import (
    DUPLICATE_IN_FILE,
    ERASED,
    FIELDS,
    KEY_EXISTS,
    KEY_FIELD,
    UNKNOWN_KEY,
    UNKNOWN_USER_INCOMPLETE,
    UNKNOWN_USER_STATELESS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.rules.fields import Field, Rule


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a rejected line."""

    column: str | None
    code: str
    reason: str
    value: str | None


_faults_decoder: Final = msgspec.json.Decoder(list[Fault])
"""Made before there are threads, see :mod:`schemas.clients.kafka_statistics`."""


def faults_text(faults: Sequence[Fault]) -> str | None:
    """Return the faults as they stand in an event and in the table; None where there are none."""
    return msgspec.json.encode(faults).decode() if faults else None


def faults_of(text: str | None) -> list[Fault]:
    """Return the faults of such a text; none where it is not one of ours."""
    try:
        return _faults_decoder.decode(text or "[]")
    except msgspec.MsgspecError:
        return []


@dataclass(frozen=True, slots=True)
class FoundRejection:
    """A row of the table ``rejection``, with the columns of staging.REJECTION_COLUMNS."""

    job_id: int
    record_number: int
    line: int
    column: str | None
    code: str
    reason: str
    value: str | None
    raw: str
    further_faults: None = None

    def as_row(self) -> tuple[object, ...]:
        """Return its columns in table order."""
        return astuple(self)


def key_conflict(
    row: Mapping[str, Any], key_setting: str, holder: tuple[int | None, int | None]
) -> FoundRejection:
    """Reject a row whose key has a user that ``holder`` = (job id, record number) last set."""
    field = key_field(key_setting)
    holder_job_id, holder_record = holder
    rule = DUPLICATE_IN_FILE if holder_job_id == row["job_id"] else KEY_EXISTS
    reason = rule.reason.format(column=field.header, first=holder_record)
    return _rejection(row, rule, field, reason)


def incomplete_user(row: Mapping[str, Any]) -> FoundRejection:
    """Reject a row that would add a user and lacks a required field."""
    missing = missing_field(row)
    return _rejection(row, UNKNOWN_USER_INCOMPLETE, missing, incomplete_reason(missing))


def incomplete_reason(missing: Field) -> str:
    """Return why a line that lacks this field can't add a user."""
    is_for_country = missing.name == "state"
    rule = UNKNOWN_USER_STATELESS if is_for_country else UNKNOWN_USER_INCOMPLETE
    return rule.reason.format(column=missing.header)


def unknown_key(row: Mapping[str, Any], key_setting: str) -> FoundRejection:
    """Reject a row whose key nobody has, where only who is there may be changed."""
    field = key_field(key_setting)
    # A row that only names its user holds nothing beside the key.
    known = dict(row) if _value(row, field) else {**row, field.name: row["key"]}
    return _rejection(known, UNKNOWN_KEY, field, UNKNOWN_KEY.reason.format(column=field.header))


def erased_line(row: Mapping[str, Any]) -> FoundRejection:
    """Reject a line that was refused and whose data has been erased since."""
    return FoundRejection(
        job_id=row["job_id"],
        record_number=row["record_number"],
        line=row["line"],
        column=None,
        code=ERASED.code,
        reason=ERASED.reason,
        value=None,
        raw="",
    )


def key_field(key_setting: str) -> Field:
    """Return the field of the key; an attribute's type does not matter here."""
    return KEY_FIELD.get(key_setting) or attribute_field(key_setting, "string")


def missing_field(row: Mapping[str, Any]) -> Field:
    """Return the first field that the row lacks for a new user, of at least one."""
    return next(
        (field for field in FIELDS if field.is_required and row[field.name] is None),
        next(field for field in FIELDS if field.name == "state"),
    )


def _rejection(row: Mapping[str, Any], rule: Rule, field: Field, reason: str) -> FoundRejection:
    return FoundRejection(
        job_id=row["job_id"],
        record_number=row["record_number"],
        line=row["line"],
        column=field.header,
        code=rule.code,
        reason=reason,
        value=_value(row, field),
        raw=row["raw"] or "",
    )


def _value(row: Mapping[str, Any], field: Field) -> str | None:
    """Return the field's value; a batch has attributes as pairs, a single event as a dict."""
    return dict(row["attributes"]).get(field.header) if is_attribute(field) else row[field.name]
