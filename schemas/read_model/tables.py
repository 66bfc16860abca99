"""The tables of the read model: written by the processor, read by the API through views.

Each projection instance has them in a Postgres schema of its own.  ``users``,
``jobs``, ``rejections`` and the other views there are what readers use; those
of the same names in ``public`` show the active instance.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Final, LiteralString, cast

VERSION: Final = 4
"""Of the tables, and of what comes into them from the same log: a projection of another version
is rebuilt, never altered.  4: other producers' rows are judged by the rules of values."""
OUTCOME_CHANNEL: Final = "rollcall_outcomes"
"""NOTIFY channel: ids of events, separated by spaces, whose write_outcome is there now."""
API_SOURCE: Final = "rollcall-api"
"""The ``source`` of single-user writes by the API: their outcomes are reported."""
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


_PUBLIC_VIEW: Final = "CREATE OR REPLACE VIEW public.<name> AS SELECT * FROM {schema}.<name>;\n"
_VIEW: Final = re.compile(r"CREATE OR REPLACE VIEW \{schema\}\.(\w+) AS")


def schema_name(number: int) -> str:
    """The Postgres schema of a projection instance."""
    return f"projection_{number}"


def ddl() -> LiteralString:
    """The statements that make one projection; ``{schema}`` is its name."""
    return _text("tables.sql")


def registry_ddl() -> LiteralString:
    """The statements that make the registry of projection instances, where it is not there."""
    return _text("instances.sql")


def public_views() -> LiteralString:
    """The statements that let the views in ``public`` show one projection, ``{schema}``."""
    views = (_PUBLIC_VIEW.replace("<name>", name) for name in _view_names())
    return cast("LiteralString", "".join(views))


def drop_public_views() -> LiteralString:
    """The statement that takes them away, for views of other columns."""
    names = ", ".join(f"public.{name}" for name in _view_names())
    return cast("LiteralString", f"DROP VIEW IF EXISTS {names}")


def _view_names() -> list[str]:
    return _VIEW.findall(ddl())


def _text(name: str) -> LiteralString:
    text = resources.files("schemas.read_model").joinpath(name).read_text()
    return cast("LiteralString", text)  # a file of this package, as literal as its code
