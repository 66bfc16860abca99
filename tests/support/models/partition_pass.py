"""The records of one pass of a job in one partition, in memory, with times of their own."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas.codec import codec
from schemas.events import JobOpened, JobSealed, RowRejected, UserRow
from schemas.rules.modes import MODES

if TYPE_CHECKING:
    from schemas.events import JobMode

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class FakeRecord:
    """A record as a batch reads it."""

    at: int
    data: bytes

    def value(self) -> bytes:
        """Its value."""
        return self.data

    def key(self) -> bytes:
        """Its key."""
        return b"k"

    def offset(self) -> int:
        """Its offset."""
        return self.at

    def timestamp(self) -> tuple[int, int]:
        """A second later than the one before it."""
        return 1, 1000 * self.at

    def headers(self) -> None:
        """It has none."""


def a_pass(job_id: int, previous: int, rows: int, mode: JobMode = "insert") -> list[bytes]:
    """The records of one pass of a job in one partition; each third row is a rejection."""
    values = [
        codec.encode(
            RowRejected(
                job_id=job_id,
                record_number=n + 1,
                line=n + 2,
                sequence=n,
                column=None,
                code="X",
                reason="x",
                value=None,
                raw="",
            )
            if n % 3 == 2
            else UserRow(
                job_id=job_id,
                record_number=n + 1,
                line=n + 2,
                sequence=n,
                mode=MODES[mode].row_mode,
                key=f"k{n}",
                present=0,
                occurred_at=NOW,
            )
        )
        for n in range(rows)
    ]
    opened = JobOpened(
        job_id=job_id, previous_job_id=previous, mode=mode, lines=rows,
        file_name=None, sha256="", accepted_at=NOW, accepted_by="a",
    )  # fmt: skip
    sealed = JobSealed(job_id=job_id, rows=rows, digest=zlib.crc32(b"".join(values)))
    return [codec.encode(opened), *values, codec.encode(sealed)]
