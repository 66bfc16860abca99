"""Validates a whole file by the settings of its job, a block at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.parsing.file_format import UNLIMITED, format_of
from ingest_api.parsing.records import FileRecords
from ingest_api.validation.validated_rows import rows_and_rejections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest_api.parsing.decode import Readable
    from ingest_api.parsing.file_format import Limits
    from ingest_api.validation.validated_rows import RowsAndRejections
    from schemas.events import JobAccepted


def validate_file(
    readable: Readable, accepted: JobAccepted, limits: Limits = UNLIMITED
) -> Iterator[RowsAndRejections]:
    """Yield the rows and rejections of each block of a job's file.

    Raises:
        FileFault: it is not the file that was accepted.
    """
    records = FileRecords(readable, format_of(accepted), limits)
    for block in records.blocks():
        yield rows_and_rejections(block, records.header, accepted)
