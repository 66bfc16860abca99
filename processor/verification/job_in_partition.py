"""What the fold counts of a job in one partition: outcomes, and hashes of what is kept of lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.read_model.column_hashes import mixed, text_hash
from schemas.rules.fields import OPT_OUT_KEPT, SUBSCRIPTIONS

if TYPE_CHECKING:
    import numpy.typing as npt

    from processor.decoding.accept_rule import Opened, Sealed

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
            codes = codes_of(OPT_OUT_KEPT.code + field.header, int(np.count_nonzero(some)))
            self.notes += len(codes)
            total = rejection_hashes(record_numbers[some], lines[some], codes).sum()
            self.notes_hash = (self.notes_hash + int(total)) & _WRAP


def rejection_hashes(
    record_numbers: Numbers, lines: Numbers, codes: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """Return a number for each rejection or note; their sum does not depend on their order."""
    first = mixed(codes + record_numbers.astype(np.uint64))
    return mixed(first + lines.astype(np.uint64))


def codes_of(code: str, count: int) -> npt.NDArray[np.uint64]:
    """Return the hash of a code, so often."""
    return np.full(count, text_hash(code), np.uint64)
