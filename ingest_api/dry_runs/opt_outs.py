"""The SQL that lets a dry run keep opt-outs: a file's lines are changed before they are compared.

A line never sets to true what the person has opted out of, as a user, by what is remembered of
one who is none, or by an earlier line of the file; so it is compared as if it said false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql

from schemas.read_model.upsert_sql import OPTED_OUT, flags
from schemas.rules.fields import SUBSCRIPTIONS
from schemas.rules.modes import MODES

if TYPE_CHECKING:
    from schemas.events import JobMode

_HOLD_BACK: Final[LiteralString] = """
CREATE TEMPORARY TABLE held_back ON COMMIT DROP AS
SELECT record_number, held.flags
FROM (
    SELECT *, opted_out | {said_before} AS opted_out_before
    FROM (
        SELECT staging.*, leaf.key IS NOT NULL OR {made_before} AS is_there_before,
               {opted_out} | COALESCE(kept.flags, 0) AS opted_out,
               leaf.key IS NOT NULL OR {is_made} AS counts
        FROM compared_line AS staging
        LEFT JOIN public.users AS leaf ON leaf.key = staging.key
        LEFT JOIN public.opt_outs AS kept
               ON leaf.key IS NULL AND kept.key_hash = CASE
                  WHEN (SELECT EXISTS (SELECT FROM public.opt_outs))
                  THEN sha256(convert_to(staging.key, 'UTF8')) END
    ) AS staging
) AS staging, LATERAL (SELECT opted_out_before & {would_set} AS flags) AS held
WHERE held.flags > 0;
UPDATE compared_line AS staging SET {set_false}
FROM held_back WHERE held_back.record_number = staging.record_number
"""
_COUNT: Final[LiteralString] = """
SELECT {columns}
FROM held_back JOIN compared_outcome USING (record_number)
WHERE outcome = ANY({outcomes})
"""
_BEFORE: Final[LiteralString] = """
COALESCE({value} OVER (PARTITION BY staging.key ORDER BY staging.record_number
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), {none})
"""
_SAID_FALSE: Final = flags("NOT staging.{name}")
_SAYS_TRUE: Final = flags("staging.{name}")
_NOT_FALSE: Final = flags("staging.{name} IS NOT FALSE")


def hold_back(mode: JobMode, fills: int, *, has_repeated: bool) -> sql.Composed:
    """Return the statements that change the lines.

    ``fills`` are the fields that they only fill; ``has_repeated``: some keys come again.
    """
    overwritten = sql.Literal(~fills)
    said_before: sql.Composable = sql.SQL("0")
    made_before: sql.Composable = sql.SQL("false")
    is_made = sql.SQL("false")
    changes = MODES[mode].existing == "changed"
    if changes and has_repeated:
        said = sql.SQL(
            "bit_or(CASE WHEN NOT counts THEN 0 WHEN is_there_before THEN {0} & {1} ELSE {0} END)"
        ).format(_SAID_FALSE, overwritten)
        said_before = _before(said, sql.SQL("0"))
    if changes and has_repeated and MODES[mode].adds:
        made_before = _before(sql.SQL("bool_or(is_complete)"), sql.SQL("false"))
        is_made = sql.SQL(
            "bool_or(is_complete) OVER (PARTITION BY staging.key ORDER BY staging.record_number)"
        )
    would_set = sql.SQL("CASE WHEN is_there_before THEN 0 ELSE {1} END")
    if changes:
        would_set = sql.SQL("CASE WHEN is_there_before THEN {0} & {2} ELSE {1} END")
    elif mode == "delsert":
        would_set = sql.SQL("{1}")
    return sql.SQL(_HOLD_BACK).format(
        said_before=said_before,
        made_before=made_before,
        is_made=is_made,
        opted_out=OPTED_OUT,
        would_set=would_set.format(_SAYS_TRUE, _NOT_FALSE, overwritten),
        set_false=sql.SQL(", ").join(
            sql.SQL("{0} = CASE WHEN held_back.flags & {1} > 0 THEN false ELSE staging.{0} END")
            .format(sql.Identifier(field.name), sql.Literal(field.bit))
            for field in SUBSCRIPTIONS
        ),
    )  # fmt: skip


def count_held_back(mode: JobMode) -> sql.Composed:
    """Return the SELECT of how many lines did not set each subscription, a column each."""
    outcomes = ["insert"]
    if MODES[mode].existing == "changed" or mode == "delsert":
        outcomes += ["update", "unchanged"]
    columns = (
        sql.SQL("count(*) FILTER (WHERE flags & {} > 0) AS {}").format(
            sql.Literal(field.bit), sql.Identifier(field.name)
        )
        for field in SUBSCRIPTIONS
    )
    return sql.SQL(_COUNT).format(columns=sql.SQL(", ").join(columns), outcomes=outcomes)


def _before(value: sql.Composable, none: sql.Composable) -> sql.Composed:
    """Return an aggregate over the lines with the same key that come before a line."""
    return sql.SQL(_BEFORE).format(value=value, none=none)
