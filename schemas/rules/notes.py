"""Notes: what was not taken of a line as it stood, though the line counts."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final

from schemas.rules.fields import OPT_OUT_KEPT, SUBSCRIPTIONS
from schemas.rules.rejections import faults_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NOTE_COLUMNS: Final = ("job_id", "record_number", "line", "column", "code", "reason", "value")


@dataclass(frozen=True, slots=True)
class Note:
    """A row of the table ``note``, with the columns of :data:`NOTE_COLUMNS`."""

    job_id: int
    record_number: int
    line: int
    column: str
    code: str
    reason: str
    value: str | None = None

    def as_row(self) -> tuple[object, ...]:
        """Return its columns in table order."""
        return astuple(self)


def kept_opt_outs(row: Mapping[str, Any], flags: int) -> Iterator[Note]:
    """Yield the notes of a job's row, a note for each opt-out among ``flags`` that it met."""
    for field in SUBSCRIPTIONS:
        if flags & field.bit:
            yield Note(
                job_id=row["job_id"],
                record_number=row["record_number"],
                line=row["line"],
                column=field.header,
                code=OPT_OUT_KEPT.code,
                reason=OPT_OUT_KEPT.reason.format(column=field.header),
            )


def dropped_cells(row: Mapping[str, Any]) -> Iterator[Note]:
    """Yield the notes of a job's row, a note for each invalid cell that was left out of it."""
    faults = {(fault.column, fault.code): fault for fault in faults_of(row["dropped_cells"])}
    for (column, code), fault in faults.items():
        if column is not None:
            yield Note(
                job_id=row["job_id"],
                record_number=row["record_number"],
                line=row["line"],
                column=column,
                code=code,
                reason=fault.reason,
                value=fault.value,
            )
