"""The proof of a log that was written anew: its tables say the same of everybody, but for ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql

from deploy.log_move import MoveFailedError
from deploy.log_move.proof import DIFFERING, JOBS, check_none

if TYPE_CHECKING:
    import psycopg

_USERS: LiteralString = """
SELECT key, first_name, last_name, email, mobile_number, country, state, last_active_date,
       sms_subscription, email_subscription, voice_subscription, attributes,
       created_at, modified_at, job_id, record_number, modified_position IS NULL
FROM {schema}.users
"""
_COMPARED: Final[dict[str, LiteralString]] = {
    "users": _USERS,
    "jobs": JOBS,
    "refused lines": "SELECT * FROM {schema}.rejections",
    "attributes": "SELECT * FROM {schema}.attributes",
    "outcomes of other producers' records": "SELECT * FROM {schema}.sources",
}
_TOTALS: LiteralString = """
SELECT (SELECT total FROM {old}.user_total), (SELECT total FROM {new}.user_total)
"""


def compare(connection: psycopg.Connection, old: str, new: str) -> int:
    """Return where the tables of two schemas say the same; how many users they have.

    Raises:
        MoveFailedError: they do not.
    """
    schemas = {"old": sql.Identifier(old), "new": sql.Identifier(new)}
    for name, query in _COMPARED.items():
        old_rows, new_rows = (sql.SQL(query).format(schema=schema) for schema in schemas.values())
        statement = sql.SQL(DIFFERING).format(old=old_rows, new=new_rows)
        check_none(connection, statement, name)
    totals = connection.execute(sql.SQL(_TOTALS).format(**schemas)).fetchone()
    if totals is None or totals[0] != totals[1]:
        raise MoveFailedError(f"the number of users would be another one: {totals}")
    return int(totals[0])
