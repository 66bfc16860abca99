"""Accept an upload: from the first byte of its body to `JobAccepted` in the log."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from ingest_api.errors import (
    ConflictError,
    Detail,
    LogUnavailableError,
    UnavailableError,
    invalid_file,
    role_too_low,
)
from ingest_api.event_log.ledger import is_same_content
from ingest_api.event_log.user_events import LOG_HELD, NOTHING_KEPT
from ingest_api.imports.default_limits import limits_of
from ingest_api.imports.form_options import FormOptions
from ingest_api.imports.metrics import ACCEPTED_LINES, REJECTED_LINES
from ingest_api.parsing.file_format import AUTO
from ingest_api.uploads.converting_sink import ConvertingSink
from ingest_api.uploads.multipart import FormError
from ingest_api.uploads.receiver import UploadReceiver
from ingest_api.validation.phones import load_calling_codes
from ingest_api.web.idempotency_key import job_id_of
from schemas.codec.framing import frame_of
from schemas.events import JobAccepted, RowRejected, UserRow
from schemas.rules.attributes import MAX_ATTRIBUTES, key_field
from schemas.rules.fields import RULES_VERSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from ingest_api.dry_runs.answer import DryRunAnswer
    from ingest_api.dry_runs.audience_keys import AudienceKeysAhead
    from ingest_api.dry_runs.service import DryRuns
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.imports.default_limits import DelsertLimits
    from ingest_api.imports.form_options import FindPreset
    from ingest_api.parsing.file_format import Limits
    from ingest_api.uploads.concurrency_limit import ConcurrencyLimit
    from ingest_api.uploads.converting_sink import UploadSink
    from ingest_api.uploads.multipart import FilePart, UploadForm
    from ingest_api.uploads.options import ImportOptions
    from ingest_api.uploads.raw_file import RawFile
    from ingest_api.uploads.receiver import ReceivedFile, UploadResources
    from ingest_api.web.roles import Account
    from schemas.events import ColumnMapping
    from schemas.rules.attributes import Attribute

_OUTCOME_UNKNOWN: Final = (
    "Kafka can't be reached: it is not known whether the upload was taken. "
    "A retry with the same Idempotency-Key is safe"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """The head of an upload, parsed, and its body as a stream."""

    account: Account
    options: ImportOptions
    idempotency_key: str | None
    attributes: Sequence[Attribute]
    """All that are defined."""
    form: UploadForm | RawFile
    """The parser of the body."""
    check_fields: Callable[[Mapping[str, Sequence[str]]], None]
    """Refuses a form with a field that there isn't; called as soon as one has come."""
    body: AsyncIterator[bytes]
    until_gone: Callable[[], Awaitable[None]]
    """Returns once the client has gone; called after the body's end."""
    find_preset: FindPreset
    define: Callable[[str], Awaitable[None]]
    """Defines an attribute of this name, of text, for a column of the file."""


@dataclass(frozen=True, slots=True)
class AcceptedUpload:
    """A job, and what should be known of its file although it was taken."""

    job_id: int
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ReceivedForm:
    """The form of an upload, received whole."""

    file: FilePart
    options: ImportOptions


