"""The tables of the read model: written by the processor, read by the API through views.

``public.users``, ``public.jobs`` and ``public.rejections`` are what readers
use; the tables behind them are the projection's own.
"""

from __future__ import annotations

from importlib import resources
from typing import Final, LiteralString, cast

VERSION: Final = 3
"""Of the tables; a projection of another version is rebuilt, never altered."""
DEFAULT_SCHEMA: Final = "projection_1"
OUTCOME_CHANNEL: Final = "rollcall_outcomes"
"""NOTIFY channel: ids of events, separated by spaces, whose write_outcome is there now."""
API_SOURCE: Final = "rollcall-api"
"""The ``source`` of single-user writes by the API: their outcomes are reported."""
ID_OFFSET_BITS: Final = 48
"""Of a user's id: (partition << 48) + offset + 1, the log position that made the user."""
REPEAT_OFFSETS: Final = 250_000
"""An event id of the API's that comes again within so many records of its partition is a repeat."""
OTHER_SOURCES: Final = "(other)"
"""Counts together what comes from sources beyond those that are counted by name."""
USER_COLUMNS: Final = (
    "first_name",
    "last_name",
    "email",
    "mobile_number",
    "country",
    "state",
    "last_active_date",
    "sms_subscription",
    "email_subscription",
    "voice_subscription",
    "attributes",
)
"""The columns of a user that its events set, in table order."""


def ddl() -> LiteralString:
    """The statements that make one projection; ``{schema}`` is its name."""
    text = resources.files("schemas").joinpath("read_model.sql").read_text()
    return cast("LiteralString", text)  # a file of this package, as literal as its code


def partition_of(user_id: int) -> int:
    """The log partition whose leaf alone can hold the user with this id."""
    return (user_id - 1) >> ID_OFFSET_BITS
