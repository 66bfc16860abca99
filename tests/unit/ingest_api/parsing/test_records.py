"""Files are cut into records by RFC 4180, to the letter, or refused with the place at fault."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import DELIMITERS, FileFormat, Limits
from ingest_api.parsing.records import FileRecords
from ingest_api.parsing.unpack import packing_of
from tests.support.data.corpus.files import BAD_FILES, GOOD, GOOD_FILES, HEADER
from tests.support.data.corpus.other_files import OTHER_FILES
from tests.support.models.file_oracle import read_records
from tests.support.models.record_reading import Dribble, cells_of, fault_of, records_of

if TYPE_CHECKING:
    from tests.support.data.corpus.files import BadFile, GoodFile
    from tests.support.models.file_oracle import Record

NAMES = ["First Name", "Last Name", "Email"]


@pytest.mark.parametrize("bad", [*BAD_FILES, *OTHER_FILES], ids=lambda bad: bad.name)
def test_a_bad_file_is_refused_with_place_and_code(bad: BadFile) -> None:
    """Each fatal fault names its line, its column where one is at fault, and what to do."""
    limits = Limits(**bad.limits)

    fault = fault_of(io.BytesIO(bad.content), limits, **bad.described)

    assert (fault.code, fault.line, fault.column) == (bad.code, bad.line, bad.column)
    assert fault.message.endswith(".")


@pytest.mark.parametrize("good", GOOD_FILES, ids=lambda good: good.name)
def test_a_good_file_is_read_to_the_letter(good: GoodFile) -> None:
    """Each cell of it, as it was meant."""
    compression = packing_of(good.file_name, "", "")
    delimiter = DELIMITERS[good.delimiter]

    assert cells_of(good.content, delimiter=delimiter, compression=compression) == good.cells


@pytest.mark.parametrize("bad", [*BAD_FILES, *OTHER_FILES], ids=lambda bad: bad.name)
@pytest.mark.parametrize("block_bytes", [3, 64, 4096])
def test_a_fault_does_not_depend_on_the_size_of_blocks(bad: BadFile, block_bytes: int) -> None:
    """The fault is the one that comes first in the file."""
    if bad.limits or len(bad.content) > 50_000:
        block_bytes *= 100
    limits = Limits(**bad.limits, block_bytes=block_bytes)

    fault = fault_of(io.BytesIO(bad.content), limits, **bad.described)

    assert (fault.code, fault.line, fault.column) == (bad.code, bad.line, bad.column)


def test_a_wrong_delimiter_is_answered_with_the_right_one() -> None:
    """Whoever forgot to say DELIMITER reads which one to say."""
    fault = fault_of(io.BytesIO((HEADER + GOOD).replace(",", ";").encode()))

    assert "DELIMITER" in fault.message
    assert "SEMI_COLON" in fault.message


def test_invalid_bytes_are_named_by_offset() -> None:
    """The byte's place in the file is said, its mark and earlier pieces counted."""
    good = b"\xef\xbb\xbf" + HEADER.encode() + GOOD.encode() * 20_000

    fault = fault_of(Dribble(good + b"J\xfcrgen\n", [700, 1, 2]))

    assert f"offset {len(good) + 1} " in fault.message
    assert fault.line == 20_002


def test_blank_lines_are_neither_lines_nor_errors() -> None:
    """Lines without a byte are left out, and count as physical lines only."""
    content = b"\n\r\nEmail\n\n\na@b.cd\n\r\n\nc@d.ef\n\n"

    assert records_of(io.BytesIO(content)) == [(3, "Email"), (6, "a@b.cd"), (9, "c@d.ef")]