class UploadAcceptance:
    """Accepts or refuses the uploads of one API process.

    ``resources`` are what all uploads share, those that are only inspected too.
    """

    def __init__(
        self,
        resources: UploadResources,
        job_log: JobLog,
        concurrency: ConcurrencyLimit,
        dry_runs: DryRuns,
        defaults: DelsertLimits,
    ) -> None:
        self._job_log = job_log
        self._concurrency = concurrency
        self.resources = resources
        self._dry_runs = dry_runs
        self._defaults = defaults

    def warm(self) -> None:
        """Connect to Kafka, and read what files are checked by, before the first upload comes."""
        load_calling_codes()
        self.resources.appender.warm()

    def close(self) -> None:
        """Disconnect from Kafka, and end the idle threads; others end with their uploads."""
        self.resources.appender.discard()
        self.resources.threads.shutdown(wait=False, cancel_futures=True)

    async def accept(self, request: ImportRequest) -> AcceptedUpload | DryRunAnswer:
        """Receive the upload; return its accepted job, or the answer of a dry run.

        Raises:
            IngestError: nothing of the upload counts, unless an UnavailableError says that it isn't
                known.
        """
        check_key(self.resources.settings.reconciliation_key, request.attributes)
        if self._job_log.ledger.moves.is_held and not request.options.is_dry_run:
            raise UnavailableError(LOG_HELD)
        with contextlib.closing(self._dry_runs.keys_ahead()) as ahead:
            return await self._receive(request, ahead)

    async def _receive(
        self, request: ImportRequest, ahead: AudienceKeysAhead
    ) -> AcceptedUpload | DryRunAnswer:
        job_id = job_id_of(request.account.name, request.idempotency_key)

        def read_ahead(options: ImportOptions) -> None:
            if not limits_of(options, self._defaults).are_none:
                ahead.begin()

        receiver = UploadReceiver(self.resources, job_id, request.attributes, read_ahead)
        earlier_job = self._job_log.ledger.job(job_id)
        sink = receiver if earlier_job is None else _RepeatedUpload(earlier_job, receiver)
        try:
            async with self._concurrency.receiving():
                form = await receive(request, sink, self.resources.limits)
            if isinstance(sink, _RepeatedUpload):
                if not form.options.is_dry_run:
                    return AcceptedUpload(sink.job_id(form.options))
                sink.check_stored()
            received = await receiver.finish(form.file, form.options)
        except LogUnavailableError:
            raise UnavailableError(NOTHING_KEPT) from None
        finally:
            receiver.release()
        return await self._answer(request, form, received, ahead)

    async def _answer(
        self,
        request: ImportRequest,
        form: ReceivedForm,
        received: ReceivedFile,
        ahead: AudienceKeysAhead,
    ) -> AcceptedUpload | DryRunAnswer:
        event = _checked(job_accepted(request, form, received))
        limits = limits_of(form.options, self._defaults)
        header = received.survey.header
        new_attributes = [each.name for each in header.new_attributes]
        _check_new(new_attributes, request, form.options)
        if form.options.is_dry_run:
            answer = await self._dry_runs.dry_run(event, limits, request.until_gone)
            notes = [*answer.notes, *header.notes_of_opt_outs]
            return msgspec.structs.replace(answer, new_attributes=new_attributes, notes=notes)
        keys = received.survey.keys
        await self._dry_runs.check_limits(event, limits, request.until_gone, keys=keys, ahead=ahead)
        for name in new_attributes:
            await request.define(name)
        await self._accept(event)
        return AcceptedUpload(event.job_id, header.notes_of_opt_outs)

    async def _accept(self, event: JobAccepted) -> None:
        acceptance = await self._job_log.accept(event)
        if acceptance == "conflict":
            raise _conflict()
        if acceptance == "voided":
            is_held = self._job_log.ledger.moves.is_held
            raise UnavailableError(LOG_HELD if is_held else NOTHING_KEPT)
        if acceptance == "unknown":
            raise UnavailableError(_OUTCOME_UNKNOWN, job_id=event.job_id)
        ACCEPTED_LINES.labels(event.mode).inc(event.lines)
        REJECTED_LINES.labels(event.mode).inc(event.rejected_lines)


def check_key(reconciliation_key: str, attributes: Sequence[Attribute]) -> None:
    """Check that the reconciliation key is a field that there is.

    Raises:
        InvalidRequestError: it is an attribute that isn't defined yet.
    """
    if key_field(reconciliation_key, attributes) is None:
        message = (
            f'Users are told apart by the custom attribute "{reconciliation_key}", which is not'
            " defined yet: define it as a reconciliation key, then upload the file again."
        )
        raise invalid_file(Detail("KEY_ATTRIBUTE_UNDEFINED", message, column=reconciliation_key))


def _said_again(accepted: JobAccepted, options: ImportOptions) -> tuple[ColumnMapping, ...]:
    """Return the job's columns where they may follow from what is said of them now.

    What their names said when the file was taken isn't said again.
    """
    said = {*(options.columns or ())}
    left = {*accepted.columns} - said
    names = {each.name for each in accepted.attributes}
    is_found = options.maps_usual_names or all(each.field in names for each in left)
    return accepted.columns if said <= {*accepted.columns} and is_found else tuple(sorted(said))


def _checked(event: JobAccepted) -> JobAccepted:
    """Return the event, unless it is of a delsert without anybody in it."""
    if event.mode == "delsert" and event.rejected_lines == event.lines:
        message = "Not one line of the file is valid, so it can't replace the audience."
        raise invalid_file(Detail("NO_VALID_LINE", message))
    return event


def _check_new(names: Sequence[str], request: ImportRequest, options: ImportOptions) -> None:
    """Check that attributes may be defined for columns of a file.

    Raises:
        InvalidRequestError: there would be too many.
        RoleTooLowError: only an administrator may.
    """
    left = MAX_ATTRIBUTES - len(request.attributes)
    if len(names) > left:
        message = (
            f"{len(names)} columns would become attributes, and no more than {left} may be defined:"
            " leave some out, as columns=Header=ignore."
        )
        raise invalid_file(Detail("TOO_MANY_ATTRIBUTES", message, line=1))
    if names and not options.is_dry_run and not request.account.may("admin"):
        raise role_too_low("admin")


