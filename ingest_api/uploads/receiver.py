"""Receive one file: append it to `uploads` in chunks, and survey it, at the same time.

The survey finds what refuses the file, and counts the lines that will be rejected.
Nothing holds the file: whichever of the two is slower holds up the client.
Chunks of a refused upload are named by no job, and expire.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ingest_api.errors import (
    Detail,
    LogUnavailableError,
    UnavailableError,
    UploadLostError,
    invalid_file,
)
from ingest_api.event_log.user_events import NOTHING_KEPT
from ingest_api.kafka.producer import Appender
from ingest_api.kafka.upload_chunks import ChunkSource, ChunkWriter, StoredFile
from ingest_api.parsing.charsets import charset_named
from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import FileFormat
from ingest_api.uploads.options import ImportOptions
from ingest_api.uploads.pipe import FilePipe
from ingest_api.validation.key_hashes import KeyHashes
from ingest_api.validation.validate import survey
from schemas.events import AttributeColumn, ColumnMapping
from schemas.rules.modes import REMOVING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from concurrent.futures import Executor

    from ingest_api.parsing.decode import Readable
    from ingest_api.parsing.file_format import Limits
    from ingest_api.uploads.multipart import FilePart
    from ingest_api.validation.validate import Survey
    from schemas.config.settings import Settings
    from schemas.rules.attributes import Attribute

_CHUNK_TIMEOUT_S: Final = 7.0
_REREAD_TIMEOUT_S: Final = 10.0
_SHOWN_CHARACTERS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadResources:
    """The clients, threads and limits that all uploads of a process share."""

    settings: Settings
    appender: Appender
    threads: Executor
    permits: threading.Semaphore
    """One for each survey that may work at a time."""
    limits: Limits


def make_upload_resources(settings: Settings, *, threads: int, limits: Limits) -> UploadResources:
    """Make the resources for so many uploads at once."""
    return UploadResources(
        settings=settings,
        appender=Appender(settings.kafka, "uploads", timeout_s=_CHUNK_TIMEOUT_S),
        # A slow client's thread mostly waits, so each upload has one of its own.
        threads=ThreadPoolExecutor(threads, thread_name_prefix="survey"),
        permits=threading.Semaphore(os.cpu_count() or 1),
        limits=limits,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedFile:
    """A file that is in `uploads`, whole, with the result of its survey."""

    stored: StoredFile
    file_format: FileFormat
    survey: Survey

    @property
    def attribute_columns(self) -> tuple[AttributeColumn, ...]:
        """Return the custom attributes that its header names: all that a pass needs of them."""
        header = self.survey.header
        names = {field.json_name for field in header.fields if field}
        defined = (column for column in self.file_format.attributes if column.name in names)
        return (*defined, *header.new_attributes)


class UploadReceiver:
    """Receives one file: :meth:`begin`, :meth:`write` …, :meth:`finish`; always :meth:`release`.

    ``on_compared`` is called once it is known that the file's keys will be compared with the
    audience's.
    """

    def __init__(
        self,
        resources: UploadResources,
        job_id: int,
        attributes: Sequence[Attribute],
        on_compared: Callable[[ImportOptions], None],
    ) -> None:
        self._on_compared = on_compared
        self._resources = resources
        self._attributes = attributes
        self._job_id = job_id
        self._attempt = secrets.token_hex(8)
        self._digest = hashlib.sha256()
        self._size_bytes = 0
        self._writer = ChunkWriter(
            resources.appender,
            resources.settings.topics.uploads,
            job_id=job_id,
            attempt=self._attempt,
        )
        self._pipe = FilePipe()
        self._format: FileFormat | None = None
        self._survey: asyncio.Future[Survey] | None = None
        self._options = ImportOptions()

    def begin(self, file: FilePart, options: ImportOptions) -> None:
        """Start the survey; a later call only updates the options.

        Raises:
            InvalidRequestError: the file's charset is not supported.
        """
        self._options = options
        if self._survey is None:
            self._format = self._format_of(file, options)
            is_compared = options.mode in REMOVING and not options.is_dry_run
            keys = KeyHashes(options.mode) if is_compared else None
            if is_compared:
                self._on_compared(options)
            self._survey = self._in_thread(
                _survey_pipe, self._resources, self._pipe, self._format, keys
            )

    async def write(self, data: bytes) -> None:
        """Append the file's next bytes, and survey them.

        Raises:
            InvalidRequestError: as soon as the survey has found a fault that no later field can
                undo.
            LogUnavailableError: a chunk was not acknowledged in time.
        """
        self._digest.update(data)
        self._size_bytes += len(data)
        await self._pipe.write(data)
        await self._writer.write(data)
        done = self._survey if self._survey is not None and self._survey.done() else None
        if done is not None and self._is_final(done):
            await _surveyed(done)

    async def finish(self, file: FilePart, options: ImportOptions) -> ReceivedFile:
        """Wait until the whole file is in `uploads` and surveyed; return it.

        Raises:
            InvalidRequestError: the file is refused; it says why.
            LogUnavailableError: a chunk was not acknowledged in time.
        """
        self._pipe.close()
        if not self._size_bytes:
            raise invalid_file(Detail("EMPTY_FILE", "The file is empty.", line=1))
        stored = StoredFile(
            job_id=self._job_id,
            attempt=self._attempt,
            chunks=await self._writer.finish(),
            size_bytes=self._size_bytes,
            sha256=self._digest.hexdigest(),
        )
        file_format = self._format_of(file, options)
        result = self._survey
        if result is None or not await self._is_survey_of(file_format, result):
            result = self._in_thread(_survey_stored, self._resources, stored, file_format)
        return ReceivedFile(stored=stored, file_format=file_format, survey=await _surveyed(result))

    def _is_final(self, result: asyncio.Future[Survey]) -> bool:
        """Return whether no delimiter that may still be named after the file changes the result.

        What is said of columns after it may come too late: then the header is refused as it is.
        """
        fault = result.exception()
        is_named = self._options.delimiter_name is not None
        return is_named or (isinstance(fault, FileFault) and not fault.depends_on_delimiter)

    async def _is_survey_of(self, file_format: FileFormat, result: asyncio.Future[Survey]) -> bool:
        """Return whether the file was read in this format, whether it was known or found out."""
        if self._format is None or file_format == self._format:
            return file_format == self._format
        await asyncio.wait([result])
        if result.exception():
            return False
        found = replace(self._format, delimiter=result.result().header.delimiter)
        return file_format == found

    def release(self) -> None:
        """Free everything that is held for the file, whatever became of it."""
        self._pipe.abandon()
        self._writer.abandon()

    def _format_of(self, file: FilePart, options: ImportOptions) -> FileFormat:
        key = self._resources.settings.reconciliation_key
        return upload_format(file, options, self._attributes, reconciliation_key=key)

    def _in_thread(
        self, function: Callable[..., Survey], *arguments: object
    ) -> asyncio.Future[Survey]:
        future = asyncio.get_running_loop().run_in_executor(
            self._resources.threads, function, *arguments
        )
        # Marks the error retrieved: an upload refused for another reason never awaits its survey.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return future


def upload_format(
    file: FilePart,
    options: ImportOptions,
    attributes: Sequence[Attribute],
    *,
    reconciliation_key: str,
) -> FileFormat:
    """Return how the file is to be read, as its part and the options say.

    Raises:
        InvalidRequestError: its charset is not supported.
    """
    charset = charset_named(file.charset) if file.charset else None
    if file.charset and charset is None:
        message = f'The charset "{file.charset[:_SHOWN_CHARACTERS]}" is unknown, or not one that is'
        message += " taken: save the file as UTF-8, or name the one that it is in."
        raise invalid_file(Detail("UNKNOWN_CHARSET", message))
    return FileFormat(
        delimiter=options.named_delimiter,
        charset=charset,
        compression=file.compression,
        reconciliation_key=reconciliation_key,
        attributes=tuple(AttributeColumn(each.name, each.type) for each in attributes),
        phone_region=options.phone_region,
        date_order=options.date_order,
        columns=options.columns or (),
        unknown_columns=options.unknown_columns,
        invalid_optional=options.invalid_optional,
        maps_usual_names=options.maps_usual_names,
        labels=tuple(ColumnMapping(each.label, each.name) for each in attributes if each.label),
    )


async def _surveyed(result: asyncio.Future[Survey]) -> Survey:
    try:
        return await asyncio.shield(result)
    except FileFault as fault:
        details = [
            Detail(each.code, each.message, line=each.line, column=each.column)
            for each in (fault, *fault.others)
        ]
        raise invalid_file(*details) from None
    except (UploadLostError, LogUnavailableError):
        raise UnavailableError(NOTHING_KEPT) from None


class ThrottledReader:
    """A file whose reader works only while it holds a permit, given up while it waits for bytes.

    Many surveys at once would each hold the arrays of a block, and keep the event
    loop from the interpreter lock.
    """

    def __init__(self, readable: Readable, permits: threading.Semaphore) -> None:
        self._readable = readable
        self._permits = permits

    def read(self, size: int, /) -> bytes:
        """Return the file's next bytes; called, and left, with a permit."""
        self._permits.release()
        try:
            return self._readable.read(size)
        finally:
            self._permits.acquire()


def _survey_throttled(
    resources: UploadResources,
    readable: Readable,
    file_format: FileFormat,
    keys: KeyHashes | None = None,
) -> Survey:
    with resources.permits:
        reader = ThrottledReader(readable, resources.permits)
        return survey(reader, file_format, resources.limits, keys)


def _survey_pipe(
    resources: UploadResources, pipe: FilePipe, file_format: FileFormat, keys: KeyHashes | None
) -> Survey:
    try:
        return _survey_throttled(resources, pipe, file_format, keys)
    finally:
        pipe.stop_reading()


def _survey_stored(
    resources: UploadResources, stored: StoredFile, file_format: FileFormat
) -> Survey:
    with open_stored(resources, stored) as readable:
        return _survey_throttled(resources, readable, file_format)


@contextlib.contextmanager
def open_stored(resources: UploadResources, stored: StoredFile) -> Generator[Readable]:
    """Open a file in `uploads`, to be read from its beginning.

    Raises:
        LogUnavailableError: the broker doesn't answer.
    """
    settings = resources.settings
    source = ChunkSource(settings.kafka, settings.topics.uploads.name, timeout_s=_REREAD_TIMEOUT_S)
    try:
        yield source.open(stored)
    finally:
        source.close()
