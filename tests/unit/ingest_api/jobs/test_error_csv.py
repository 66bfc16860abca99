"""The refused lines of a job as a file: as they were, and harmless."""

from __future__ import annotations

import csv
import io
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.jobs.error_csv import ErrorFile, disposition, split
from ingest_api.parsing.columns import without_apostrophes
from ingest_api.parsing.header import cells_of
from ingest_api.validation.validated_rows import MAX_RAW_BYTES

ADDED = ["Error Line", "Error Code", "Error Reason"]
HEADER = "First Name,Email,Mobile Number"


def row(raw: str, reason: str = "It is wrong.", line: int = 2) -> dict[str, Any]:
    """A refused line as it is selected."""
    return {"record_number": line - 1, "line": line, "code": "WRONG", "reason": reason, "raw": raw}


def written(header: str, *raws: str, delimiter: str = ",", reason: str = "It is wrong.") -> str:
    """The whole file."""
    file = ErrorFile(header, delimiter)
    return (file.head() + file.lines([row(raw, reason) for raw in raws])).decode()


def read(text: str, delimiter: str = ",") -> list[list[str]]:
    """The records of a file, as any other reader finds them."""
    return list(
        csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter)
    )


def test_a_line_stands_as_it_was_uploaded() -> None:
    """Quotes, line ends and all, with what is wrong after it; Excel is told the encoding."""
    text = written(HEADER, 'Zoë,"a ""b"" \n@c",', "  ,x,1", reason='Not "so", but so.')
    assert text == (
        "\ufeffFirst Name,Email,Mobile Number,Error Line,Error Code,Error Reason\r\n"
        'Zoë,"a ""b"" \n@c",,2,WRONG,"Not ""so"", but so."\r\n'
        '  ,x,1,2,WRONG,"Not ""so"", but so."\r\n'
    )


@pytest.mark.parametrize("delimiter", [",", ";", "|", "-"])
def test_the_jobs_own_delimiter_is_used(delimiter: str) -> None:
    """What of our own holds it is quoted."""
    header = HEADER.replace(",", delimiter)
    text = written(header, f'"a{delimiter}b"{delimiter}c', delimiter=delimiter, reason="a,b;c|d-e")
    assert read(text, delimiter) == [
        [*HEADER.split(","), *ADDED],
        [f"a{delimiter}b", "c", "", "2", "WRONG", "a,b;c|d-e"],
    ]


def test_lines_with_another_number_of_fields_keep_theirs() -> None:
    """Too few are filled up; what is too many stands last, so that it is refused again."""
    text = written(HEADER, "a", "a,b,c,d,=e")
    assert read(text)[1:] == [
        ["a", "", "", "2", "WRONG", "It is wrong."],
        ["a", "b", "c", "2", "WRONG", "It is wrong.", "d", "'=e"],
    ]


def test_added_columns_are_replaced() -> None:
    """In a file that has been round before, wherever its columns stand; marks are not doubled."""
    header = "error_reason,First Name,ERROR LINE,Email,Error Code"
    text = written(header, "old,a,1,'=b,OLD", "old,=a,1", "old,a,1,''=b,OLD,more")
    assert read(text) == [
        ["First Name", "Email", *ADDED],
        ["a", "'=b", "2", "WRONG", "It is wrong."],
        ["'=a", "", "2", "WRONG", "It is wrong."],
        ["a", "''=b", "2", "WRONG", "It is wrong.", "more"],
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "'=", "''+"])
@pytest.mark.parametrize("form", ["{}1", '"{}1"', '"{},""1"'])
def test_what_a_spreadsheet_would_run_is_text(start: str, form: str) -> None:
    """In any column, quoted or not."""
    cell = form.format(start)
    value = cells_of(cell, ",")[0]
    assert read(written(HEADER, f"{cell},b,c"))[1][:3] == [f"'{value}", "b", "c"]
    assert read(written(HEADER, f"a,b,{cell}"))[1][:3] == ["a", "b", f"'{value}"]


@given(st.lists(st.text(alphabet="'=+-@\t\r ab,\"\n", max_size=6), min_size=3, max_size=3))
def test_every_cell_comes_back_as_it_was(values: list[str]) -> None:
    """Whatever it is: written as refused, read again as an upload reads it."""
    raw = ",".join('"' + value.replace('"', '""') + '"' for value in values)
    cells = read(written(HEADER, raw))[1]
    assert len(cells) == 6
    assert without_apostrophes(pa.array(cells[:3])).to_pylist() == values
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


@given(st.lists(st.text(alphabet="ab\",'\n;é", max_size=5), min_size=1, max_size=5))
def test_split_finds_the_cells_of_a_record(values: list[str]) -> None:
    """The same as the reader of headers, quotes left on."""
    raw = ";".join('"' + value.replace('"', '""') + '"' for value in values)
    parts = split(raw, ";")
    assert [cells_of(part, ";")[0] for part in parts] == values
    assert ";".join(parts) == raw


@pytest.mark.parametrize("end", ["plain", '"quoted', '"quo""', '"whole"', ""])
def test_a_line_that_was_cut_is_refused_until_somebody_has_seen_to_it(end: str) -> None:
    """Its last cell is closed, and one more says what is wrong."""
    filler = "x" * (MAX_RAW_BYTES - len(f"a,,{end}".encode()))
    text = written(HEADER, f"a,{filler},{end}…", "a,b,c")
    cut, whole = read(text)[1:]
    assert (cut[0], cut[1], len(cut)) == ("a", filler, 7)
    assert cut[6] == "The line was too long to be kept whole: its end is missing here."
    assert whole == ["a", "b", "c", "2", "WRONG", "It is wrong."]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("users.csv", "users-errors.csv"),
        ("Users.CSV.gz", "Users-errors.csv"),
        ("users", "users-errors.csv"),
        ("../../etc/passwd", "passwd-errors.csv"),
        ("C:\\temp\\users.csv", "users-errors.csv"),
        ("a.b.csv", "a.b-errors.csv"),
        (None, "job-7-errors.csv"),
        (".csv", "job-7-errors.csv"),
        ("\r\n", "job-7-errors.csv"),
        ('a"b\r\nSet-Cookie: x.csv', "a_bSet-Cookie_ x-errors.csv"),
        ("x" * 4096, f"{'x' * 100}-errors.csv"),
    ],
)
def test_the_file_is_named_after_the_uploaded_one(name: str | None, expected: str) -> None:
    """Without folders, and without what would end the header."""
    assert f'attachment; filename="{expected}"; filename*=' in disposition(name, 7)
    assert disposition(name, 7).isprintable()


def test_a_name_in_any_script_is_kept() -> None:
    """As RFC 6266 has it, beside one in ASCII."""
    encoded = "Zo%C3%AB%20%E5%90%8D-errors.csv"
    assert disposition("Zoë 名.csv", 7) == (
        f"attachment; filename=\"Zo_ _-errors.csv\"; filename*=UTF-8''{encoded}"
    )