def test_a_file_at_its_limits_is_taken() -> None:
    """A limit is what may be, not what may not."""
    cell = '"' + "x" * 65_534 + '"'
    content = (HEADER + GOOD * 2 + f"a,b,c,{cell}\n").encode()

    assert len(records_of(io.BytesIO(content), Limits(max_rows=3))) == 4


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_a_fault_that_no_delimiter_mends_is_one_with_each(bad: BadFile) -> None:
    """Such a file is refused before anybody knows which delimiter may still be named."""
    limits = Limits(**bad.limits)
    fault = fault_of(io.BytesIO(bad.content), limits, **bad.described)

    for delimiter in () if fault.depends_on_delimiter else DELIMITERS.values():
        fault_of(io.BytesIO(bad.content), limits, **bad.described | {"delimiter": delimiter})


def test_a_line_without_any_delimiter_need_not_wait_for_one() -> None:
    """A cell that another delimiter might cut is another matter."""
    limits = Limits(max_cell_bytes=20)
    long, cut = (
        fault_of(io.BytesIO((HEADER + text).encode()), limits)
        for text in ("x" * 21, "x" * 10 + ";" + "x" * 10)
    )

    assert (long.code, long.depends_on_delimiter) == ("CELL_TOO_LONG", False)
    assert (cut.code, cut.depends_on_delimiter) == ("CELL_TOO_LONG", True)


def test_a_quoted_line_break_counts_as_a_line() -> None:
    """A record's line is where it begins; line breaks in its cells are physical lines too."""
    content = b'Email\r\n"a\n\r\nb@c.de"\r\nx@y.zz'

    assert records_of(io.BytesIO(content)) == [
        (1, "Email"),
        (2, '"a\n\r\nb@c.de"'),
        (5, "x@y.zz"),
    ]


@pytest.mark.parametrize(
    "header",
    [
        "First Name,LAST_NAME,e-mail",
        "firstName,lastName,email",
        " first name , last-name ,EMAIL",
        '"First Name","Last\nName","Email"',
    ],
)
def test_header_names_are_read_generously(header: str) -> None:
    """Case, spaces, ``_`` and ``-`` in a column's name say nothing."""
    file = FileRecords(io.BytesIO(f"{header}\na,b,c\n".encode()), FileFormat())

    list(file.blocks())

    assert [field and field.header for field in file.header.fields] == NAMES


def test_columns_of_an_error_file_are_ignored() -> None:
    """A corrected error file can be uploaded as it is."""
    file = FileRecords(
        io.BytesIO(b"Email,Error Line,Error Code,Error Reason\na@b.cd,2,X,y\n"), FileFormat()
    )

    list(file.blocks())

    assert [field and field.name for field in file.header.fields] == ["email", None, None, None]


def test_a_cell_that_begins_with_a_byte_order_mark_keeps_it() -> None:
    """Only the file's own mark is taken off, wherever blocks begin."""
    content = "\ufeffEmail,State\n\ufeffa@b.cd,x\n\ufeffc@d.ef,y\n".encode()

    assert cells_of(content) == [["\ufeffa@b.cd", "x"], ["\ufeffc@d.ef", "y"]]


def test_line_breaks_in_cells_of_a_file_of_carriage_returns_count_as_lines() -> None:
    """Whichever they are; a record's line is where an editor shows it."""
    content = b'Email\r"a\nb\r\nc\rd"\rx@y.zz\r'

    assert records_of(io.BytesIO(content)) == [(1, "Email"), (2, '"a\nb\r\nc\rd"'), (6, "x@y.zz")]


cells = st.text(st.sampled_from('ab ,;|-"\r\n\té🦊\ufeff'), max_size=6)


@given(
    st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8),
    st.sampled_from(sorted(DELIMITERS.values())),
    st.sampled_from(["\n", "\r\n"]),
    st.tuples(st.booleans(), st.booleans()),
)
@settings(deadline=None)
def test_what_was_written_as_csv_is_read_again(
    rows: list[tuple[str, str, str]], delimiter: str, line_end: str, how: tuple[bool, bool]
) -> None:
    """Every cell of every record comes out as it went in, with each delimiter and line end."""
    quotes_all, ends_open = how

    def written(cell: str) -> str:
        if quotes_all or set(cell) & {delimiter, '"', "\r", "\n"}:
            return '"' + cell.replace('"', '""') + '"'
        return cell

    lines = [delimiter.join(map(written, row)) for row in [NAMES, *rows]]
    text = line_end.join(lines) + ("" if ends_open else line_end)

    written_rows = cells_of(text.encode(), delimiter=delimiter, rules_version=2)

    assert written_rows == [list(row) for row in rows]


