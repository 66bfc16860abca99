"""Read a file in `uploads` again, validate its lines, and encode them as COPY input.

They are read again from the chunks, validated by the code that a pass is made with,
and made a block at a time, in the threads of the surveys and in turn with them.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from ingest_api.dry_runs.statements import LINE_COLUMNS, SAMPLES
from ingest_api.kafka.upload_chunks import stored_file
from ingest_api.uploads.receiver import ThrottledReader, open_stored
from ingest_api.validation.validated_file import validate_file
from schemas.read_model.attribute_json import attributes_json
from schemas.read_model.copy_binary import copy_input, is_complete, jsonb
from schemas.rules.attributes import Attribute

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator

    import pyarrow as pa

    from ingest_api.parsing.decode import Readable
    from ingest_api.uploads.receiver import UploadResources
    from ingest_api.validation.validated_rows import RowsAndRejections
    from schemas.events import JobAccepted

    Columns = Callable[[pa.RecordBatch, JobAccepted], dict[str, Any]]


def line_columns(rows: pa.RecordBatch, accepted: JobAccepted) -> dict[str, Any]:
    """Return the columns of ``compared_line``."""
    defined = {column.name: Attribute(column.name, column.type) for column in accepted.attributes}
    computed: dict[str, Any] = {
        "attributes": jsonb(attributes_json(rows.column("attributes"), defined)),
        "is_complete": is_complete(rows),
    }
    return {
        name: computed[name] if name in computed else rows.column(name) for name in LINE_COLUMNS
    }


def key_columns(rows: pa.RecordBatch, _accepted: JobAccepted) -> dict[str, Any]:
    """Return the columns of ``compared_key``."""
    return {"key": rows.column("key")}


class ComparedLines:
    """The lines of one file, read once; ``rejected`` and ``rejections`` grow with it.

    ``rejections`` are the first of the lines that are refused whatever the audience is,
    with the columns of ``RowRejected``.
    """

    def __init__(self, accepted: JobAccepted, columns: Columns) -> None:
        self.accepted = accepted
        self.rejected = 0
        self.rejections: list[dict[str, Any]] = []
        self._columns = columns

    def inputs(self, readable: Readable) -> Iterator[memoryview]:
        """Yield COPY input of the valid lines, a block at a time.

        Raises:
            FileFault: it is not the file that was accepted.
        """
        for checked in validate_file(readable, self.accepted):
            self._note_rejections(checked)
            yield copy_input(self._columns(checked.rows, self.accepted))

    def _note_rejections(self, checked: RowsAndRejections) -> None:
        refused = checked.rejections
        self.rejected += refused.num_rows
        room = SAMPLES - len(self.rejections)
        self.rejections += refused.slice(0, room).to_pylist()


async def stored_inputs(
    resources: UploadResources, lines: ComparedLines
) -> AsyncGenerator[memoryview]:
    """Yield the inputs of a file in `uploads`; the next is made while one is used.

    Close it where it is not read to its end.

    Raises:
        UploadLostError: `uploads` does not hold the file any more.
        LogUnavailableError: Kafka gives no chunk for now.
    """
    inputs = _ThreadedInputs(resources, lines)
    next_input = inputs.next_input()
    try:
        while (piece := await next_input) is not None:
            next_input = inputs.next_input()
            yield piece
    finally:
        resources.threads.submit(inputs.close)


class _ThreadedInputs:
    """Makes inputs in the threads of the surveys, in one of them at a time."""

    def __init__(self, resources: UploadResources, lines: ComparedLines) -> None:
        self._resources = resources
        self._lock = threading.Lock()
        self._inputs = self._encode(lines)

    def next_input(self) -> asyncio.Future[memoryview | None]:
        """Return a future of the next input; None after the last."""
        return asyncio.get_running_loop().run_in_executor(self._resources.threads, self._next)

    def close(self) -> None:
        """Close the file, once the input under way has been made."""
        with self._lock:
            self._inputs.close()

    def _next(self) -> memoryview | None:
        with self._lock, self._resources.permits:
            return next(self._inputs, None)

    def _encode(self, lines: ComparedLines) -> Generator[memoryview]:
        with open_stored(self._resources, stored_file(lines.accepted)) as readable:
            yield from lines.inputs(ThrottledReader(readable, self._resources.permits))
