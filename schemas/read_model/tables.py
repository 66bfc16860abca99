"""The DDL of the read model, which the processor writes and the API reads through views.

Each projection instance has its tables in a Postgres schema of its own.  Readers use
the views ``users``, ``jobs``, ``rejections`` and others there; views of the same names
in ``public`` show the active instance.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Final, LiteralString, cast

VERSION: Final = 5
"""The version of the tables and of how the log is projected to them; a projection of another
version is rebuilt, never altered.  4: producer rows are checked by the rules of values;
5: the users that a delsert removes are counted."""
OUTCOME_CHANNEL: Final = "rollcall_outcomes"
"""NOTIFY channel: ids of events, separated by spaces, whose write_outcome has been committed."""
API_SOURCE: Final = "rollcall-api"
"""The ``source`` of single-user writes by the API: their outcomes are reported."""
REPEAT_OFFSETS: Final = 250_000
"""The number of records of a partition within which an event id of the API's marks a repeat."""
OTHER_SOURCES: Final = "(other)"
"""The name under which sources beyond those counted by name are counted together."""
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
STAGED_USER: LiteralString = """
    key text COLLATE "C" NOT NULL,
    first_name text,
    last_name text,
    email text,
    mobile_number text,
    country text,
    state text,
    last_active_date date,
    sms_subscription boolean,
    email_subscription boolean,
    voice_subscription boolean,
    attributes jsonb NOT NULL,
    present integer NOT NULL,
    is_complete boolean NOT NULL,
"""
"""Columns of temporary tables whose rows are to become users."""


_PUBLIC_VIEW: Final = "CREATE OR REPLACE VIEW public.<name> AS SELECT * FROM {schema}.<name>;\n"
_VIEW: Final = re.compile(r"CREATE OR REPLACE VIEW \{schema\}\.(\w+) AS")


def schema_name(number: int) -> str:
    """Return the Postgres schema of a projection instance."""
    return f"projection_{number}"


def ddl() -> LiteralString:
    """Return the statements that make one projection; ``{schema}`` is its name."""
    return _text("tables.sql")


def registry_ddl() -> LiteralString:
    """Return the statements that make the instance registry where it is missing."""
    return _text("instances.sql")


def public_views() -> LiteralString:
    """Return the statements that make the views in ``public`` show one projection, ``{schema}``."""
    views = (_PUBLIC_VIEW.replace("<name>", name) for name in _view_names())
    return cast("LiteralString", "".join(views))


def drop_public_views() -> LiteralString:
    """Return the statement that drops the views in ``public``."""
    names = ", ".join(f"public.{name}" for name in _view_names())
    return cast("LiteralString", f"DROP VIEW IF EXISTS {names}")


def _view_names() -> list[str]:
    return _VIEW.findall(ddl())


def _text(name: str) -> LiteralString:
    text = resources.files("schemas.read_model").joinpath(name).read_text()
    return cast("LiteralString", text)  # a file of this package, as literal as its code
