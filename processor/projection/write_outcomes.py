"""Writes the outcomes of single users' writes by the API, and notifies who waits for them.

A row of ``write_outcome`` and a NOTIFY leave with the transaction that applied
the write, so who waits for it reads what the tables hold.

A write that comes again is a repeat: it changes nothing and keeps its first
outcome.  What is a repeat must not depend on when rows are swept, nor on which
partition is projected first, or a replay would decide otherwise; so it is one
within so many records of its partition after the first, and rows are kept at
least as long.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql

from schemas.log.positions import last_position_sql, place_of
from schemas.read_model.tables import OUTCOME_CHANNEL, REPEAT_OFFSETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

    from processor.decoding.producer_rules import Refusal

_MAX_PAYLOAD_BYTES: Final = 7_900
"""PostgreSQL takes less than 8,000 (manual, NOTIFY)."""
_FIRST: LiteralString = """
SELECT event_id, position FROM {schema}.write_outcome WHERE event_id = ANY(%(event_ids)s)
"""
_INSERT: LiteralString = """
INSERT INTO {schema}.write_outcome AS first
    (event_id, position, outcome, user_id, code, reason, "column")
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::text[],
                     %s::text[])
ON CONFLICT (event_id, partition) DO UPDATE
SET position = EXCLUDED.position, outcome = EXCLUDED.outcome, user_id = EXCLUDED.user_id,
    code = EXCLUDED.code, reason = EXCLUDED.reason, "column" = EXCLUDED."column",
    recorded_at = DEFAULT
WHERE EXCLUDED.position > first.position
"""
_NOTIFY: LiteralString = """
SELECT pg_notify(%(channel)s, payload) FROM unnest(%(payloads)s::text[]) AS payload
"""
FORGET_OUTCOMES: LiteralString = f"""
DELETE FROM {{schema}}.write_outcome AS outcome
USING {{schema}}.projection_offset AS reached
WHERE recorded_at < now() - interval '1 hour' AND outcome.partition = reached.partition
  AND position + %(window)s < {last_position_sql("reached")}
"""  # noqa: S608 - an expression of ours


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """A row of the table, in its order of columns."""

    event_id: str
    position: int
    outcome: str
    user_id: int | None = None
    code: str | None = None
    reason: str | None = None
    column: str | None = None

    @classmethod
    def refused(cls, event_id: str, position: int, refusal: Refusal) -> WriteOutcome:
        """Return the outcome of a write that may not count."""
        return cls(
            event_id, position, "rejected", None, refusal.code, refusal.reason, refusal.column
        )


class WriteOutcomes:
    """The outcomes of one transaction.

    ``writes`` are its writes of the API, their event ids by log position.
    """

    def __init__(self, schema: str, writes: Mapping[int, str]) -> None:
        self._schema = sql.Identifier(schema)
        self._writes = writes
        self._repeats: set[int] = set()
        self._outcomes: dict[tuple[str, int], WriteOutcome] = {}

    def find_repeats(self, cursor: psycopg.Cursor) -> None:
        """Tell apart what has an outcome already; before anything is written."""
        if not self._writes:
            return
        event_ids = sorted(set(self._writes.values()))
        found = cursor.execute(self._sql(_FIRST), {"event_ids": event_ids}).fetchall()
        first = {(event_id, place_of(position).partition): position for event_id, position in found}
        self._repeats = repeats(self._writes, first)

    def is_repeat(self, position: int) -> bool:
        """Return whether the write at this position came before."""
        return position in self._repeats

    def note(self, outcome: WriteOutcome) -> None:
        """Keep an outcome; of a repeat nothing is kept, of an id that is used again the last."""
        written = (outcome.event_id, place_of(outcome.position).partition)
        before = self._outcomes.get(written)
        if outcome.position not in self._repeats and (
            before is None or before.position < outcome.position
        ):
            self._outcomes[written] = outcome

    def write(self, cursor: psycopg.Cursor, *, tells: bool) -> None:
        """Write all outcomes; ``tells`` who waits, also those that wait for a repeat."""
        if not self._writes:
            return
        if self._outcomes:
            # In one order everywhere: two workers that meet the same id must not deadlock.
            rows = [astuple(outcome) for _, outcome in sorted(self._outcomes.items())]
            cursor.execute(self._sql(_INSERT), [list(column) for column in zip(*rows, strict=True)])
        if tells:
            parameters = {"channel": OUTCOME_CHANNEL, "payloads": payloads(self._writes.values())}
            cursor.execute(_NOTIFY, parameters)

    def _sql(self, statement: LiteralString) -> sql.Composed:
        return sql.SQL(statement).format(schema=self._schema)


def repeats(writes: Mapping[int, str], first: Mapping[tuple[str, int], int]) -> set[int]:
    """Return the positions of writes that came before, in this transaction or at ``first``.

    ``first`` has the position of the outcome that is there, by event id and partition.
    """
    found: set[int] = set()
    known = dict(first)
    for position, event_id in sorted(writes.items()):
        written = (event_id, place_of(position).partition)
        before = known.get(written)
        if before is not None and 0 < position - before <= REPEAT_OFFSETS:
            found.add(position)
        else:
            known[written] = position
    return found


def payloads(event_ids: Iterable[str]) -> list[str]:
    """Join the ids by spaces into as many texts as a NOTIFY's limit asks for."""
    texts: list[str] = []
    for event_id in event_ids:
        if texts and len(texts[-1]) + 1 + len(event_id) <= _MAX_PAYLOAD_BYTES:
            texts[-1] += f" {event_id}"
        else:
            texts.append(event_id)
    return texts
