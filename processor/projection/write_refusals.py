"""Writes of one user that the projection refuses, as their outcomes say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processor.decoding.producer_rules import Refusal
from schemas.rules.fields import KEY_EXISTS, NO_SUCH_USER, UNKNOWN_USER_INCOMPLETE
from schemas.rules.rejections import key_field, missing_field

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_refusal(row: Mapping[str, Any], code: str, key_setting: str) -> Refusal:
    """Why a write of one user was refused with this code, with the field's name in JSON."""
    if code == KEY_EXISTS.code:
        field = key_field(key_setting)
        return Refusal(code, KEY_EXISTS.reason.format(column=field.header), field.json_name)
    if code == UNKNOWN_USER_INCOMPLETE.code:
        field = missing_field(row)
        reason = UNKNOWN_USER_INCOMPLETE.reason.format(column=field.header)
        return Refusal(code, reason, field.json_name)
    return Refusal(code, NO_SUCH_USER.reason)
