"""The effect of a row on a user, as SQL over ``staging`` (the row) and ``leaf`` (the user).

The projection and the dry run use the same expressions, so a dry run shows what an
import does.
Columns are those of the staging table and of the users' tables.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql

from schemas.rules.fields import FIELDS, SUBSCRIPTIONS
from schemas.rules.overwrite import ATTRIBUTES_BIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.rules.fields import Field


def _changed(field: Field, fills: int, *, keeps_opt_outs: bool) -> sql.Composed:
    """Return the staged value where the event sets it; a null never clears a required field."""
    condition: LiteralString = "staging.present & {bit} <> 0"
    if field.is_never_cleared:
        condition += " AND staging.{name} IS NOT NULL"
    if fills & field.bit:
        condition += " AND leaf.{name} IS NULL"
    if keeps_opt_outs and field.kind == "boolean":
        condition += " AND leaf.{name}"  # which is false where the user has opted out
    text: LiteralString = "CASE WHEN " + condition + " THEN staging.{name} ELSE leaf.{name} END"
    return sql.SQL(text).format(name=sql.Identifier(field.name), bit=sql.Literal(field.bit))


def _inserted(field: Field) -> sql.Composed:
    text: LiteralString = "staging.{name}"
    if field.kind == "boolean":
        text = "COALESCE(staging.{name}, true)"
    return sql.SQL(text).format(name=sql.Identifier(field.name))


Values = dict[str, sql.Composable]
"""Expressions by the name of the user's column."""


@cache
def changed(fills: int = 0, *, keeps_opt_outs: bool = False) -> Values:
    """Return a user's values after an upsert of the row.

    ``fills`` are the fields that it only fills, see :mod:`schemas.rules.overwrite`.
    ``keeps_opt_outs``: it never opts in who has opted out.
    """
    # Of two attributes with one name the second counts.
    attributes: LiteralString = "jsonb_strip_nulls(leaf.attributes || staging.attributes)"
    if fills & ATTRIBUTES_BIT:
        attributes = "jsonb_strip_nulls(staging.attributes || leaf.attributes)"
    values = {field.name: _changed(field, fills, keeps_opt_outs=keeps_opt_outs) for field in FIELDS}
    return {**values, "attributes": sql.SQL(attributes)}


INSERTED: Final[Values] = {
    **{field.name: _inserted(field) for field in FIELDS},
    "attributes": sql.SQL("jsonb_strip_nulls(staging.attributes)"),
}
"""The values of the new user that the row makes."""


def assignments(values: Mapping[str, sql.Composable]) -> sql.Composed:
    """Return ``column = expression, …`` of an UPDATE."""
    return sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in values.items()
    )


def differences(values: Mapping[str, sql.Composable]) -> sql.Composed:
    """Return the condition under which the user's values would change."""
    return sql.SQL(" OR ").join(
        sql.SQL("leaf.{} IS DISTINCT FROM {}").format(sql.Identifier(name), value)
        for name, value in values.items()
    )


def flags(condition: LiteralString) -> sql.Composed:
    """Return the bits, as in ``present``, of the subscriptions for which the condition is true.

    ``{name}`` in it is the column, ``{bit}`` its bit.
    """
    text: LiteralString = "CASE WHEN " + condition + " THEN {bit} ELSE 0 END"
    bits = (
        sql.SQL(text).format(name=sql.Identifier(field.name), bit=sql.Literal(field.bit))
        for field in SUBSCRIPTIONS
    )
    return sql.SQL("({})").format(sql.SQL(" + ").join(bits))


OPTED_OUT: Final = flags("NOT leaf.{name}")
"""What the user has opted out of."""
HELD_BACK: Final = flags("staging.present & {bit} <> 0 AND staging.{name} AND NOT leaf.{name}")
"""What an upsert that keeps opt-outs would set to true, and doesn't, if it doesn't only fill it."""
