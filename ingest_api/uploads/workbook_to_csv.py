"""A program that writes one sheet of an Excel workbook as CSV: a process of its own, with limits.

The workbook is its standard input, a file; the sheet's name or number its argument, or ''.
A workbook is unpacked to memory whole, so this process may take no more than a gigabyte and a
half, and a minute of the processor: what needs more ends it, and nobody else.
It imports nothing of Rollcall, and reads no settings.
"""

from __future__ import annotations

import csv
import datetime
import importlib.util
import io
import json
import resource
import sys
import zipfile
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EXIT_REFUSED: Final = 3
MOST_MEMORY_BYTES: Final = 3 << 29
_MOST_PROCESSOR_S: Final = 60
_MOST_UNPACKED_BYTES: Final = 1 << 30


class RefusedError(Exception):
    """The workbook can't be taken: a code and a message."""


def main() -> None:
    """Write the sheet to standard output; why it can't be to standard error, as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_PROCESSOR_S, _MOST_PROCESSOR_S))
    try:
        convert(sys.stdin.buffer, sys.argv[1], sys.stdout.buffer)
    except RefusedError as error:
        code, message = error.args
        sys.stderr.write(json.dumps({"code": code, "message": message}))
        sys.exit(EXIT_REFUSED)


def convert(file: Any, asked: str, out: Any) -> None:
    """Write the sheet that is asked for as CSV.

    Raises:
        RefusedError: the workbook can't be read, or has no such sheet.
    """
    file.seek(0)
    _check_size(file)
    if importlib.util.find_spec("python_calamine") is None:
        raise RefusedError(
            "WORKBOOK_UNSUPPORTED",
            "This server takes no Excel workbooks, as it is installed without rollcall-import[xlsx]"
            ": save the sheet as CSV and upload that.",
        )
    _write(file, asked, out)


def _check_size(file: Any) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
            is_workbook = "xl/workbook.xml" in archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
        is_workbook, size = False, 0
    if not is_workbook:
        raise RefusedError(
            "WORKBOOK_DAMAGED",
            "The file is said to be an Excel workbook (.xlsx) and is not, is damaged or has a"
            " password: save it anew, or save the sheet as CSV.",
        )
    if size > _MOST_UNPACKED_BYTES:
        raise RefusedError(
            "WORKBOOK_TOO_LARGE",
            f"The workbook unpacks to more than {_MOST_UNPACKED_BYTES} bytes: save the sheet as"
            " CSV and upload that.",
        )
    file.seek(0)


def _write(file: Any, asked: str, out: Any) -> None:
    calamine: Any = importlib.import_module("python_calamine")
    try:
        workbook = calamine.load_workbook(file)
        name = _sheet_of(workbook, asked)
        sheet = workbook.get_sheet_by_name(name)
    except calamine.CalamineError as error:
        message = f"The workbook can't be read: {error}. Save it anew."
        raise RefusedError("WORKBOOK_DAMAGED", message) from error
    # Blank rows are written, too, so that the numbers of lines are those of the sheet's rows.
    with io.TextIOWrapper(out, encoding="utf-8", newline="") as text:
        write_rows(sheet.iter_rows(), csv.writer(text, lineterminator="\r\n"))


def _sheet_of(workbook: Any, asked: str) -> str:
    names: list[str] = workbook.sheet_names
    visible = [each.name for each in workbook.sheets_metadata if _is_shown(each)]
    if not asked and (visible or names):
        return (visible or names)[0]
    for name in names:
        if name.strip().casefold() == asked.strip().casefold():
            return name
    if asked.isascii() and asked.isdecimal() and 1 <= int(asked) <= len(names):
        return names[int(asked) - 1]
    listed = ", ".join(names[:20])
    raise RefusedError(
        "SHEET_UNKNOWN", f'The workbook has no sheet "{asked[:100]}": its sheets are {listed}.'
    )


def _is_shown(sheet: Any) -> bool:
    return str(sheet.visible).endswith(".Visible") and str(sheet.typ).endswith(".WorkSheet")


def write_rows(rows: Iterable[Sequence[object]], out: Any) -> None:
    """Write the rows; columns after the header's last name are left out where they are blank."""
    width = 0
    for row in rows:
        cells = [text_of(value) for value in row]
        filled = max((at for at, cell in enumerate(cells, 1) if cell), default=0)
        width = width or filled
        out.writerow(cells[: max(width, filled)] if filled else [])


def text_of(value: object) -> str:
    """Return a cell as the text that an import reads as the same value.

    A number has all its digits and no exponent, so that phone numbers and ids stay what they are.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            text = f"{Decimal(repr(value)):f}"
            return text.removesuffix(".0")
        case datetime.datetime():
            is_day = value.time() == datetime.time()
            return value.date().isoformat() if is_day else value.isoformat()
        case datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            return str(value)


if __name__ == "__main__":
    main()
