"""Collects the notes of lines that count, and writes them with the rest of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from psycopg import sql

from processor.projection.staging_table import copy_found
from schemas.rules.notes import NOTE_COLUMNS, dropped_cells

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import Any

    import psycopg

    from processor.projection.jobs import JobChanges
    from processor.projection.staging import PreparedRows
    from schemas.rules.notes import Note

_TAKE_BACK: LiteralString = """
DELETE FROM {schema}.note WHERE job_id = %(job_id)s AND record_number = ANY(%(record_numbers)s)
"""


class LineNotes:
    """The notes of one transaction; each counts for its job when it is added."""

    def __init__(self, schema: str, jobs: JobChanges) -> None:
        self._schema = schema
        self._jobs = jobs
        self._notes: list[Note] = []
        self._taken_back: dict[int, list[int]] = {}

    def add(self, partition: int, notes: Iterable[Note]) -> None:
        """Add notes of lines that count."""
        for note in notes:
            self._jobs.counts(note.job_id, partition).notes += 1
            self._notes.append(note)

    def add_dropped(
        self, partition: int, step: PreparedRows, refused: Collection[int] = ()
    ) -> None:
        """Add the notes of cells that were left out; ``refused`` are ids of rows without any."""
        for row_id, notes in step.dropped.items():
            if row_id not in refused:
                self.add(partition, notes)

    def take_back(self, partition: int, row: Mapping[str, Any]) -> None:
        """Take the notes of a job's row back, which counted before and is refused now."""
        if notes := list(dropped_cells(row)):
            self._jobs.counts(row["job_id"], partition).notes -= len(notes)
            self._taken_back.setdefault(row["job_id"], []).append(row["record_number"])

    def write(self, cursor: psycopg.Cursor) -> None:
        """Write the notes, then delete those that were taken back, of earlier batches too."""
        copy_found(cursor, sql.Identifier(self._schema, "note"), NOTE_COLUMNS, self._notes)
        for job_id, record_numbers in self._taken_back.items():
            statement = sql.SQL(_TAKE_BACK).format(schema=sql.Identifier(self._schema))
            cursor.execute(statement, {"job_id": job_id, "record_numbers": record_numbers})