fragments = st.sampled_from(
    [b"a", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b"\0", "é".encode(), b"\xc3", b"\xff", b"-,"]
)


def swapped(text: bytes) -> bytes:
    """The text with line feeds for carriage returns and the reverse."""
    return text.translate(bytes.maketrans(b"\r\n", b"\n\r"))


@given(st.lists(st.sampled_from([b"a", b",", b'"', b'""', b"\r", b"\0", b"\xc3"]), max_size=30))
@settings(deadline=None)
def test_a_file_of_carriage_returns_is_read_as_one_of_line_feeds(body: list[bytes]) -> None:
    """Records, or the first fault with its line, are those of the same file with line feeds."""
    content = b"Email,State\r" + b"".join(body)
    found: list[list[Record] | tuple[str, int, str | None]] = []
    for text in (content, swapped(content)):
        try:
            records = records_of(io.BytesIO(text))
            if text == content:
                records = [(line, swapped(raw.encode()).decode()) for line, raw in records]
            found.append(records)
        except FileFault as fault:
            found.append((fault.code, fault.line, fault.column))

    assert found[0] == found[1]


@example(b'a\r"\n')
@example(b'"a"\r')
@example(b'"a"\0')
@example(b'"",""""\n\xc3')
@given(st.lists(fragments, max_size=30).map(b"".join))
@settings(deadline=None)
def test_any_bytes_are_read_as_by_a_plain_reader(body: bytes) -> None:
    """Records, or the first fault with its line, are those found a character at a time."""
    content = b"Email,State\n" + body
    expected = read_records(content)
    try:
        found: Any = records_of(io.BytesIO(content))
    except FileFault as fault:
        found = (fault.code, fault.line)
        if fault.code == "NO_DATA_LINE":
            assert expected == [(1, "Email,State")]
            return

    assert found == expected


headers = st.sampled_from(
    [
        b"Email,State\n",
        b"Email,State\r",
        b"Email,State\r\n",
        b"Email,,State\n",
        b"\r\r,,\rEmail,State\r",
        b"sep=,\r\nEmail,State\r\n",
        b"sep=;\nEmail,State\n",
        b"\xef\xbb\xbf\xef\xbb\xbfEmail,State\n",
        b'"Em\rail",Error Line,Error Code,Error Reason\n',
        b'"',
        b"",
    ]
)


@example(b"\r\r,,\rEmail,State\r", b"a-b-c\r", 5, [3], "-")
@given(
    headers,
    st.lists(fragments, max_size=40).map(b"".join),
    st.integers(1, 40),
    st.lists(st.integers(1, 20), min_size=1, max_size=4),
    st.sampled_from([",", "-", "auto", None]),
)
@settings(deadline=None)
def test_cutting_the_stream_changes_nothing(
    header: bytes, body: bytes, block_bytes: int, sizes: list[int], delimiter: str | None
) -> None:
    """Records, lines, columns and faults are the same for every size of reads and blocks."""
    content = (header.replace(b",", b"-") if delimiter == "-" else header) + body
    bounds = {"max_record_bytes": 25, "max_columns": 4, "max_cell_bytes": 15, "max_rows": 5}
    whole: Any
    parts: Any
    try:
        whole = records_of(io.BytesIO(content), Limits(**bounds), delimiter=delimiter)
    except FileFault as fault:
        whole = (fault.code, fault.message, fault.line, fault.column)
    try:
        limits = Limits(**bounds, block_bytes=block_bytes)
        parts = records_of(Dribble(content, sizes), limits, delimiter=delimiter)
    except FileFault as fault:
        parts = (fault.code, fault.message, fault.line, fault.column)

    assert parts == whole
