"""Counts what became of other producers' records, by the source that they name.

A producer may name a new source in every event, so a partition counts only so
many of them by name: the first that its log names.  All later ones count
together.  Which ones those are follows from the order of the partition alone,
so every replay, whatever its batches, counts the same.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, LiteralString, cast, get_args

from psycopg import sql

from processor.decoding.producer_rules import UNREADABLE
from processor.decoding.records import recorded_at
from schemas.log.positions import place_of, position_of
from schemas.read_model.tables import API_SOURCE, OTHER_SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    import psycopg

    from processor.decoding.batch import Batch
    from processor.projection.producer_rows import Found, RowOutcome
    from processor.projection.staging import PreparedRows
    from processor.projection.write_outcomes import WriteOutcomes

SourceOutcome = Literal[
    "inserted", "updated", "unchanged", "deleted", "rejected", "dead", "repeats"
]
OUTCOMES: Final[tuple[SourceOutcome, ...]] = get_args(SourceOutcome)
MOST_SOURCES: Final = 1000
"""So many sources a partition counts by name."""
LONGEST_SOURCE: Final = 100
"""Characters of a name; longer ones that begin alike count together."""
_KNOWN: LiteralString = """
SELECT partition, source FROM {schema}.source_partition
WHERE (partition, source) IN (SELECT * FROM unnest(%(partitions)s::integer[], %(sources)s::text[]))
"""
_TAKEN: LiteralString = """
SELECT partition, count(*) FROM {schema}.source_partition
WHERE partition = ANY(%(partitions)s) AND source <> %(other)s
GROUP BY partition
"""
_ADD: LiteralString = """
INSERT INTO {schema}.source_partition AS counted
    (partition, source, inserted, updated, unchanged, deleted, rejected, dead, repeats,
     first_at, last_at)
