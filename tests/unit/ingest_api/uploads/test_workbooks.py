"""A sheet of a workbook becomes the CSV that means the same, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import zipfile
from datetime import date, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_api.errors import InvalidRequestError
from ingest_api.parsing.file_format import Limits
from ingest_api.uploads import converting_sink, workbook_to_csv
from ingest_api.uploads.converting_sink import ConvertingSink
from ingest_api.uploads.multipart import FilePart
from ingest_api.uploads.options import ImportOptions
from tests.support.data.corpus.workbooks import workbook

if TYPE_CHECKING:
    from collections.abc import Sequence

pytest.importorskip("python_calamine")
HEAD = ("Email", "First Name", "Points", "VIP", "Last Active Date")
NOON = datetime(2024, 2, 29, 12, 30)  # noqa: DTZ001 - a workbook knows no zone


class Kept:
    """What a file is handed on as."""

    def __init__(self) -> None:
        self.begun: list[tuple[FilePart, ImportOptions]] = []
        self.content = b""

    def begin(self, file: FilePart, options: ImportOptions) -> None:
        """Keep it."""
        self.begun.append((file, options))

    async def write(self, data: bytes) -> None:
        """Keep it."""
        self.content += data


def handed_on(content: bytes, options: ImportOptions, compression: str = "xlsx") -> Kept:
    """What becomes of a file, written in two pieces."""

    async def write() -> Kept:
        kept, file = Kept(), FilePart("users.xlsx", None, compression)
        with ConvertingSink(kept, Limits(max_unpacked_bytes=1)) as sink:
            for piece in (content[:100], content[100:]):
                sink.begin(file, options)
                await sink.write(piece)
            found = await sink.finish(file, options)
        assert found == kept.begun[-1]
        return kept

    return asyncio.run(write())


def test_a_carriage_return_in_a_cell_is_a_part_of_it() -> None:
    """Nobody could change how the lines of a workbook end."""
    content = workbook({"Users": [("Email", "First_x000D_Name"), ("a@b.cd", "x_x000D_y")]})
    converted = handed_on(content, ImportOptions()).content
    assert list(csv.reader(io.StringIO(converted.decode(), newline=""))) == [
        ["Email", "First\rName"], ["a@b.cd", "x\ry"],
    ]  # fmt: skip


def test_two_workbooks_are_read_at_once_at_most() -> None:
    """Each may take much memory; the others wait, and all are read."""
    content = workbook({"Users": [HEAD, ("a@b.cd",)]})
    under_way: list[int] = []
    running = 0

    class Slow(Kept):
        async def write(self, data: bytes) -> None:
            nonlocal running
            running += 1
            under_way.append(running)
            await asyncio.sleep(0.3)
            running -= 1
            await super().write(data)

    async def read() -> bytes:
        kept, file = Slow(), FilePart("users.xlsx", None, "xlsx")
        with ConvertingSink(kept, Limits(max_unpacked_bytes=1)) as sink:
            sink.begin(file, ImportOptions())
            await sink.write(content)
            await sink.finish(file, ImportOptions())
        return kept.content

    async def read_all() -> list[bytes]:
        return await asyncio.gather(*(read() for _ in range(5)))

    assert len(set(asyncio.run(read_all()))) == 1
    assert len(under_way) == 5
    assert max(under_way) <= 2


def csv_of(content: bytes, sheet: str | None = None) -> str:
    """The CSV of a workbook's sheet."""
    kept = handed_on(content, ImportOptions(sheet=sheet, delimiter_name="auto"))
    assert kept.begun[0][0] == FilePart("users.xlsx", "utf-8", "none")
    assert kept.begun[0][1].delimiter_name == "COMMA"
    return kept.content.decode().replace("\r\n", "\n")


def code_of(content: bytes, sheet: str | None = None) -> str:
    """The code by which a workbook is refused."""
    with pytest.raises(InvalidRequestError) as refused:
        csv_of(content, sheet)
    (detail,) = refused.value.details
    assert detail.message.endswith(".")
    return detail.code


