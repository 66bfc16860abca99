"""Read a file in `uploads` again, validate its lines, and encode them as COPY input.

They are read again from the chunks, validated by the code that a pass is made with,
and made a block at a time, in the threads of the surveys and in turn with them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from ingest_api.dry_runs.statements import LINE_COLUMNS, SAMPLES
from ingest_api.kafka.upload_chunks import stored_file
from ingest_api.uploads.receiver import ThrottledReader, open_stored
from ingest_api.validation.dates import DateOrders
from ingest_api.validation.validated_file import validate_file
from schemas.read_model.attribute_json import attributes_json
from schemas.read_model.copy_binary import copy_input, is_complete, jsonb
from schemas.rules.attributes import Attribute
from schemas.rules.rejections import faults_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator

    import pyarrow as pa

    from ingest_api.parsing.decode import Readable
    from ingest_api.uploads.receiver import UploadResources
    from ingest_api.validation.validated_rows import RowsAndRejections
    from schemas.events import JobAccepted


def _line_columns(rows: pa.RecordBatch, accepted: JobAccepted) -> dict[str, Any]:
    """Return the columns of ``compared_line``."""
    defined = {column.name: Attribute(column.name, column.type) for column in accepted.attributes}
    computed: dict[str, Any] = {
        "attributes": jsonb(attributes_json(rows.column("attributes"), defined)),
        "is_complete": is_complete(rows),
    }
    return {
        name: computed[name] if name in computed else rows.column(name) for name in LINE_COLUMNS
    }


class ComparedLines:
    """The lines of one file, read once; ``rejected`` and ``rejections`` grow with it.

    ``rejections`` are the first of the lines that are refused whatever the audience is,
    with the columns of ``RowRejected``; ``faults`` counts all that is wrong with such lines,
    by code and column.
    """

    def __init__(self, accepted: JobAccepted) -> None:
        self.accepted = accepted
        self.rejected = 0
        self.rejections: list[dict[str, Any]] = []
        self.faults = Counter[tuple[str, str | None]]()
        self.date_orders = DateOrders()

    def inputs(self, readable: Readable) -> Iterator[memoryview]:
        """Yield COPY input of the valid lines, a block at a time.

        Raises:
            FileFault: it is not the file that was accepted.
        """
        for checked in validate_file(readable, self.accepted):
            self._note_rejections(checked)
            for column in checked.dates:
                self.date_orders.note(column)
            yield copy_input(_line_columns(checked.rows, self.accepted))

    def _note_rejections(self, checked: RowsAndRejections) -> None:
        refused = checked.rejections
        self.rejected += refused.num_rows
        room = SAMPLES - len(self.rejections)
        self.rejections += refused.slice(0, room).to_pylist()
        for row in refused.select(["code", "column", "further_faults"]).to_pylist():
            self.faults[row["code"], row["column"]] += 1
            further = faults_of(row["further_faults"])
            self.faults.update((fault.code, fault.column) for fault in further)


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
