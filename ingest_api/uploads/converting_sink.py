"""Takes the file of an upload, and hands NDJSON or a sheet of an Excel workbook on as CSV.

All that follows has the CSV alone: it is what is kept, so a pass needs nothing else.
NDJSON is unpacked and converted as it comes.
A workbook must be there whole before it can be read, so it is kept in an unnamed file until then.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, Self

from ingest_api.errors import Detail, invalid_file
from ingest_api.parsing.errors import TextDamage
from ingest_api.parsing.unpack import Unpacker
from ingest_api.uploads import workbook_to_csv
from ingest_api.uploads.invalid_option import invalid_option
from ingest_api.uploads.multipart import NDJSON, WORKBOOK
from ingest_api.uploads.ndjson_to_csv import NdjsonToCsv

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator, Iterator

    from ingest_api.parsing.file_format import Limits
    from ingest_api.uploads.multipart import FilePart
    from ingest_api.uploads.options import ImportOptions

MOST_BYTES: Final = 64 << 20
_PIECE_BYTES: Final = 1 << 18
_PROGRAM: Final = str(Path(workbook_to_csv.__file__))
# Each may take a gigabyte and a half; the others wait, and their files lie on the disk meanwhile.
_conversions: Final = asyncio.Semaphore(2)


class UploadSink(Protocol):
    """Takes the file of a form; ``begin`` is called again as more fields come."""

    def begin(self, file: FilePart, options: ImportOptions) -> None:
        """Take what is known of the file before its bytes, and what is said after them."""
        ...

    async def write(self, data: bytes) -> None:
        """Take the file's next bytes."""
        ...


class ConvertingSink:
    """Hands files on to another sink, NDJSON and workbooks as CSV; a context manager.

    NDJSON may unpack to ``limits.max_unpacked_bytes``, and so may its CSV.
    """

    def __init__(self, sink: UploadSink, limits: Limits) -> None:
        self._sink = sink
        self._limits = limits
        self._workbook: IO[bytes] | None = None
        self._size_bytes = 0
        self._ndjson: NdjsonToCsv | None = None
        self._unpacker: Unpacker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._workbook is not None:
            self._workbook.close()

    def begin(self, file: FilePart, options: ImportOptions) -> None:
        """Hand on what is known of the file; keep a workbook until it is whole."""
        if file.compression == NDJSON:
            if self._ndjson is None:
                most_bytes = self._limits.max_unpacked_bytes
                self._ndjson = NdjsonToCsv(
                    most_columns=self._limits.max_columns, most_bytes=most_bytes
                )
                if file.packing != "none":
                    self._unpacker = Unpacker(file.packing, most_bytes)
            self._sink.begin(*_as_csv(file, options))
        elif file.compression != WORKBOOK:
            self._sink.begin(file, options)
        elif self._workbook is None:
            self._workbook = tempfile.TemporaryFile()  # noqa: SIM115 - closed on leaving

    async def write(self, data: bytes) -> None:
        """Take the file's next bytes.

        Raises:
            InvalidRequestError: it is a workbook that is too large, or NDJSON that is none.
        """
        if self._ndjson is not None:
            await self._write_all(self._csv(self._ndjson, data))
            return
        if self._workbook is None:
            await self._sink.write(data)
            return
        self._size_bytes += len(data)
        if self._size_bytes > MOST_BYTES:
            raise _too_large(f"is larger than {MOST_BYTES} bytes")
        self._workbook.write(data)

    async def finish(
        self, file: FilePart, options: ImportOptions
    ) -> tuple[FilePart, ImportOptions]:
        """Hand on a workbook; return the file and the options that count from here on.

        Raises:
            InvalidRequestError: it can't be read or has no such sheet, or another file has one.
        """
        if self._ndjson is not None:
            await self._write_all(self._last_csv(self._ndjson))
            file, options = _as_csv(file, options)
        if self._workbook is None:
            if options.sheet is not None:
                raise invalid_option("sheet", "Only an Excel workbook (.xlsx) has a sheet.")
            return file, options
        self._workbook.flush()
        file, options = _as_csv(file, options)
        async with _conversions, _converting(self._workbook, options.sheet or "") as process:
            assert process.stdout is not None, "it is a pipe"
            self._sink.begin(file, options)
            while piece := await process.stdout.read(_PIECE_BYTES):
                await self._sink.write(piece)
            await _check_ended(process)
        return file, options

    def _csv(self, ndjson: NdjsonToCsv, data: bytes) -> Iterator[bytes]:
        pieces = (data,) if self._unpacker is None else self._unpacker.feed(data)
        return chain.from_iterable(map(ndjson.feed, pieces))

    def _last_csv(self, ndjson: NdjsonToCsv) -> Iterator[bytes]:
        rest = () if self._unpacker is None else self._unpacker.finish()
        yield from chain.from_iterable(map(ndjson.feed, rest))
        yield from ndjson.finish()

    async def _write_all(self, pieces: Iterator[bytes]) -> None:
        """Hand on the pieces, each made in a thread: a small file may unpack to a large one."""
        try:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                if piece:
                    await self._sink.write(piece)
        except TextDamage as damage:
            raise invalid_file(Detail(damage.code, damage.message)) from None


def _as_csv(file: FilePart, options: ImportOptions) -> tuple[FilePart, ImportOptions]:
    """Return file and options as they are of the CSV that the file has been made."""
    return (
        replace(file, compression="none", packing="none", charset="utf-8"),
        replace(options, delimiter_name="COMMA"),
    )


@contextlib.asynccontextmanager
async def _converting(workbook: IO[bytes], sheet: str) -> AsyncGenerator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", _PROGRAM, sheet.replace("\0", "")),
        stdin=workbook,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _check_ended(process: Process) -> None:
    assert process.stderr is not None, "it is a pipe"
    said = await process.stderr.read()
    code = await process.wait()
    if code == workbook_to_csv.EXIT_REFUSED:
        told: dict[str, Any] = json.loads(said)
        raise invalid_file(Detail(told["code"], told["message"], line=1))
    if code:
        memory = workbook_to_csv.MOST_MEMORY_BYTES >> 20
        raise _too_large(f"needs more than a minute or {memory} MB to be read")


def _too_large(why: str) -> Exception:
    message = f"The workbook {why}: save the sheet as CSV and upload that."
    return invalid_file(Detail("WORKBOOK_TOO_LARGE", message, line=1))