def test_values_are_what_the_sheet_shows() -> None:
    """Whole numbers without a point or an exponent, days as days, booleans as words."""
    rows: list[Sequence[object]] = [
        (*HEAD, None, None),
        ("a@b.cd", "Zoë, 1st", 447700900123, True, date(2024, 2, 29)),
        ("=1+1", 'say "hi"', 0.1, False, NOON),
        ("x", "00123", 1e21, None, datetime(2024, 1, 2)),  # noqa: DTZ001 - as above
        ("y", "two\nlines", -12.50, None, None, None, "beyond"),
    ]
    assert csv_of(workbook({"Users": rows})) == (
        "Email,First Name,Points,VIP,Last Active Date\n"
        'a@b.cd,"Zoë, 1st",447700900123,true,2024-02-29\n'
        '=1+1,"say ""hi""",0.1,false,2024-02-29T12:30:00\n'
        "x,00123,1000000000000000000000,,2024-01-02\n"
        'y,"two\nlines",-12.5,,,,beyond\n'
    )


def test_lines_are_the_rows_of_the_sheet() -> None:
    """Blank rows, before the header too, are there; blank columns before it are not."""
    rows: list[Sequence[object]] = [(None, *HEAD), (), (None, "a@b.cd"), (None,) * 3, (None, "x")]
    text = csv_of(workbook({"Users": rows}, first_row=4))
    assert [at for at, line in enumerate(text.split("\n"), 1) if line] == [4, 6, 8]
    assert text.lstrip("\n").startswith("Email,")


@pytest.mark.parametrize(
    ("sheet", "found"),
    [(None, "one"), ("Two", "two"), ("two ", "two"), ("3", "two"), ("Hidden", "hidden")],
)
def test_a_sheet_is_chosen(sheet: str | None, found: str) -> None:
    """By name or number; else the first that is shown."""
    sheets = {name: [(name.lower(),)] for name in ("Hidden", "One", "Two")}
    assert csv_of(workbook(sheets, hidden=["Hidden"]), sheet) == f"{found}\n"


def test_what_is_no_workbook_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its code: damaged, another file, an unknown sheet, larger than may be, a zip bomb."""
    good = workbook({"Users": [HEAD]})
    assert code_of(good, "Nobody") == code_of(good, "2") == "SHEET_UNKNOWN"
    assert code_of(b"Email\na@b.cd\n") == code_of(good[:-30]) == "WORKBOOK_DAMAGED"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("xl/workbook.xml", "<workbook/>")
    assert code_of(archive.getvalue()) == "WORKBOOK_DAMAGED"
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for number in range(9):
            made.writestr(f"xl/worksheets/sheet{number}.xml", bytes(128 << 20))
    assert code_of(archive.getvalue()) == "WORKBOOK_TOO_LARGE"
    monkeypatch.setattr(converting_sink, "MOST_BYTES", 500)
    assert code_of(good) == "WORKBOOK_TOO_LARGE"


def test_other_files_are_handed_on_as_they_come() -> None:
    """They have no sheet to be named."""
    kept = handed_on(b"x" * 200, ImportOptions(), "none")
    assert kept.content == b"x" * 200
    assert len(kept.begun) == 2
    with pytest.raises(InvalidRequestError):
        handed_on(b"x" * 200, ImportOptions(sheet="Two"), "none")


BOOK = workbook({"Users": [HEAD, ("a@x.io", "Ada", 1.5, True, NOON)]})


@given(st.lists(st.tuples(st.integers(0, len(BOOK) - 1), st.integers(0, 255)), max_size=4))
@example([(BOOK.index(b"PK\1\2") + 6, 64)])  # a version of ZIP that nobody has
def test_a_workbook_of_which_bytes_are_changed_is_read_or_refused(
    changes: list[tuple[int, int]],
) -> None:
    """With the reason: any other end of the program is taken for a lack of memory."""
    content = bytearray(BOOK)
    for at, byte in changes:
        content[at] = byte
    with contextlib.suppress(workbook_to_csv.RefusedError):
        workbook_to_csv.convert(io.BytesIO(content), "", io.BytesIO())
