"""The answer of an inspection: what a file is, what its columns hold, what would be refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ingest_api.openapi.response_types import Count
from ingest_api.parsing.file_format import AUTO, delimiter_name
from ingest_api.parsing.header import ADDED_NAMES, notes_of_left_out, plain_header
from ingest_api.parsing.suggestions import suggested_fields
from schemas.events import DateOrder, JobMode
from schemas.rules.fields import FIELDS, OPPOSITES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ingest_api.inspections.inspection import Inspection
    from ingest_api.parsing.header import Header
    from ingest_api.uploads.options import ImportOptions

NOTHING_KEPT: Final = "Nothing of the file was kept."
_GUESSED_CHARSET: Final = (
    "The file is not UTF-8; it was read as {charset}: look whether the samples are right."
)
_GUESSED_REGION: Final = (
    "Phone numbers name no country; they were read as those of {region}, where most of their users"
    " are."
)
_GUESSED_ORDER: Final = "Most dates can only be {order}; they were read so."
_UNCLEAR_DATES: Final = "Each date could be month first or day first; they were read as {order}."
_ORDERS: Final = {"MDY": "MDY (12/31/2025)", "DMY": "DMY (31/12/2025)", "YMD": "YMD (2025/12/31)"}
_OPPOSITE: Final = (
    'The column "{column}" says who has opted out: yes in it is no in {subscription}, no is yes.'
)

_Why = Literal["name", "columns", "usual name", "new attribute", "error file", "unknown"]


class ColumnShown(msgspec.Struct, frozen=True, rename="camel"):
    """A column of the file."""

    number: Annotated[int, Meta(ge=1)]
    header: str
    field: Annotated[
        str | None,
        Meta(
            description="What it holds; null where the import leaves it out. After `!` a"
            " subscription of which it holds the opposite: who has opted out."
        ),
    ]
    why: Annotated[
        _Why,
        Meta(
            description="By its own `name`, by what `columns` says, or by the `usual name` of other"
            " programs' exports; a `new attribute` would be defined for it. Left out are columns"
            " that Rollcall adds to an `error file`, and those of which nothing is known."
        ),
    ]
    maybe: Annotated[
        str | None, Meta(description="The field whose name is nearly the same; it isn't read so.")
    ]
    samples: Annotated[list[str], Meta(description="Some different values, shortened.")]


class OptionsShown(msgspec.Struct, frozen=True, rename="camel"):
    """The options with which an import reads the file so, under the names that it takes."""

    delimiter: str = msgspec.field(name="DELIMITER")
    charset: Annotated[str, Meta(description="In the `Content-Type` of the file's part.")]
    columns: Annotated[dict[str, str | None], Meta(description="As `columns` takes it.")]
    unknown_columns: str
    phone_region: str | None
    date_order: DateOrder


class FaultShown(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that lines would be rejected for; reason and value are of the first of them."""

    code: str
    column: str | None
    count: Count
    lines: Annotated[list[int], Meta(description="The first of them, as physical lines.")]
    reason: str
    value: str | None


class RefusalShown(msgspec.Struct, frozen=True, rename="camel"):
    """Why the file would be refused as a whole."""

    line: int | None
    column: str | None
    code: str
    message: str


class InspectionShown(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a file is, and what an import with these options would make of it by itself.

    Lines that would be rejected because of the users there are aren't known here: a dry run
    tells those. ``lines`` counts up to a fault for which the file would be refused.
    """

    message: str = NOTHING_KEPT
    mode: JobMode
    delimiter: str | None
    charset: str
    compression: str
    header_line: int | None
    lines: Count
    reject: Count
    columns: list[ColumnShown]
    options: OptionsShown
    rejected_by: list[FaultShown]
    refused_for: list[RefusalShown]
    notes: list[str]


def inspection_shown(found: Inspection, options: ImportOptions) -> InspectionShown:
    """Return the answer; ``options`` are those that the sender named."""
    header, read_as = found.header, found.file_format
    columns = list(_columns(found, header)) if header else []
    has_unknown = any(each.why == "unknown" and each.header for each in columns)
    delimiter = delimiter_name(header.delimiter) if header else None
    return InspectionShown(
        mode=options.mode,
        delimiter=delimiter,
        charset=found.charset,
        compression=read_as.compression,
        header_line=header.line if header else None,
        lines=found.lines,
        reject=found.rejected,
        columns=columns,
        options=OptionsShown(
            delimiter=delimiter or options.delimiter_name or AUTO,
            charset=found.charset,
            columns={each.header: each.field or None for each in header.columns} if header else {},
            unknown_columns=read_as.unknown_columns if has_unknown else options.unknown_columns,
            phone_region=read_as.phone_region,
            date_order=read_as.date_order,
        ),
        rejected_by=list(_faults(found)),
        refused_for=[
            RefusalShown(each.line, each.column, each.code, each.message) for each in found.refusals
        ],
        notes=[
            *_notes(found, options),
            *_notes_of_opt_outs(header, [each.header for each in columns if not each.field]),
        ],
    )


def _columns(found: Inspection, header: Header) -> Iterator[ColumnShown]:
    said = {plain_header(each.header) for each in found.file_format.columns}
    usual = {plain_header(each.header) for each in header.columns} - said
    new = {each.name for each in header.new_attributes}
    labels = {plain_header(each.header) for each in found.file_format.labels}
    free = [field for field in FIELDS if field not in header.fields]
    unknown = [
        name
        for name, field in zip(header.names, header.fields, strict=True)
        if field is None and plain_header(name) not in said | ADDED_NAMES
    ]
    suggested = suggested_fields(unknown, free)
    for index, (name, field) in enumerate(zip(header.names, header.fields, strict=True)):
        plain = plain_header(name)
        whys: list[tuple[_Why, bool]] = [
            ("columns", plain in said),
            ("new attribute", field is not None and field.json_name in new),
            ("name", plain in labels),
            ("usual name", plain in usual),
            ("name", field is not None),
            ("error file", plain in ADDED_NAMES),
            ("unknown", True),
        ]
        maybe = suggested.get(name)
        yield ColumnShown(
            number=index + 1,
            header=name,
            field=field and field.header,
            why=next(why for why, holds in whys if holds),
            maybe=maybe and maybe.header,
            samples=list(found.samples[index]),
        )


def _faults(found: Inspection) -> Iterator[FaultShown]:
    for each in sorted(found.faults.values(), key=lambda each: -each.count):
        first = each.first
        yield FaultShown(
            code=first.code,
            column=first.column,
            count=each.count,
            lines=each.lines,
            reason=first.reason,
            value=first.value,
        )


def _notes(found: Inspection, options: ImportOptions) -> Iterator[str]:
    """Yield what was guessed."""
    read_as = found.file_format
    if found.is_charset_guessed:
        yield _GUESSED_CHARSET.format(charset=found.charset)
    if read_as.phone_region != options.phone_region:
        yield _GUESSED_REGION.format(region=read_as.phone_region)
    if found.are_dates_unclear and read_as.date_order != "YMD":
        yield _UNCLEAR_DATES.format(order=_ORDERS[read_as.date_order])
    elif read_as.date_order != options.date_order:
        yield _GUESSED_ORDER.format(order=_ORDERS[read_as.date_order])


def _notes_of_opt_outs(header: Header | None, left_out: Sequence[str]) -> Iterator[str]:
    """Yield which columns say who has opted out, and which seem to and are left out."""
    for field, name in (header.names_of_fields if header else {}).items():
        if subscription := OPPOSITES.get(field):
            yield _OPPOSITE.format(column=name, subscription=subscription.header)
    yield from notes_of_left_out(left_out)
