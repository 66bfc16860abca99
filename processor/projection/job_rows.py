"""Writes a job's rows into one leaf: inserts and upserts by set statements.

Only called behind the fence, so the leaf has no other writer, and what one
statement found still holds for the next.
A round has each key once, so the order of its statements is free.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, LiteralString, Self

from psycopg import sql

from processor.projection.staging import LEAF_COLUMNS
from schemas.read_model.upsert_sql import INSERTED, assignments, changed, differences
from schemas.rules.modes import MODES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from processor.projection.staging import PreparedRows
    from schemas.events import JobMode

_ROUND: Final[LiteralString] = (
    "step = %(step)s AND round = %(round)s AND staging.job_id IS NOT NULL"
)
_INSERT: Final[LiteralString] = """
INSERT INTO {leaf} ({columns})
SELECT {values}
FROM staging
WHERE {round} AND mode = %(mode)s AND is_complete
ORDER BY key
ON CONFLICT (key) DO NOTHING
"""
_CONFLICTS: Final[LiteralString] = """
SELECT staging.id, leaf.job_id, leaf.record_number
FROM staging JOIN {leaf} AS leaf USING (key)
WHERE {round} AND mode = %(mode)s AND leaf.id <> staging.id
ORDER BY staging.id
"""
_INCOMPLETE: Final[LiteralString] = """
SELECT staging.id
FROM staging LEFT JOIN {leaf} AS leaf USING (key)
WHERE {round} AND mode = %(mode)s AND NOT is_complete AND leaf.key IS NULL
ORDER BY staging.id
"""
_UNKNOWN: Final[LiteralString] = """
SELECT staging.id
FROM staging LEFT JOIN {leaf} AS leaf USING (key)
WHERE {round} AND mode = %(mode)s AND leaf.key IS NULL
ORDER BY staging.id
"""
_UPDATE: Final[LiteralString] = """
UPDATE {leaf} AS leaf
SET {assignments}
FROM staging
WHERE {round} AND mode = %(mode)s AND leaf.key = staging.key AND leaf.id <> staging.id
  AND ({differences})
"""
_DELETE: Final[LiteralString] = """
DELETE FROM {leaf} AS leaf
USING staging
WHERE {round} AND mode = %(mode)s AND leaf.key = staging.key
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The staged rows that a statement is to take: its parameters.

    ``modes`` counts them by mode; ``has_incomplete`` says that some may not add a user;
    ``fills`` are the fields that they only fill; ``keeps_opt_outs``: none may opt in who has
    opted out.
    """

    step: int
    number: int
    modes: dict[JobMode, int]
    has_incomplete: bool
    fills: int
    keeps_opt_outs: bool

    @classmethod
    def of(cls, step: PreparedRows, number: int, *, is_producer_row: bool) -> Self:
        """Return a round of a step's rows: its job's, or those of other producers."""
        return cls(
            step=step.step,
            number=number,
            modes=step.counts[number, is_producer_row],
            has_incomplete=step.has_incomplete,
            fills=step.fills,
            keeps_opt_outs=step.keeps_opt_outs and not is_producer_row,
        )

    def parameters(self, mode: JobMode) -> dict[str, Any]:
        """Return the values of the statements' placeholders."""
        return {"step": self.step, "round": self.number, "mode": mode}


