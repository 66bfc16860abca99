"""Writes the outcome of each row of a job: a letter a row, in the order of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

import numpy as np
from psycopg import sql

from processor.projection.staging_table import copy_statement
from schemas.log.job_states import OUTCOME_LETTERS

if TYPE_CHECKING:
    import numpy.typing as npt
    import psycopg

    from processor.projection.job_rows import Outcomes
    from processor.projection.staging import PreparedRows

    Letters = npt.NDArray[np.uint8]

LETTERS: Final = {name: np.uint8(ord(letter)) for name, letter in OUTCOME_LETTERS.items()}
_WRITTEN_LETTERS: Final = (LETTERS["inserted"], LETTERS["updated"])
_COLUMNS: Final = ("job_id", "partition", "first_position", "rows", "outcomes")
_WRITTEN: LiteralString = """
SELECT staging.id, leaf.id = staging.id
FROM staging JOIN {leaf} AS leaf USING (key)
WHERE step = %(step)s AND round = %(round)s AND staging.job_id IS NOT NULL
  AND staging.id IN (leaf.id, leaf.modified_position)
"""


class LineOutcomes:
    """Collects the outcomes of rows of jobs in one transaction, until :meth:`write`."""

    def __init__(self, schema: str) -> None:
        self._table = sql.Identifier(schema, "line_outcome")
        self._rows: list[tuple[object, ...]] = []

    def note_inserted(self, partition: int, step: PreparedRows) -> None:
        """Note that all rows of a step have made users."""
        self.note(partition, step, np.full(len(step.ids), LETTERS["inserted"]))

    def note(self, partition: int, step: PreparedRows, letters: Letters) -> None:
        """Note the outcomes of a step's rows; those of other producers are left out."""
        own = letters[np.asarray(step.rows.column("job_id").is_valid())]
        if len(own):
            text = own.tobytes().decode()
            shortened = text[0] if text.count(text[0]) == len(text) else text
            self._rows.append((step.job_id, partition, int(step.ids[0]), len(own), shortened))

    def write(self, cursor: psycopg.Cursor) -> None:
        """Write them."""
        if self._rows:
            with cursor.copy(copy_statement(self._table, _COLUMNS, "text")) as copy:
                for row in self._rows:
                    copy.write_row(row)


def round_letters(
    cursor: psycopg.Cursor,
    leaf: sql.Identifier,
    step: PreparedRows,
    number: int,
    outcomes: Outcomes,
) -> Letters:
    """Return the outcomes of the rows of one round, which has just been written.

    What has changed the leaf is asked for only where the round has outcomes of several kinds.
    """
    ids = step.ids[step.rounds == number]
    present = [name for name in LETTERS if getattr(outcomes, name)]
    letters = np.full(len(ids), LETTERS[present[0] if len(present) == 1 else "unchanged"])
    if len(present) > 1:
        parameters = {"step": step.step, "round": number}
        statement = sql.SQL(_WRITTEN).format(leaf=leaf)
        written = np.array(cursor.execute(statement, parameters).fetchall(), np.int64)
        positions, are_new = written.reshape(-1, 2).T
        letters[np.searchsorted(ids, positions)] = np.where(are_new, *_WRITTEN_LETTERS)
    letters[np.searchsorted(ids, outcomes.refused)] = LETTERS["inserted"]
    return letters
