"""What is fuzzed: by name, a function that any bytes must pass without an error.

Each reads the bytes as the product would, and compares two ways of reading them
that must come to the same.  Only refusals with a reason are expected.
"""

from __future__ import annotations

import io
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, Final
from unicodedata import normalize

import pyarrow as pa

from ingest_api.attributes.definitions import AttributeBody
from ingest_api.auth.credentials import credentials_of
from ingest_api.auth.operations import NewAccount, NewToken
from ingest_api.auth.sessions.operations import SignIn
from ingest_api.errors import IngestError, InvalidRequestError
from ingest_api.imports.file_parts import FileParts, part_named
from ingest_api.inspections.charset_guess import PeekedFile
from ingest_api.notices.operations import NewWebhook
from ingest_api.parsing.columns import text_column
from ingest_api.parsing.errors import FileFault, TextDamage
from ingest_api.parsing.file_format import AUTO, FileFormat, Limits
from ingest_api.parsing.records import FileRecords
from ingest_api.parsing.unpack import PACKINGS, Unpacker
from ingest_api.presets.operations import PresetBody
from ingest_api.projections.operations import ProjectionRequest
from ingest_api.undo.operations import UndoBody
from ingest_api.uploads import workbook_to_csv
from ingest_api.uploads.multipart import FormError, UploadForm, boundary_of, file_part
from ingest_api.uploads.ndjson_to_csv import NdjsonToCsv
from ingest_api.uploads.options import ImportOptions, options_in_head, with_fields
from ingest_api.users.body import UserBody
from ingest_api.validation.dates import to_days
from ingest_api.validation.emails import address_fault, to_addresses
from ingest_api.web.client_address import address_group
from ingest_api.web.content_negotiation import CONTENT_TYPES, preferred
from ingest_api.web.dates import parsed_time
from ingest_api.web.json_body import decoded
from ingest_api.web.parameters import whole_number
from processor.decoding.decode_records import decode_records
from processor.decoding.producer_rules import LogPartition
from schemas.codec import codec, columnar, framing
from schemas.events import JOB_MODES, UserRow
from schemas.rules.value_rules import ValueRules
from schemas.runtime.tracing import traceparent_in
from tests.support.data.corpus.forms import BOUNDARY
from tests.support.data.passes import MemoryRecord
from tests.support.models.file_oracle import accepted_job, read_events, read_records
from tests.support.models.record_reading import records_of
from tests.support.models.validated_events import COLUMNS, events_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.rules.value_rules import DateOrder

_BODIES: Final = (
    AttributeBody, FileParts, NewAccount, NewToken, NewWebhook, PresetBody, ProjectionRequest,
    SignIn, UndoBody, UserBody,
)  # fmt: skip
_ORDERS: Final[tuple[DateOrder, ...]] = ("MDY", "DMY", "YMD")
_HEADER: Final = (
    b"Email,First Name,Last Name,Country,State,Mobile Number,Last Active Date,Shoe Size\n"
)
_TOO_LONG: Final = {"NO_DATA_LINE", "CELL_TOO_LONG", "RECORD_TOO_LONG"}
_MOST: Final = 1 << 16
"""Bytes that a packed file may unpack to."""
_MOST_IN_BLOCKS: Final = 1 << 12
"""The same where it is read in blocks of a few bytes."""


def _same(*outcomes: object) -> None:
    first, *others = outcomes
    for other in others:
        assert first == other, (first, other)


def form(data: bytes) -> None:
    """A multipart body is the same however it is cut, and read or refused."""

    def read(piece_bytes: int) -> object:
        reader = UploadForm(BOUNDARY)
        try:
            pieces = [
                b"".join(reader.feed(data[at : at + piece_bytes]))
                for at in range(0, len(data), piece_bytes)
            ]
            return reader.finish(), b"".join(pieces), reader.fields
        except FormError as error:
            return error.code

    _same(read(1 << 20), read(7), read(1))


def header(data: bytes) -> None:
    """A header of a request is read or refused."""
    text = data.decode(errors="surrogateescape")  # as the framework gives it
    credentials_of(text)
    address_group(text)
    parsed_time(text)
    whole_number(text)
    traceparent_in([("traceparent", data)])
    file_part(text, text, text)
    assert preferred([text], list(CONTENT_TYPES)) in (None, *CONTENT_TYPES)
    with suppress(FormError):
        boundary_of(text)
    with suppress(InvalidRequestError):
        part_named(text, "admin")


def body(data: bytes) -> None:
    """A JSON body is taken or refused, whatever it is to be."""
    for kind in _BODIES:
        with suppress(IngestError):
            decoded(data, kind)


def options(data: bytes) -> None:
    """Parameters of an upload, one a line, are taken or refused, in the query as in the form."""
    values: dict[str, list[str]] = {}
    for line in data.decode(errors="replace").split("\n"):
        name, _, value = line.partition("=")
        values.setdefault(name, []).append(value)
    with suppress(IngestError):
        options_in_head((), values)
    with suppress(IngestError):
        with_fields(ImportOptions(), values)


