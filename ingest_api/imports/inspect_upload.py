"""Inspect an upload as its bytes come: nothing of it is kept, in the log or anywhere else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ingest_api.imports.accept_upload import ReceivedForm, check_key, job_accepted, receive
from ingest_api.inspections.answer import inspection_shown
from ingest_api.inspections.inspection import inspect
from ingest_api.kafka.upload_chunks import StoredFile
from ingest_api.uploads.invalid_option import invalid_option
from ingest_api.uploads.pipe import FilePipe
from ingest_api.uploads.receiver import ReceivedFile, ThrottledReader, upload_format
from schemas.events import NO_JOB, ChunkRange

if TYPE_CHECKING:
    from ingest_api.imports.accept_upload import ImportRequest
    from ingest_api.inspections.answer import InspectionShown
    from ingest_api.inspections.inspection import Inspection
    from ingest_api.uploads.concurrency_limit import ConcurrencyLimit
    from ingest_api.uploads.multipart import FilePart
    from ingest_api.uploads.options import ImportOptions
    from ingest_api.uploads.receiver import UploadResources
    from ingest_api.validation.validate import Survey
    from schemas.events import JobAccepted

_NOWHERE: Final = StoredFile(
    job_id=NO_JOB,
    attempt="",
    chunks=ChunkRange(partition=0, first_offset=0, last_offset=0, count=0),
    size_bytes=0,
    sha256="",
)


async def inspect_upload(
    request: ImportRequest, resources: UploadResources, concurrency: ConcurrencyLimit
) -> InspectionShown:
    """Receive the upload, and return what it is; its file's faults are part of the answer.

    Raises:
        IngestError: the request is not as the contract has it.
    """
    check_key(resources.settings.reconciliation_key, request.attributes)
    # As of a dry run: what an import would do may be known to whoever imports at all.
    request = replace(request, options=replace(request.options, dry_run_name="true"))
    sink = _InspectedUpload(request, resources)
    try:
        async with concurrency.receiving():
            form = await receive(request, sink, resources.limits)
            return inspection_shown(await sink.finish(form), form.options)
    finally:
        sink.release()


class _InspectedUpload:
    """Hands a file to the thread that inspects it."""

    def __init__(self, request: ImportRequest, resources: UploadResources) -> None:
        self._request = request
        self._resources = resources
        self._pipe = FilePipe()
        self._form: ReceivedForm | None = None
        self._found: asyncio.Future[Inspection] | None = None

    def begin(self, file: FilePart, options: ImportOptions) -> None:
        """Start the inspection.

        Raises:
            InvalidRequestError: the file's charset is not supported, or an option comes after it.
        """
        form = ReceivedForm(file, options)
        if self._form is None:
            self._form = form
            self._found = asyncio.get_running_loop().run_in_executor(
                self._resources.threads, self._inspect, form
            )
        elif form != self._form:
            message = "Options come after the file: send them before it, or in the query."
            raise invalid_option("uploadFile", message)

    async def write(self, data: bytes) -> None:
        """Hand on the file's next bytes."""
        await self._pipe.write(data)

    async def finish(self, form: ReceivedForm) -> Inspection:
        """Return what was found in the whole file."""
        self._pipe.close()
        self.begin(form.file, form.options)
        if self._found is None:
            raise RuntimeError("an inspection that has begun has a thread")
        return await self._found

    def release(self) -> None:
        """End the inspection, whatever became of the upload."""
        self._pipe.abandon()
        if self._found is not None:
            self._found.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _inspect(self, form: ReceivedForm) -> Inspection:
        resources = self._resources
        file_format = upload_format(
            form.file,
            form.options,
            self._request.attributes,
            reconciliation_key=resources.settings.reconciliation_key,
        )

        def accept(survey: Survey) -> JobAccepted:
            received = ReceivedFile(stored=_NOWHERE, file_format=file_format, survey=survey)
            return job_accepted(self._request, form, received)

        try:
            with resources.permits:
                file = ThrottledReader(self._pipe, resources.permits)
                return inspect(
                    file, form.options, file_format, accept=accept, limits=resources.limits
                )
        finally:
            self._pipe.stop_reading()
