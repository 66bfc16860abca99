"""What validation makes of a file, decoded from the bytes that go into the log."""

from __future__ import annotations

import io
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from ingest_api.parsing.file_format import Limits, format_of
from ingest_api.parsing.records import FileRecords
from ingest_api.validation.validated_rows import rows_and_rejections
from schemas.codec import codec, columnar
from schemas.codec.framing import frame_of
from schemas.events import AttributeColumn, RowRejected, UserRow
from tests.support.data.corpus.values import ATTRIBUTES, TIDY
from tests.support.data.files import csv_of
from tests.support.models.file_oracle import accepted_job

if TYPE_CHECKING:
    from schemas.events import JobAccepted

COLUMNS = tuple(AttributeColumn(name, kind) for name, kind in ATTRIBUTES.items())


def events_of(content: bytes, job: JobAccepted, block_bytes: int = 1 << 20) -> list[Any]:
    """The rows and rejections of a file, in the order of its lines."""
    file = FileRecords(io.BytesIO(content), format_of(job), Limits(block_bytes=block_bytes))
    found: list[Any] = []
    for block in file.blocks():
        checked = rows_and_rejections(block, file.header, job)
        values: list[Any] = columnar.encode_batch(frame_of(UserRow), checked.rows).to_pylist()
        values += columnar.encode_batch(frame_of(RowRejected), checked.rejections).to_pylist()
        events: list[Any] = [codec.decode(value) for value in values]
        found += sorted(events, key=attrgetter("record_number"))
    return found


def outcome_of(cells: dict[str, str], **changes: Any) -> Any:
    """The one event of a file with this line only."""
    (event,) = events_of(csv_of(cells), accepted_job(**changes))
    return event


def attribute_outcome(cells: dict[str, str], **changes: Any) -> Any:
    """The one event of a file with this line only, and a column for each attribute."""
    content = csv_of(cells, headers=[*TIDY, *ATTRIBUTES])
    (event,) = events_of(content, accepted_job(attributes=COLUMNS, **changes))
    return event