def file(data: bytes) -> None:
    """Any file comes to the same records or the same fault, in blocks of any size."""

    def read(block_bytes: int, packing: str) -> object:
        limits = Limits(block_bytes=block_bytes, max_unpacked_bytes=_MOST_IN_BLOCKS)
        opened = PeekedFile(io.BytesIO(data))
        charset = opened.guessed_charset(packing)
        try:
            return records_of(
                opened,
                limits,
                compression=packing,
                charset=charset,
                delimiter=AUTO,
                unknown_columns="ignore",
                maps_usual_names=True,
            )
        except FileFault as fault:
            return fault.code, fault.line, fault.column  # what it advises may be of lines ahead

    packing = next((name for name, of in PACKINGS.items() if data.startswith(of.magic)), "none")
    _same(read(1 << 20, packing), read(64, packing), read(3, packing))


def lines(data: bytes) -> None:
    """Lines come to the events that a plain reader makes of them, in every mode."""
    if isinstance(read_records(_HEADER + data), tuple):
        return  # refused as a whole, and `file` sees to those
    mode = JOB_MODES[len(data) % len(JOB_MODES)]
    job = accepted_job(attributes=COLUMNS, mode=mode)
    try:
        found = [_comparable(event) for event in events_of(_HEADER + data, job, 64)]
    except FileFault as fault:
        if fault.code in _TOO_LONG:
            return
        raise
    _same(found, [_comparable(event) for event in read_events(_HEADER + data, job)])


def _comparable(event: Any) -> object:
    """Leave out the reasons, of which the plain reader does not know all."""
    if isinstance(event, UserRow):
        return event
    return event.record_number, event.line, event.column, event.code, event.value, event.raw


def packed(data: bytes) -> None:
    """A packed file unpacks to the same however it is cut, and to no more than it may."""

    def read(name: str, piece_bytes: int) -> object:
        unpacker, content = Unpacker(name, _MOST), bytearray()
        starts = range(0, len(data), piece_bytes)
        fed = (unpacker.feed(data[at : at + piece_bytes]) for at in starts)
        try:
            for piece in chain.from_iterable(chain(fed, (unpacker.finish(),))):
                content += piece
                assert len(content) <= _MOST
        except TextDamage as damage:
            return damage.code
        return bytes(content)

    for name in PACKINGS:
        _same(read(name, 1 << 20), read(name, 3))


def workbook(data: bytes) -> None:
    """An Excel workbook is read or refused with the reason."""
    with suppress(workbook_to_csv.RefusedError):
        workbook_to_csv.convert(io.BytesIO(data), "", io.BytesIO())


def ndjson(data: bytes) -> None:
    """Lines of JSON come to the same CSV however they are cut, and it can be read."""

    def convert(piece_bytes: int) -> bytes | str:
        converter = NdjsonToCsv(most_columns=50, most_bytes=_MOST)
        try:
            made = [
                piece
                for at in range(0, len(data), piece_bytes)
                for piece in converter.feed(data[at : at + piece_bytes])
            ]
            return b"".join([*made, *converter.finish()])
        except InvalidRequestError as refused:
            return str(refused)

    whole = convert(1 << 20)
    _same(whole, convert(5))
    if isinstance(whole, bytes):
        with suppress(FileFault):
            records = FileRecords(io.BytesIO(whole), FileFormat(unknown_columns="ignore"))
            for _ in records.blocks():
                pass


def event(data: bytes) -> None:
    """A record's value is an event or refused; both codecs see the same in a row."""
    framed = framing.frame_of(UserRow) + data
    records = [
        MemoryRecord(b"a@b.cd", value, offset) for offset, value in enumerate([data, framed])
    ]
    batch = decode_records(records, LogPartition(0, 1, "email"))
    assert len(batch.rows) + len(batch.dead_letters) + len(batch.controls) <= len(records)
    with suppress(codec.UndecodableError):
        codec.decode(data)
    try:
        alone: Any = codec.decode(framed)
    except codec.UndecodableError:
        alone = None
    written = [framed] if alone is None else [framed, codec.encode(alone)]
    for value in written:
        try:
            rows: Any = columnar.decode_batch(UserRow, [value])
        except ValueError:  # in a longer form than ours, which our own encoder has not
            assert value is framed
        else:
            _same(rows.column("key").to_pylist(), [alone and alone.key])


def values(data: bytes) -> None:
    """Dates and addresses among others are judged as each alone."""
    texts = data.decode(errors="replace").split("\n")
    column = text_column(pa.array(texts))
    for order in _ORDERS:
        rules = ValueRules(date_order=order)
        days, is_bad = to_days(column, rules)
        for at, text in enumerate(texts):
            day, is_bad_alone = to_days(text_column(pa.array([text])), rules)
            _same(bool(is_bad[at]), bool(is_bad_alone[0]))
            assert is_bad[at] or days[at] == day[0]
    trimmed = [text.strip() for text in texts]
    _, faults = to_addresses(text_column(pa.array(trimmed)))
    alone = [address_fault(normalize("NFC", text)) if text else None for text in trimmed]
    _same(
        {row: fault.detail for fault in faults for row in fault.rows.tolist()},
        {row: reason for row, reason in enumerate(alone) if reason is not None},
    )


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target
    for target in (
        form, header, body, options, file, lines, packed, workbook, ndjson, event, values
    )
}  # fmt: skip