def _conflict() -> ConflictError:
    return ConflictError("The Idempotency-Key was used before with other content")


class _RepeatedUpload:
    """A file whose ``Idempotency-Key`` was used before: digested, and compared with that job's.

    It is stored only for a dry run, to which the key means nothing.
    """

    def __init__(self, earlier_job: LedgerJob, receiver: UploadReceiver) -> None:
        self._earlier_job = earlier_job
        self._receiver = receiver
        self._digest = hashlib.sha256()
        self._is_stored: bool | None = None

    def begin(self, file: FilePart, options: ImportOptions) -> None:
        """Store the file where it is already known to be for a dry run."""
        if self._is_stored is None:
            self._is_stored = options.is_dry_run
        if self._is_stored:
            self._receiver.begin(file, options)

    async def write(self, data: bytes) -> None:
        """Take the file's next bytes."""
        self._digest.update(data)
        if self._is_stored:
            await self._receiver.write(data)

    def job_id(self, options: ImportOptions) -> int:
        """Return the id of the job that was accepted for this content.

        Raises:
            ConflictError: it was accepted for other content.
        """
        accepted = self._earlier_job.accepted
        # Where it is left to the file, the same file says the same.
        is_named = options.named_delimiter not in {None, AUTO}
        again = replace(
            accepted,
            sha256=self._digest.hexdigest(),
            mode=options.mode,
            delimiter=options.delimiter if is_named else accepted.delimiter,
            blank_cells=options.blank_cells,
            fills=options.fills,
            phone_region=options.phone_region,
            date_order=options.date_order,
            columns=_said_again(accepted, options),
            unknown_columns=options.unknown_columns,
            opt_ins=options.opt_ins,
            invalid_optional=options.invalid_optional,
        )
        if not is_same_content(accepted, again):
            raise _conflict()
        return accepted.job_id

    def check_stored(self) -> None:
        """Return where the file was stored and can be read again.

        Raises:
            InvalidRequestError: its bytes had gone by when the form said that it is a dry run.
        """
        if not self._is_stored:
            message = (
                "The Idempotency-Key was used before, and dryRun comes after the file: send dryRun"
                " in the query or before the file, or leave the key out."
            )
            raise invalid_file(Detail("INVALID_PARAMETER", message, column="dryRun"))


async def receive(request: ImportRequest, sink: UploadSink, limits: Limits) -> ReceivedForm:
    """Parse the request's body, and hand its file on as it comes.

    Raises:
        InvalidRequestError: it is no form as the contract has it.
        RoleTooLowError: the account may not import so.
    """
    form_options = FormOptions(request.options, request.find_preset)
    with ConvertingSink(sink, limits) as converting_sink:
        form, file = await _parse(request, form_options, converting_sink)
        options = await form_options.of(form.fields)
        if not request.account.may(options.role_needed):
            raise role_too_low(options.role_needed)
        return ReceivedForm(*await converting_sink.finish(file, options))


async def _parse(
    request: ImportRequest, form_options: FormOptions, sink: UploadSink
) -> tuple[UploadForm | RawFile, FilePart]:
    form = request.form
    try:
        async for data in request.body:
            pieces = form.feed(data)
            request.check_fields(form.fields)
            if form.file is not None:
                sink.begin(form.file, await form_options.of(form.fields))
            for piece in pieces:
                await sink.write(piece)
        return form, form.finish()
    except FormError as error:
        raise invalid_file(Detail(error.code, str(error))) from None


def job_accepted(request: ImportRequest, form: ReceivedForm, received: ReceivedFile) -> JobAccepted:
    """Return the job that the upload asks for."""
    options, survey, stored = form.options, received.survey, received.stored
    return JobAccepted(
        job_id=stored.job_id,
        attempt=stored.attempt,
        mode=options.mode,
        delimiter=survey.header.delimiter,
        charset=survey.charset,
        compression=received.file_format.compression,
        blank_cells=options.blank_cells,
        fills=options.fills,
        reconciliation_key=received.file_format.reconciliation_key,
        rules_version=RULES_VERSION,
        accepted_at=datetime.now(UTC),
        accepted_by=request.account.name,
        file_name=form.file.file_name,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        lines=survey.lines,
        rejected_lines=survey.rejected[options.mode],
        chunks=stored.chunks,
        idempotency_key=request.idempotency_key,
        header=survey.header.raw,
        attributes=received.attribute_columns,
        phone_region=options.phone_region,
        date_order=options.date_order,
        columns=survey.header.columns,
        unknown_columns=received.file_format.unknown_columns,
        opt_ins=options.opt_ins,
        invalid_optional=options.invalid_optional,
        row_frame=frame_of(UserRow),
        rejection_frame=frame_of(RowRejected),
    )
