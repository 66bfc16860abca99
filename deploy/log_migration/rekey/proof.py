"""The proof of a log that was written anew: its tables say the same of everybody, but for ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql

from deploy.log_migration import MoveFailedError
from deploy.log_migration.proof import DIFFERING, JOBS, check_none
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
_COMPARED: Final[dict[str, LiteralString]] = {
    "users": "SELECT" + _OF_USERS,
    "jobs": JOBS,
    "refused lines": "SELECT job_id, record_number, line, code, raw FROM {schema}.rejections",
    "attributes": "SELECT * FROM {schema}.attributes",
    "outcomes of other producers' records": "SELECT * FROM {schema}.sources",
}
_SAME_KEY: Final[dict[str, LiteralString]] = {
    "users with their keys": "SELECT key," + _OF_USERS,
    "reasons of refused lines": "SELECT * FROM {schema}.rejections",
}
_OTHER_KEY: LiteralString = """
SELECT count(*) FROM {new}.users WHERE key IS DISTINCT FROM {value}
"""
_TOTALS: LiteralString = """
SELECT (SELECT total FROM {old}.user_total), (SELECT total FROM {new}.user_total)
"""


def compare(connection: psycopg.Connection, old: str, new: str, key: Field | None) -> int:
    """Return where the tables of two schemas say the same; how many users they have.

    ``key``: the field whose value is the key in the new ones, where it is another one.

    Raises:
        MoveFailedError: they do not.
    """
    schemas = {"old": sql.Identifier(old), "new": sql.Identifier(new)}
    compared = _COMPARED if key else _COMPARED | _SAME_KEY
    for name, query in compared.items():
        old_rows, new_rows = (sql.SQL(query).format(schema=schema) for schema in schemas.values())
        statement = sql.SQL(DIFFERING).format(old=old_rows, new=new_rows)
        check_none(connection, statement, name)
    if key:
        statement = sql.SQL(_OTHER_KEY).format(value=_value(key), **schemas)
        check_none(connection, statement, f"users whose key is not their {key.json_name}")
    totals = connection.execute(sql.SQL(_TOTALS).format(**schemas)).fetchone()
    if totals is None or totals[0] != totals[1]:
        raise MoveFailedError(f"the number of users would be another one: {totals}")
    return int(totals[0])


def _value(key: Field) -> sql.Composable:
    if is_attribute(key):
        return sql.SQL("attributes ->> {name}").format(name=sql.Literal(key.json_name))
    column = sql.Identifier(key.name)
    return sql.SQL("lower({})").format(column) if key.kind == "email" else column
