"""Proves a rekeyed log: its tables hold the same rows, but for the users' ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql

from deploy.log_migration.proof import JOBS, REASONS, Proof, prove
from schemas.rules.attributes import is_attribute

if TYPE_CHECKING:
    import psycopg

    from schemas.rules.fields import Field

_OF_USERS: LiteralString = """
       first_name, last_name, email, mobile_number, country, state, last_active_date,
       sms_subscription, email_subscription, voice_subscription, attributes,
       created_at, modified_at, job_id, record_number, modified_position IS NULL
FROM {schema}.users
"""
_SAME: Final[dict[str, LiteralString]] = {
    "users": "SELECT" + _OF_USERS,
    "jobs": JOBS,
    "users deleted by jobs": "SELECT job_id, deleted FROM {schema}.jobs",
    "refused lines": "SELECT job_id, record_number, line, code, raw FROM {schema}.rejections",
    "attributes": "SELECT * FROM {schema}.attributes",
    "outcomes of other producers' records": "SELECT * FROM {schema}.sources",
}
_SAME_KEY: Final[dict[str, LiteralString]] = {
    "users with their keys": "SELECT key," + _OF_USERS,
    "reasons of refused lines": REASONS,
}
_OTHER_KEY: LiteralString = """
SELECT count(*) FROM {new}.users WHERE key IS DISTINCT FROM {value}
"""
_TOTALS: LiteralString = """
SELECT (SELECT total FROM {old}.user_total), (SELECT total FROM {new}.user_total)
"""


def prove_rekeyed(
    connection: psycopg.Connection, schemas: tuple[str, str], key: Field | None
) -> int:
    """Prove that old and new tables hold the same; return the number of users.

    ``key``: the field that is the new key, None where the key stays.

    Raises:
        MoveFailedError: they differ.
    """
    if key is None:
        return prove(connection, schemas, Proof(_SAME | _SAME_KEY, {}, _TOTALS))
    none: dict[str, LiteralString] = {f"users whose key is not their {key.json_name}": _OTHER_KEY}
    return prove(connection, schemas, Proof(_SAME, none, _TOTALS), value=_value(key))


def _value(key: Field) -> sql.Composable:
    if is_attribute(key):
        return sql.SQL("attributes ->> {name}").format(name=sql.Literal(key.json_name))
    column = sql.Identifier(key.name)
    return sql.SQL("lower({})").format(column) if key.kind == "email" else column
