"""The DDL of the read model, which the processor writes and the API reads through views.

Each projection instance has its tables in a Postgres schema of its own.  Readers use
the views ``users``, ``jobs``, ``rejections`` and others there; views of the same names
in ``public`` show the active instance.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Final, LiteralString, cast

VERSION: Final = 8
"""The version of the tables and of how the log is projected to them; a projection of another
version is rebuilt, never altered.  4: producer rows are checked by the rules of values;
5: the users that a delsert removes are counted; 6: every fault of a rejected line is told;
7: a job may update, ignore or delete, the outcome of each line and opt-outs are kept;
8: from where the log says so, control records need digests."""
READABLE_SINCE: Final = 4
"""Tables of this version and later are read until new ones take their place; of earlier ones, the
views in ``public`` stay what they were."""
ADDED_COLUMNS: Final[tuple[tuple[str, int, str, LiteralString], ...]] = (
    ("jobs", 5, "deleted", "0::bigint"),
    ("job_partitions", 5, "deleted", "0::bigint"),
    ("rejections", 6, "further_faults", "NULL::json"),
    ("jobs", 7, "notes", "0::bigint"),
    ("job_partitions", 7, "notes", "0::bigint"),
)
"""View, version, the column that came with it, and its value in tables of an earlier one: readers
read those until new tables take their place."""
ADDED_VIEWS: Final[dict[str, tuple[int, LiteralString]]] = {
    "notes": (
        7,
        """NULL::bigint AS job_id, NULL::integer AS record_number, NULL::integer AS line,
        NULL::text AS "column", NULL::text AS code, NULL::text AS reason, NULL::text AS value""",
    ),
    "line_outcomes": (7, ""),
    "opt_outs": (7, "NULL::integer AS partition, NULL::bytea AS key_hash, NULL::integer AS flags"),
}
"""Views that came with a version, and their columns: of earlier tables they have no rows, or
are not there where no columns are named."""
ADDED: Final = {
    "views": [view for view, *_ in ADDED_COLUMNS],
    "columns": [column for _, _, column, _ in ADDED_COLUMNS],
}
LACKS_ADDED: LiteralString = """
SELECT 1 AS lacks FROM unnest(%(views)s::text[], %(columns)s::text[]) AS added (view, "column")
WHERE NOT EXISTS (
    SELECT 1 FROM pg_attribute
    WHERE attrelid = to_regclass('public.' || added.view) AND attname = added."column"
)
"""
"""Has rows, with the parameters :data:`ADDED`, where the views in ``public`` lack such a column."""
HIDE_CANCELLED: LiteralString = """
INSERT INTO public.cancelled_job (job_id)
SELECT job_id FROM unnest(%(job_ids)s::bigint[]) AS job_id
WHERE job_id NOT IN (SELECT job_id FROM public.job_states WHERE state <> 'PROCESSING')
ON CONFLICT DO NOTHING
RETURNING job_id
"""
"""Keeps the processors from showing what these delserts make, where they have not ended before:
what is shown stays until tables without it take its place, and a replay shows it too."""
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


_PUBLIC_VIEW: Final = (
    "CREATE OR REPLACE VIEW public.<name> AS SELECT *<added> FROM {schema}.<name>;\n"
)
_EMPTY_VIEW: Final = "CREATE OR REPLACE VIEW public.<name> AS SELECT <columns> WHERE false;\n"
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


def public_views(version: int = VERSION) -> LiteralString:
    """Return the statements that make the views in ``public`` show one projection, ``{schema}``.

    ``version`` is that of its tables, at least :data:`READABLE_SINCE`: columns that came later have
    a fixed value.
    """
    return cast("LiteralString", "".join(_public_view(name, version) for name in _view_names()))


def _public_view(name: str, version: int) -> str:
    came_with, columns = ADDED_VIEWS.get(name, (0, ""))
    if version < came_with and not columns:
        return ""
    if version < came_with:
        return _EMPTY_VIEW.replace("<name>", name).replace("<columns>", columns)
    added = (
        f", {value} AS {column}"
        for view, since, column, value in ADDED_COLUMNS
        if view == name and version < since
    )
    return _PUBLIC_VIEW.replace("<added>", "".join(added)).replace("<name>", name)


def drop_public_views() -> LiteralString:
    """Return the statement that drops the views in ``public``."""
    names = ", ".join(f"public.{name}" for name in _view_names())
    return cast("LiteralString", f"DROP VIEW IF EXISTS {names}")


def _view_names() -> list[str]:
    return _VIEW.findall(ddl())


def _text(name: str) -> LiteralString:
    text = resources.files("schemas.read_model").joinpath(name).read_text()
    return cast("LiteralString", text)  # a file of this package, as literal as its code
