"""Reads a whole file once as an import would, and keeps counts and samples of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ingest_api.inspections.charset_guess import PeekedFile
from ingest_api.inspections.values import are_dates_unclear, first_lines, guessed_rules
from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import AUTO
from ingest_api.parsing.records import FileRecords
from ingest_api.validation.validate import Survey
from ingest_api.validation.validated_rows import rows_and_rejections
from schemas.rules.rejections import Fault, faults_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from ingest_api.parsing.block import Block
    from ingest_api.parsing.decode import Readable
    from ingest_api.parsing.file_format import FileFormat, Limits
    from ingest_api.parsing.header import Header
    from ingest_api.uploads.options import ImportOptions
    from schemas.events import JobAccepted

    _Accept = Callable[[Survey], JobAccepted]

_MOST_LINES: Final = 5
"""That are named for each fault."""


@dataclass(slots=True)
class FoundFault:
    """How many lines have a fault, and the first of them; of the first also what it says."""

    first: Fault
    count: int = 0
    lines: list[int] = field(default_factory=list[int])


@dataclass(slots=True)
class Inspection:
    """What was found in a file; ``refusals`` are why it would be refused as a whole.

    ``file_format`` is that of the import, with what was guessed.
    ``header`` is None where none was found; ``samples`` are of its columns.
    """

    file_format: FileFormat
    charset: str
    is_charset_guessed: bool = False
    header: Header | None = None
    samples: Sequence[Sequence[str]] = ()
    lines: int = 0
    rejected: int = 0
    faults: dict[tuple[str, str | None], FoundFault] = field(
        default_factory=dict[tuple[str, str | None], FoundFault]
    )
    refusals: Sequence[FileFault] = ()
    are_dates_unclear: bool = False


def inspect(
    readable: Readable,
    options: ImportOptions,
    file_format: FileFormat,
    *,
    accept: _Accept,
    limits: Limits,
) -> Inspection:
    """Return what a file is, read in this format where its sender named one.

    ``accept`` makes the job of the import, whose settings the lines are read by.
    """
    file = PeekedFile(readable)
    guessed = file_format.charset is None and file.guessed_charset(file_format.compression)
    charset = guessed or file_format.charset
    file_format = replace(
        file_format,
        delimiter=file_format.delimiter or AUTO,
        charset=charset,
        unknown_columns=options.unknown_columns_name or "ignore",
        maps_usual_names=True,
    )
    found = Inspection(file_format, charset or "utf-8", bool(guessed))
    records = FileRecords(file, file_format, limits, is_lenient=True)
    try:
        _read(records, found, options, accept)
    except FileFault as fault:
        # An import is refused for its header first, whatever the lines after it are.
        first = records.header_fault
        faults = [fault] if first is None or first is fault else [first, fault]
        found.refusals = [each for one in faults for each in (one, *one.others)]
        if found.header is None and records.has_header:
            # The fault came before the first lines could be looked at.
            found.header = records.header
            found.samples = [()] * len(records.header.names)
    return found


def _read(records: FileRecords, found: Inspection, options: ImportOptions, accept: _Accept) -> None:
    accepted: JobAccepted | None = None
    header: Header | None = None
    for block in records.blocks():
        if header is None or accepted is None:
            header = _begin(found, records, block, options)
            accepted = accept(Survey(header, records.charset))
        found.lines += len(block)
        if records.header_fault is None:
            _note_lines(found, rows_and_rejections(block, header, accepted).rejections.to_pylist())
    if records.header_fault is not None:
        raise records.header_fault


def _begin(found: Inspection, records: FileRecords, block: Block, options: ImportOptions) -> Header:
    lines = first_lines(block, records.header)
    rules = guessed_rules(lines, region=options.phone_region, order=options.date_order_name)
    found.header = replace(records.header, rules=rules)
    found.charset = records.charset
    found.samples = lines.samples()
    found.are_dates_unclear = are_dates_unclear(lines.date_columns())
    found.file_format = replace(
        found.file_format, phone_region=rules.phone_region, date_order=rules.date_order
    )
    return found.header


def _note_lines(found: Inspection, rejections: Sequence[Mapping[str, Any]]) -> None:
    found.rejected += len(rejections)
    for row in rejections:
        first = Fault(
            column=row["column"], code=row["code"], reason=row["reason"], value=row["value"]
        )
        for fault in (first, *faults_of(row["further_faults"])):
            noted = found.faults.setdefault((fault.code, fault.column), FoundFault(fault))
            noted.count += 1
            if len(noted.lines) < _MOST_LINES:
                noted.lines.append(row["line"])
