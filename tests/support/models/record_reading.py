"""Reads files as records, as cells, or to their fault; and a stream of a few bytes at a time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ingest_api.parsing.columns import read_cells
from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import FileFormat
from ingest_api.parsing.records import FileRecords

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest_api.parsing.decode import Readable
    from ingest_api.parsing.file_format import Limits
    from tests.support.models.file_oracle import Record


class Dribble:
    """A stream that gives a few bytes at a time, however many are asked for."""

    def __init__(self, content: bytes, sizes: Sequence[int]) -> None:
        self._rest = content
        self._sizes = list(sizes)

    def read(self, size: int) -> bytes:
        """The next few bytes."""
        self._sizes.append(self._sizes.pop(0))
        taken = self._rest[: min(size, self._sizes[-1])]
        self._rest = self._rest[len(taken) :]
        return taken


def records_of(readable: Readable, limits: Limits | None = None, **described: Any) -> list[Record]:
    """The header and the data records, with their lines."""
    file = FileRecords(readable, FileFormat(**described), limits)
    found: list[Record] = []
    number = 1
    for block in file.blocks():
        assert block.first_record_number == number
        number += len(block)
        found += [(int(line), block.raw(index)) for index, line in enumerate(block.lines)]
    return [(file.header.line, file.header.raw), *found]


def cells_of(content: bytes, **described: Any) -> list[list[str]]:
    """The cells of every data record."""
    file = FileRecords(io.BytesIO(content), FileFormat(**described))
    found: list[list[str]] = []
    for block in file.blocks():
        whole = np.ones(len(block), np.bool_)
        columns = read_cells(block, whole, len(file.header.names))
        found += [list(row) for row in zip(*(c.to_pylist() for c in columns), strict=True)]
    return found


def fault_of(readable: Readable, limits: Limits | None = None, **described: Any) -> FileFault:
    """The fault that refuses the file."""
    with pytest.raises(FileFault) as caught:
        records_of(readable, limits, **described)
    return caught.value
