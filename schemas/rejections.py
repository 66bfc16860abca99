"""Rows that only the projection can refuse: the key exists, or a new user lacks a field."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from schemas.user_rules import (
    DUPLICATE_IN_FILE,
    FIELDS,
    KEY_EXISTS,
    KEY_FIELD,
    UNKNOWN_USER_INCOMPLETE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.user_rules import (
        Rule,
    )


@dataclass(frozen=True, slots=True)
class FoundRejection:
    """A row of the table ``rejection``, columns as staging.REJECTION_COLUMNS."""

    job_id: int
    record_number: int
    line: int
    column: str
    code: str
    reason: str
    value: str | None
    raw: str

    def as_row(self) -> tuple[object, ...]:
        """Its columns in table order."""
        return astuple(self)


def key_conflict(
    row: Mapping[str, Any], key_setting: str, holder: tuple[int | None, int | None]
) -> FoundRejection:
    """The row's key belongs to the user that ``holder`` = (job id, record number) last set."""
    field = KEY_FIELD[key_setting]
    holder_job_id, holder_record = holder
    rule = DUPLICATE_IN_FILE if holder_job_id == row["job_id"] else KEY_EXISTS
    reason = rule.reason.format(column=field.header, first=holder_record)
    return _rejection(row, rule, field.name, reason)


def incomplete_user(row: Mapping[str, Any]) -> FoundRejection:
    """The row would add a user and lacks a field that a new user must have."""
    missing = next(
        (field for field in FIELDS if field.is_required and row[field.name] is None),
        next(field for field in FIELDS if field.name == "state"),
    )
    rule = UNKNOWN_USER_INCOMPLETE
    return _rejection(row, rule, missing.name, rule.reason.format(column=missing.header))


def _rejection(row: Mapping[str, Any], rule: Rule, column: str, reason: str) -> FoundRejection:
    header = next(field.header for field in FIELDS if field.name == column)
    return FoundRejection(
        job_id=row["job_id"],
        record_number=row["record_number"],
        line=row["line"],
        column=header,
        code=rule.code,
        reason=reason,
        value=row[column],
        raw=row["raw"] or "",
    )