SELECT * FROM unnest(%s::integer[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[],
                     %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
                     %s::timestamptz[], %s::timestamptz[])
ON CONFLICT (partition, source) DO UPDATE
SET inserted = counted.inserted + EXCLUDED.inserted,
    updated = counted.updated + EXCLUDED.updated,
    unchanged = counted.unchanged + EXCLUDED.unchanged,
    deleted = counted.deleted + EXCLUDED.deleted,
    rejected = counted.rejected + EXCLUDED.rejected,
    dead = counted.dead + EXCLUDED.dead,
    repeats = counted.repeats + EXCLUDED.repeats,
    first_at = LEAST(counted.first_at, EXCLUDED.first_at),
    last_at = GREATEST(counted.last_at, EXCLUDED.last_at)
"""


@dataclass(slots=True)
class SourceCount:
    """The outcomes of one source in one partition; times are those of its records."""

    outcomes: dict[SourceOutcome, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    first_at: datetime | None = None
    last_at: datetime | None = None

    def add(self, other: SourceCount) -> None:
        """Count the other one in."""
        for name, count in other.outcomes.items():
            self.outcomes[name] += count
        self.note_time(other.first_at)
        self.note_time(other.last_at)

    def note_time(self, at: datetime | None) -> None:
        """Widen the time between first and last."""
        if at is not None:
            self.first_at = at if self.first_at is None else min(self.first_at, at)
            self.last_at = at if self.last_at is None else max(self.last_at, at)


@dataclass(frozen=True, slots=True)
class _RecordOutcome:
    """The outcome of one record."""

    offset: int
    source: str
    outcome: SourceOutcome
    recorded_at: datetime


class SourceCounts:
    """The counts of one transaction, gathered until :meth:`write`; of jobs it hears nothing."""

    def __init__(self, schema: str) -> None:
        self._schema = sql.Identifier(schema)
        self._outcomes: defaultdict[int, list[_RecordOutcome]] = defaultdict(list)

    def note_refused(self, batch: Batch, outcomes: WriteOutcomes) -> None:
        """Count what the batch's rules refused; of what can't be read nobody knows the source."""
        for dead_letter in batch.dead_letters:
            if dead_letter.code != UNREADABLE:
                self._note(batch, dead_letter.offset, dead_letter.source, "dead")
        for write in batch.refused_writes:
            is_repeat = outcomes.is_repeat(position_of(batch.partition, write.offset))
            self._note(batch, write.offset, API_SOURCE, "repeats" if is_repeat else "rejected")

    def note_rows(
        self, batch: Batch, step: PreparedRows, rows: list[Found], row_outcomes: list[RowOutcome]
    ) -> None:
        """Count rows that were looked up; those without an outcome are repeats."""
        outcomes: dict[int, SourceOutcome] = {found.position: "repeats" for found in rows}
        for row in row_outcomes:
            outcomes[row.position] = outcome_counted(row, is_reported=row.position in step.reported)
        for position, source in zip(outcomes, step.sources_by_id(list(outcomes)), strict=True):
            self._note(batch, place_of(position).offset, source, outcomes[position])

    def _note(self, batch: Batch, offset: int, source: str | None, outcome: SourceOutcome) -> None:
        at = recorded_at(batch.record(offset))
        self._outcomes[batch.partition].append(
            _RecordOutcome(offset, source_name(source), outcome, at)
        )

    def write(self, cursor: psycopg.Cursor) -> None:
        """Add all to the table; no statement is run where no record came without a job."""
        if not self._outcomes:
            return
        counts = {partition: counted(outcomes) for partition, outcomes in self._outcomes.items()}
        names = [(partition, source) for partition, found in counts.items() for source in found]
        known = self._known(cursor, names)
        room = {} if known.issuperset(names) else self._room(cursor, list(counts))
        rows = [
            (partition, source, *count.outcomes.values(), count.first_at, count.last_at)
            for partition, found in counts.items()
            for source, count in named(
                found, {name for at, name in known if at == partition}, room.get(partition, 0)
            ).items()
        ]
        cursor.execute(self._sql(_ADD), [list(column) for column in zip(*rows, strict=True)])

    def _known(self, cursor: psycopg.Cursor, names: list[tuple[int, str]]) -> set[tuple[int, str]]:
        partitions, sources = zip(*names, strict=True)
        parameters = {"partitions": list(partitions), "sources": list(sources)}
        return set(cursor.execute(self._sql(_KNOWN), parameters).fetchall())

    def _room(self, cursor: psycopg.Cursor, partitions: list[int]) -> dict[int, int]:
        """Return how many more sources each partition may count by name."""
        parameters = {"partitions": partitions, "other": OTHER_SOURCES}
        taken = dict(cursor.execute(self._sql(_TAKEN), parameters).fetchall())
        return {at: MOST_SOURCES - taken.get(at, 0) for at in partitions}

    def _sql(self, statement: LiteralString) -> sql.Composed:
        return sql.SQL(statement).format(schema=self._schema)


def outcome_counted(row: RowOutcome, *, is_reported: bool) -> SourceOutcome:
    """Return the outcome that a row counts as; ``is_reported``: its sender learns of a refusal."""
    if row.code is not None:
        return "rejected" if is_reported else "dead"
    if row.outcome == "inserted" and not row.is_written:
        return "repeats"
    return cast("SourceOutcome", row.outcome)  # all others are among them


def counted(outcomes: Iterable[_RecordOutcome]) -> dict[str, SourceCount]:
    """Count by source, in the order in which the log first names them."""
    counts: dict[str, SourceCount] = {}
    for each in sorted(outcomes, key=lambda each: each.offset):
        count = counts.setdefault(each.source, SourceCount())
        count.outcomes[each.outcome] += 1
        count.note_time(each.recorded_at)
    return counts


def named(counts: Mapping[str, SourceCount], known: set[str], room: int) -> dict[str, SourceCount]:
    """Merge the counts of sources that are neither known nor among the next ``room``."""
    taken: dict[str, SourceCount] = {}
    for source, count in counts.items():
        is_named = source in known or source == OTHER_SOURCES or room > 0
        if is_named and source not in known and source != OTHER_SOURCES:
            room -= 1
        taken.setdefault(source if is_named else OTHER_SOURCES, SourceCount()).add(count)
    return taken


def source_name(source: str | None) -> str:
    """Return the name that a source is counted by; empty where an event names none."""
    # PostgreSQL's text holds no NUL.
    return (source or "")[:LONGEST_SOURCE].replace("\0", "\N{REPLACEMENT CHARACTER}")