@dataclass(slots=True)
class Outcomes:
    """The numbers of a round's rows by outcome, and those refused.

    ``conflicts``: (id of the refused row, job id and record number that last set the holder).
    ``incomplete``: ids of rows that would have added a user and may not.
    ``unknown``: ids of rows that need a user who is there, and found none.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    conflicts: list[tuple[int, int | None, int | None]] = field(
        default_factory=list[tuple[int, "int | None", "int | None"]]
    )
    incomplete: list[int] = field(default_factory=list[int])
    unknown: list[int] = field(default_factory=list[int])

    @property
    def refused(self) -> list[int]:
        """The ids of all rows that were refused."""
        return [conflict[0] for conflict in self.conflicts] + self.incomplete + self.unknown


class LeafWriter:
    """Writes rounds into one leaf; its statements are composed once, to be prepared."""

    def __init__(self, leaf: sql.Identifier) -> None:
        parts: dict[str, sql.Composable] = {"leaf": leaf, "round": sql.SQL(_ROUND), **ROW_SQL}
        self._insert = sql.SQL(_INSERT).format(**parts)
        self._conflicts = sql.SQL(_CONFLICTS).format(**parts)
        self._incomplete = sql.SQL(_INCOMPLETE).format(**parts)
        self._unknown = sql.SQL(_UNKNOWN).format(**parts)
        self._delete = sql.SQL(_DELETE).format(**parts)
        self._updates: dict[tuple[int, bool], sql.Composed] = {}
        self._parts = parts
        self._updates_first = True

    def write(self, cursor: psycopg.Cursor, a_round: Round) -> Outcomes:
        """Apply a round of staged rows."""
        outcomes = Outcomes()
        for mode in a_round.modes:
            if MODES[mode].existing == "deleted":
                self._write_deletes(cursor, a_round, mode, outcomes)
            elif not MODES[mode].adds:
                self._write_updates(cursor, a_round, mode, outcomes)
            elif MODES[mode].existing == "changed":
                self._write_upserts(cursor, a_round, mode, outcomes)
            else:
                self._write_inserts(cursor, a_round, mode, outcomes)
        return outcomes

    def _write_inserts(
        self, cursor: psycopg.Cursor, a_round: Round, mode: JobMode, outcomes: Outcomes
    ) -> None:
        parameters = a_round.parameters(mode)
        expected = a_round.modes[mode]
        inserted = cursor.execute(self._insert, parameters).rowcount
        outcomes.inserted += inserted
        if inserted == expected:
            return
        incomplete = self._find_incomplete(cursor, a_round, parameters)
        outcomes.incomplete += incomplete
        if MODES[mode].existing == "kept":
            outcomes.unchanged += expected - inserted - len(incomplete)
        else:
            outcomes.conflicts += cursor.execute(self._conflicts, parameters).fetchall()

    def _write_updates(
        self, cursor: psycopg.Cursor, a_round: Round, mode: JobMode, outcomes: Outcomes
    ) -> None:
        parameters = a_round.parameters(mode)
        expected = a_round.modes[mode]
        updated = cursor.execute(self._update(a_round), parameters).rowcount
        outcomes.updated += updated
        if updated < expected:
            unknown = _ids(cursor.execute(self._unknown, parameters))
            outcomes.unknown += unknown
            outcomes.unchanged += expected - updated - len(unknown)

    def _write_deletes(
        self, cursor: psycopg.Cursor, a_round: Round, mode: JobMode, outcomes: Outcomes
    ) -> None:
        parameters = a_round.parameters(mode)
        # Asked first: afterwards nobody has the keys of those who are deleted either.
        outcomes.unknown += _ids(cursor.execute(self._unknown, parameters))
        outcomes.deleted += cursor.execute(self._delete, parameters).rowcount

    def _write_upserts(
        self, cursor: psycopg.Cursor, a_round: Round, mode: JobMode, outcomes: Outcomes
    ) -> None:
        """Update, then insert, or the other way round: whichever did more the last time.

        The order is free, because a row that was inserted here is never updated here
        (``leaf.id <> staging.id``) and one that was updated conflicts with itself.
        """
        parameters = a_round.parameters(mode)
        expected = a_round.modes[mode]
        incomplete = self._find_incomplete(cursor, a_round, parameters)
        statements = {"updated": self._update(a_round), "inserted": self._insert}
        first, second = sorted(statements, reverse=self._updates_first)
        done = {first: cursor.execute(statements[first], parameters).rowcount, second: 0}
        if done[first] < expected:
            done[second] = cursor.execute(statements[second], parameters).rowcount
        self._updates_first = done["updated"] >= done["inserted"]
        outcomes.incomplete += incomplete
        outcomes.inserted += done["inserted"]
        outcomes.updated += done["updated"]
        outcomes.unchanged += expected - sum(done.values()) - len(incomplete)

    def _update(self, a_round: Round) -> sql.Composed:
        kind = a_round.fills, a_round.keeps_opt_outs
        if kind not in self._updates:
            changes = change_sql(a_round.fills, keeps_opt_outs=a_round.keeps_opt_outs)
            self._updates[kind] = sql.SQL(_UPDATE).format(**self._parts, **changes)
        return self._updates[kind]

    def _find_incomplete(
        self, cursor: psycopg.Cursor, a_round: Round, parameters: dict[str, Any]
    ) -> list[int]:
        if not a_round.has_incomplete:
            return []
        return _ids(cursor.execute(self._incomplete, parameters))


def _ids(found: psycopg.Cursor) -> list[int]:
    return [row[0] for row in found]


def _inserted_value(column: str) -> sql.Composable:
    if column in ("created_at", "modified_at"):
        return sql.SQL("occurred_at")
    return INSERTED.get(column, sql.Identifier(column))


def _assignments(values: Mapping[str, sql.Composable]) -> sql.Composed:
    whose: dict[str, sql.Composable] = {
        name: sql.Identifier("staging", staged)
        for name, staged in (
            ("modified_at", "occurred_at"),
            ("job_id", "job_id"),
            ("record_number", "record_number"),
            ("modified_position", "id"),
        )
    }
    return assignments({**values, **whose})


ROW_SQL: Final[dict[str, sql.Composable]] = {
    "columns": sql.SQL(", ").join(sql.Identifier(column) for column in LEAF_COLUMNS),
    "values": sql.SQL(", ").join(_inserted_value(column) for column in LEAF_COLUMNS),
}
"""Parts of statements that write staged rows: ``columns`` and ``values`` of a new user."""


@cache
def change_sql(fills: int = 0, *, keeps_opt_outs: bool = False) -> dict[str, sql.Composable]:
    """Return more parts: ``assignments`` of a changed user, ``differences`` that make it one."""
    values = changed(fills, keeps_opt_outs=keeps_opt_outs)
    return {"assignments": _assignments(values), "differences": differences(values)}
