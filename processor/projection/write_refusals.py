"""Words the reasons why the tables refuse a producer row, for outcomes and dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processor.decoding.dead_letter_texts import shown
from processor.decoding.producer_rules import Refusal
from schemas.rules.fields import FIELDS, KEY_EXISTS, NO_SUCH_USER, UNKNOWN_USER_INCOMPLETE
from schemas.rules.rejections import key_field, missing_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processor.projection.producer_rows import RowOutcome


def write_refusal(row: Mapping[str, Any], code: str, key_setting: str) -> Refusal:
    """Say why a write of one user was refused with this code, with the field's name in JSON."""
    if code == KEY_EXISTS.code:
        field = key_field(key_setting)
        return Refusal(code, KEY_EXISTS.reason.format(column=field.header), field.json_name)
    if code == UNKNOWN_USER_INCOMPLETE.code:
        field = missing_field(row)
        reason = UNKNOWN_USER_INCOMPLETE.reason.format(column=field.header)
        return Refusal(code, reason, field.json_name)
    return Refusal(code, NO_SUCH_USER.reason)


def refused_row(row: Mapping[str, Any], refused: RowOutcome) -> str:
    """Say why the tables, as they were then, did not take a producer row."""
    code, holder = refused.code, refused.holder_id
    if code == KEY_EXISTS.code:
        return (
            f"an insert with event_id {shown(row['event_id'])}, and its key belongs to user"
            f" {holder} already, whom another event made: send an upsert to change that user"
        )
    if code == NO_SUCH_USER.code:
        whose = "nobody" if holder is None else f"user {holder}"
        return (
            f"the row means user {row['user_id']}, and its key belongs to {whose}: leave user_id"
            " out, or look the user up again"
        )
    assert code == UNKNOWN_USER_INCOMPLETE.code, f"{code} has no detail"
    missing = [field.name for field in FIELDS if field.is_required and row[field.name] is None]
    return (
        f"nobody has the key, and a new user needs {', '.join(missing or ['state'])}, which the"
        " row lacks: send it whole, or retry this letter once the user is there"
    )
