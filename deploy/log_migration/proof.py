"""Proves a move: the tables made from the copy hold the same rows as the live ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql

from deploy.log_migration import MoveFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

_DIFFERING: LiteralString = """
SELECT count(*) FROM (
    ({old_rows} EXCEPT ALL {new_rows}) UNION ALL ({new_rows} EXCEPT ALL {old_rows})
) AS differing
"""
JOBS: Final[LiteralString] = """
SELECT job_id, mode, state, lines, inserted, updated, unchanged, rejected, file_name, sha256,
       accepted_at, accepted_by, started_at, finished_at
FROM {schema}.jobs
"""
# json has no equality.
REASONS: Final[LiteralString] = """
SELECT job_id, record_number, line, "column", code, reason, value, raw,
       further_faults::text AS further_faults
FROM {schema}.rejection
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """Queries that must agree on the tables in the schemas ``{old}`` and ``{new}``.

    ``same``: queries of one ``{schema}`` that must return the same rows in both, by name.
    ``none``: queries that must count zero.
    ``totals``: a query of the expected and the actual number of users.
    """

    same: Mapping[str, LiteralString]
    none: Mapping[str, LiteralString]
    totals: LiteralString


def prove(
    connection: psycopg.Connection, schemas: tuple[str, str], proof: Proof, **parts: sql.Composable
) -> int:
    """Run the proof on the old and the new tables; return the number of users in the new ones.

    Raises:
        MoveFailedError: a query does not agree.
    """
    old, new = (sql.Identifier(schema) for schema in schemas)
    for name, query in proof.same.items():
        old_rows, new_rows = (
            sql.SQL(query).format(schema=schema, **parts) for schema in (old, new)
        )
        differing = sql.SQL(_DIFFERING).format(old_rows=old_rows, new_rows=new_rows)
        _check_none(connection, differing, name)
    for name, query in proof.none.items():
        _check_none(connection, sql.SQL(query).format(old=old, new=new, **parts), name)
    statement = sql.SQL(proof.totals).format(old=old, new=new, **parts)
    totals = connection.execute(statement).fetchone()
    if totals is None or totals[0] != totals[1]:
        raise MoveFailedError(f"the number of users would be another one: {totals}")
    return int(totals[1])


def _check_none(connection: psycopg.Connection, statement: sql.Composed, name: str) -> None:
    row = connection.execute(statement).fetchone()
    if row is None or row[0]:
        raise MoveFailedError(f"the tables made from the copy differ: {name}, {row and row[0]}")
