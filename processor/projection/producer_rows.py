"""Writes producer rows (rows without a job) into one leaf: decided one by one, written by sets.

Unlike a job's, each of them has an outcome of its own that somebody waits for, so
what is there is read first, each row is decided in Python, and the statements
write what was decided.  Behind the fence nothing can change in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql
from psycopg.rows import class_row

from processor.projection.job_rows import ROW_SQL, change_sql
from schemas.rules.fields import KEY_EXISTS, NO_SUCH_USER, UNKNOWN_USER_INCOMPLETE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from schemas.events import RowMode

_FIND: Final[LiteralString] = """
SELECT staging.id AS position, mode, is_complete, staging.event_id, staging.user_id AS meant_id,
       leaf.id AS holder_id, leaf.event_id AS holder_event_id,
       leaf.id IS NOT NULL AND ({differences}) AS is_change
FROM staging LEFT JOIN {leaf} AS leaf USING (key)
WHERE step = %(step)s AND round = %(round)s AND staging.job_id IS NULL
ORDER BY staging.id
"""
_INSERT: Final[LiteralString] = """
INSERT INTO {leaf} ({columns}, event_id)
SELECT {values}, event_id
FROM staging
WHERE id = ANY(%(positions)s)
ORDER BY key
"""
_UPDATE: Final[LiteralString] = """
UPDATE {leaf} AS leaf
SET {assignments}
FROM staging
WHERE staging.id = ANY(%(positions)s) AND leaf.key = staging.key
"""
_DELETE: Final[LiteralString] = """
DELETE FROM {leaf} AS leaf
USING staging
WHERE staging.id = ANY(%(positions)s) AND leaf.key = staging.key
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A staged row and the user that has its key, if any.

    ``position`` is its log position, which is the id of a user that it makes;
    ``meant_id`` the only user that it may concern; ``is_change`` says that an
    upsert would change something.
    """

    position: int
    mode: RowMode
    is_complete: bool
    event_id: str | None
    meant_id: int | None
    holder_id: int | None
    holder_event_id: str | None
    is_change: bool


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """The outcome of a row; ``outcome`` and ``code`` as in the table write_outcome.

    ``is_written`` is false where nothing is to be done for it; ``holder_id`` is the user
    that has the key of a row that is refused.
    """

    position: int
    outcome: str
    user_id: int | None = None
    code: str | None = None
    is_written: bool = False
    holder_id: int | None = None


def decide(found: Found) -> RowOutcome:
    """Decide the outcome of a row.

    An insert that comes again with the event id that made the user is a repeat; a
    delete of nobody has nothing left to do.
    """
    if found.meant_id is not None and found.holder_id != found.meant_id:
        return RowOutcome(
            found.position, "rejected", code=NO_SUCH_USER.code, holder_id=found.holder_id
        )
    if found.holder_id is None:
        return _without_holder(found)
    if found.mode == "delete":
        return RowOutcome(found.position, "deleted", found.holder_id, is_written=True)
    if found.mode == "upsert":
        outcome = "updated" if found.is_change else "unchanged"
        return RowOutcome(found.position, outcome, found.holder_id, is_written=found.is_change)
    if found.event_id is not None and found.event_id == found.holder_event_id:
        return RowOutcome(found.position, "inserted", found.holder_id)
    return RowOutcome(found.position, "rejected", code=KEY_EXISTS.code, holder_id=found.holder_id)


def _without_holder(found: Found) -> RowOutcome:
    if found.mode == "delete":
        return RowOutcome(found.position, "unchanged")
    if not found.is_complete:
        return RowOutcome(found.position, "rejected", code=UNKNOWN_USER_INCOMPLETE.code)
    return RowOutcome(found.position, "inserted", found.position, is_written=True)


class ProducerRowWriter:
    """Finds and writes one leaf's rows without a job; each round has a key once."""

    def __init__(self, leaf: sql.Identifier) -> None:
        parts: dict[str, sql.Composable] = {"leaf": leaf, **ROW_SQL, **change_sql()}
        self._find = sql.SQL(_FIND).format(**parts)
        self._writes = {
            "inserted": sql.SQL(_INSERT).format(**parts),
            "updated": sql.SQL(_UPDATE).format(**parts),
            "deleted": sql.SQL(_DELETE).format(**parts),
        }

    def find(self, cursor: psycopg.Cursor, step: int, a_round: int) -> list[Found]:
        """Return the rows of a round, in log order, with what they meet."""
        with cursor.connection.cursor(row_factory=class_row(Found)) as rows:
            return rows.execute(self._find, {"step": step, "round": a_round}).fetchall()

    def write(self, cursor: psycopg.Cursor, outcomes: Sequence[RowOutcome]) -> int:
        """Do what was decided for rows of one round; by how many users the leaf has grown."""
        grown = 0
        for outcome, statement in self._writes.items():
            positions = [
                row.position for row in outcomes if row.is_written and row.outcome == outcome
            ]
            if positions:
                written = cursor.execute(statement, {"positions": positions}).rowcount
                assert written == len(positions), "nobody else writes behind the fence"
                grown += {"inserted": written, "deleted": -written}.get(outcome, 0)
        return grown
