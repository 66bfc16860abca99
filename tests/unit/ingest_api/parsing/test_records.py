"""Files are cut into records by RFC 4180, to the letter, or refused with the place at fault."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest_api.parsing.charsets import charset_named
from ingest_api.parsing.columns import read_cells
from ingest_api.parsing.errors import FileFault
from ingest_api.parsing.file_format import DELIMITERS, FileFormat, Limits
from ingest_api.parsing.records import FileRecords
from tests.support.data.corpus.files import BAD_FILES, GOOD, GOOD_FILES, HEADER
from tests.support.models.file_oracle import read_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest_api.parsing.decode import Readable
    from tests.support.data.corpus.files import BadFile, GoodFile
    from tests.support.models.file_oracle import Record

NAMES = ["First Name", "Last Name", "Email"]


class Dribble:
    """A stream that gives a few bytes at a time, however many are asked for."""

    def __init__(self, content: bytes, sizes: Sequence[int]) -> None:
        self._rest = content
        self._sizes = list(sizes)

    def read(self, size: int) -> bytes:
        """The next few bytes."""
        self._sizes.append(self._sizes.pop(0))
        taken = self._rest[: min(size, self._sizes[-1])]
        self._rest = self._rest[len(taken) :]
        return taken


def records_of(readable: Readable, limits: Limits | None = None, **described: Any) -> list[Record]:
    """The header and the data records, with their lines."""
    file = FileRecords(readable, FileFormat(**described), limits)
    found: list[Record] = []
    number = 1
    for block in file.blocks():
        assert block.first_record_number == number
        number += len(block)
        found += [(int(line), block.raw(index)) for index, line in enumerate(block.lines)]
    return [(file.header.line, file.header.raw), *found]


def cells_of(content: bytes, **described: Any) -> list[list[str]]:
    """The cells of every data record."""
    file = FileRecords(io.BytesIO(content), FileFormat(**described))
    found: list[list[str]] = []
    for block in file.blocks():
        whole = np.ones(len(block), np.bool_)
        columns = read_cells(block, whole, len(file.header.names))
        found += [list(row) for row in zip(*(c.to_pylist() for c in columns), strict=True)]
    return found


def fault_of(readable: Readable, limits: Limits | None = None, **described: Any) -> FileFault:
    """The fault that refuses the file."""
    with pytest.raises(FileFault) as caught:
        records_of(readable, limits, **described)
    return caught.value


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_a_bad_file_is_refused_with_place_and_code(bad: BadFile) -> None:
    """Each fatal fault names its line, its column where one is at fault, and what to do."""
    limits = Limits(**bad.limits)

    fault = fault_of(io.BytesIO(bad.content), limits, **bad.described)

    assert (fault.code, fault.line, fault.column) == (bad.code, bad.line, bad.column)
    assert fault.message.endswith(".")


@pytest.mark.parametrize("good", GOOD_FILES, ids=lambda good: good.name)
def test_a_good_file_is_read_to_the_letter(good: GoodFile) -> None:
    """Each cell of it, as it was meant."""
    compression = "gzip" if good.file_name.lower().endswith(".gz") else "none"
    delimiter = DELIMITERS[good.delimiter]

    assert cells_of(good.content, delimiter=delimiter, compression=compression) == good.cells


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
@pytest.mark.parametrize("block_bytes", [3, 64, 4096])
def test_a_fault_does_not_depend_on_the_size_of_blocks(bad: BadFile, block_bytes: int) -> None:
    """The fault is the one that comes first in the file."""
    if bad.limits or len(bad.content) > 100_000:
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


@pytest.mark.parametrize(
    ("charset", "bom", "told"),
    [
        ("utf-8", b"", None),
        ("utf-8", b"\xef\xbb\xbf", None),
        ("utf-8", b"\xef\xbb\xbf", "utf-8"),
        ("utf-16-le", b"\xff\xfe", None),
        ("utf-16-be", b"\xfe\xff", None),
        ("utf-16-le", b"\xff\xfe", "utf-8"),
        ("utf-16-be", b"\xfe\xff", "utf-16"),
        ("utf-16-le", b"", "utf-16-le"),
        ("iso8859-1", b"", "iso8859-1"),
    ],
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_charsets_come_out_as_text(
    charset: str, bom: bytes, told: str | None, is_packed: bool
) -> None:
    """The mark decides, else what was told, else UTF-8; gzip makes no difference."""
    last = "Müller" if charset.startswith("iso") else "Mü🦊李\u2028\u0301"
    content = bom + f"First Name,Last Name,Email\nJ,{last},a@b.cd\n".encode(charset)
    packed = gzip.compress(content[:9]) + gzip.compress(content[9:]) + b"\0\0"
    readable = Dribble(packed if is_packed else content, [1, 2, 3])
    described = FileFormat(charset=told, compression="gzip" if is_packed else "none")

    file = FileRecords(readable, described)
    raws = [block.raw(0) for block in file.blocks()]

    assert raws == [f"J,{last},a@b.cd"]
    assert file.charset == charset


@pytest.mark.parametrize(
    ("name", "expected"),
    [("UTF8", "utf-8"), ("Latin1", "iso8859-1"), ("utf-7", None), ("zip", None), ("x\0", None)],
)
def test_only_plain_charsets_are_taken(name: str, expected: str | None) -> None:
    """Codecs that are no charsets, or keep a state, are unknown."""
    assert charset_named(name) == expected


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

    assert cells_of(text.encode(), delimiter=delimiter) == [list(row) for row in rows]


fragments = st.sampled_from(
    [b"a", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b"\0", "é".encode(), b"\xc3", b"\xff", b"-,"]
)


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


@given(
    st.lists(fragments, max_size=40).map(b"".join),
    st.integers(1, 40),
    st.lists(st.integers(1, 20), min_size=1, max_size=4),
    st.sampled_from(",-"),
)
@settings(deadline=None)
def test_cutting_the_stream_changes_nothing(
    body: bytes, block_bytes: int, sizes: list[int], delimiter: str
) -> None:
    """Records, lines, columns and faults are the same for every size of reads and blocks."""
    content = b"Email,State\n".replace(b",", delimiter.encode()) + body
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
