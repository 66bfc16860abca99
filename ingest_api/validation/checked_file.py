"""A file → its lines as its job takes or refuses them, a block at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.parsing.file_format import UNLIMITED, format_of
from ingest_api.parsing.records import FileRecords
from ingest_api.validation.validated_rows import check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest_api.parsing.decode import Readable
    from ingest_api.parsing.file_format import Limits
    from ingest_api.validation.validated_rows import CheckedBlock
    from schemas.events import JobAccepted


def checked_blocks(
    readable: Readable, accepted: JobAccepted, limits: Limits = UNLIMITED
) -> Iterator[CheckedBlock]:
    """Read the lines of a file as its job takes or refuses them.

    Raises:
        FileFault: it is not the file that was accepted.
    """
    records = FileRecords(readable, format_of(accepted), limits)
    for block in records.blocks():
        yield check(block, records.header, accepted)
