"""A job in one partition, as the fold of the log counts it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.read_model.column_hashes import mixed, text_hash
from schemas.rules.fields import ERASED, OPT_OUT_KEPT, SUBSCRIPTIONS
from schemas.rules.notes import dropped_cells

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from processor.decoding.accept_rule import Opened, Sealed
    from schemas.events import RowErased

    Numbers = npt.NDArray[np.int64]

_WRAP: Final = (1 << 64) - 1


@dataclass(slots=True)
class JobInPartition:
    """A job here: how many rows the log has of it, what became of them, which were refused."""

    opened: Opened
    sealed: Sealed | None = None
    events: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    deleted: int = 0
    rejections_hash: int = 0
    notes: int = 0
    notes_hash: int = 0
    outcomes_digest: int = 0

    def reject(
        self, record_numbers: Numbers, lines: Numbers, codes: npt.NDArray[np.uint64]
    ) -> None:
        """Count rejections."""
        self.rejected += len(record_numbers)
        total = rejection_hashes(record_numbers, lines, codes).sum()
        self.rejections_hash = (self.rejections_hash + int(total)) & _WRAP

    def note_kept(self, record_numbers: Numbers, lines: Numbers, held: Numbers) -> None:
        """Count the notes of lines that have not set the flags ``held``."""
        for field in SUBSCRIPTIONS:
            some = (held & field.bit) > 0
            code = text_hash(OPT_OUT_KEPT.code + field.header)
            codes = np.full(int(np.count_nonzero(some)), code, np.uint64)
            total = rejection_hashes(record_numbers[some], lines[some], codes).sum()
            self._note(len(codes), int(total))

    def note_dropped(self, rows: pa.RecordBatch, at: Numbers) -> tuple[int, int]:
        """Count the notes of cells that were left out of these rows; return their number and hash.

        They may be taken back, by :meth:`take_back`.
        """
        if rows.column("dropped_cells").null_count == len(rows):
            return 0, 0
        columns = ["job_id", "record_number", "line", "dropped_cells"]
        found = rows.select(columns).take(at).to_pylist()
        notes = [note for row in found for note in dropped_cells(row)]
        texts = [f"{note.code}{note.column}{note.value or ''}" for note in notes]
        total = rejection_hashes(
            np.array([note.record_number for note in notes], np.int64),
            np.array([note.line for note in notes], np.int64),
            np.array([text_hash(text) for text in texts], np.uint64),
        ).sum()
        self._note(len(notes), int(total))
        return len(notes), int(total)

    def take_back(self, notes: int, notes_hash: int) -> None:
        """Count these notes no more, because their rows are refused."""
        self._note(-notes, -notes_hash)

    def _note(self, notes: int, notes_hash: int) -> None:
        self.notes += notes
        self.notes_hash = (self.notes_hash + notes_hash) & _WRAP

    def note_outcomes(self, letters: npt.NDArray[np.uint8]) -> None:
        """Note what became of the rows that come next."""
        self.outcomes_digest = zlib.crc32(letters.tobytes(), self.outcomes_digest)

    def count_erased(self, row: RowErased) -> None:
        """Count a line whose data has been erased as it counted before."""
        match row.outcome:
            case "inserted":
                self.inserted += 1
            case "updated":
                self.updated += 1
            case "unchanged" | "none":
                self.unchanged += 1
            case "deleted":
                self.deleted += 1
            case "rejected" | "refused":
                numbers, lines = np.array([row.record_number]), np.array([row.line])
                self.reject(numbers, lines, np.full(1, text_hash(ERASED.code), np.uint64))


def rejection_hashes(
    record_numbers: Numbers, lines: Numbers, codes: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """Return a number for each rejection or note; their sum does not depend on their order."""
    first = mixed(codes + record_numbers.astype(np.uint64))
    return mixed(first + lines.astype(np.uint64))
