"""An error file that is uploaded as it is comes to the same rejections, whatever it is of."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.jobs.error_csv import ErrorFile
from ingest_api.parsing.file_format import DELIMITERS, FileFormat
from ingest_api.validation.validate import survey
from ingest_api.validation.validated_file import validate_file
from schemas.rules.fields import RULES_VERSION
from tests.support.models.file_oracle import accepted_job

if TYPE_CHECKING:
    from schemas.events import JobAccepted

Rejection = dict[str, Any]
SHOWN = ("column", "code", "reason", "value")


def accepted(content: bytes, **described: Any) -> JobAccepted:
    """The job of an upload of this file."""
    found = survey(io.BytesIO(content), FileFormat(**described))
    return accepted_job(
        delimiter=found.header.delimiter,
        charset=found.charset,
        header=found.header.raw,
        rules_version=RULES_VERSION,
    )


def outcome(content: bytes, job: JobAccepted) -> tuple[int, list[Rejection]]:
    """How many lines of the file are taken, and the others."""
    taken, rejections = 0, list[Rejection]()
    for block in validate_file(io.BytesIO(content), job):
        taken += block.rows.num_rows
        rejections += block.rejections.to_pylist()
    return taken, rejections


def error_file(job: JobAccepted, rejections: list[Rejection]) -> bytes:
    """The file that is given out for them."""
    file = ErrorFile(job.header or "", job.delimiter)
    return file.head() + file.lines(rejections)


def shown(rejections: list[Rejection]) -> list[list[Any]]:
    """What is said of each."""
    return [[rejection[name] for name in SHOWN] for rejection in rejections]


CELLS = st.one_of(
    st.sampled_from(["", "a@b.cd", "UK", "Ada", "x@", " ", "=1+1", "'=1", "-3", "a;b,c|d", "é"]),
    st.text(st.sampled_from("ab;,|-\"\r\n\t'=+é🦊"), max_size=5),
)
HEADERS = (
    ["First Name", "Last Name", "Email", "Country"],
    ["Country", "Email", "", "Last Name", "First Name", ""],
    ["Email"],
)


@given(
    st.sampled_from(HEADERS),
    st.lists(st.lists(CELLS, min_size=1, max_size=6), min_size=1, max_size=6),
    # With the hyphen a line that is too long refuses the whole file.
    st.sampled_from(sorted(set(DELIMITERS.values()) - {"-"})),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
@settings(deadline=None)
def test_an_error_file_as_it_is_comes_to_the_same(
    names: list[str], rows: list[list[str]], delimiter: str, line_end: str, says_separator: bool
) -> None:
    """Nothing of it goes in by itself, and nobody need say how the first file was written."""

    def written(row: list[str]) -> str:
        cells = [
            "" if number < len(names) and not names[number] else cell
            for number, cell in enumerate(row)
        ]
        return delimiter.join('"' + cell.replace('"', '""') + '"' for cell in cells)

    lines = [f"sep={delimiter}"] if says_separator else []
    lines += [delimiter.join(names), *map(written, rows), written(["x@"])]
    content = line_end.join(lines).encode("utf-16")
    first = accepted(content, delimiter=None if says_separator else delimiter)
    _, rejections = outcome(content, first)
    for _ in range(2):
        if not rejections:
            return
        again = error_file(first, rejections)
        job = accepted(again)
        taken, found = outcome(again, job)

        assert (taken, shown(found)) == (0, shown(rejections))

        first, rejections = job, found


def test_a_corrected_line_with_too_few_fields_is_taken() -> None:
    """Once the cell that lacked is there, or the one that says so is emptied."""
    content = (
        b"First Name,Last Name,Email,Country,State\nGrace,Hop,grace@b.cd,UK\nAda,ada@b.cd,UK,Kent\n"
    )
    job = accepted(content)
    taken, rejections = outcome(content, job)
    again = error_file(job, rejections).decode()
    assert (taken, again.count("(this cell is missing)")) == (0, 2)
    corrected = again.replace("UK,(this cell is missing)", "UK,", 1)
    corrected = corrected.replace(
        "Ada,ada@b.cd,UK,Kent,(this cell is missing)", "Ada,B,ada@b.cd,UK,Kent"
    )

    assert outcome(corrected.encode(), accepted(corrected.encode())) == (2, [])


def test_earlier_rules_take_the_text_as_it_stands() -> None:
    """A job that was accepted under them comes to the same in every later pass."""
    content = (
        b"Email,First Name,Last Name,Country,Error Code\na@b.cd,A,B,(this cell is missing),X\n"
    )
    job = replace(accepted(content), rules_version=2)

    assert outcome(content, job) == (1, [])
    assert [each["code"] for each in outcome(content, replace(job, rules_version=3))[1]] == [
        "TOO_FEW_FIELDS"
    ]


@pytest.mark.parametrize("raw", ["a@b.cd,x,y", "a@b.cd"])
def test_a_line_of_another_width_is_counted_without_what_was_added(raw: str) -> None:
    """The reason names the fields of the line as it was uploaded."""
    content = f"Email,State\n{raw}\n".encode()
    job = accepted(content)
    _, (rejection,) = outcome(content, job)

    again = error_file(job, [rejection])

    assert outcome(again, accepted(again))[1][0]["reason"] == rejection["reason"]


def test_a_cell_put_in_beside_one_that_is_missing_is_one_too_many() -> None:
    """A comma without quotes, as people put it in; it was an error of the service."""
    content = (
        b"Email,First Name,Error Line,Error Code,Error Reason\n"
        b"a@b.cd,(this cell is missing),2,TOO_FEW_FIELDS,why,extra\n"
    )
    found = outcome(content, accepted(content))[1]
    assert [each["code"] for each in found] == ["TOO_MANY_FIELDS"]


def test_a_line_that_lost_a_cell_is_refused_in_each_round() -> None:
    """All that stood behind it has moved: the number of its line is no state."""
    content = (
        b"Email,First Name,Last Name,Country,State,Error Line,Error Code,Error Reason\n"
        b"a@b.cd,Ada,Lovelace,Germany,2,REQUIRED,why\n"
    )
    for _ in range(3):
        job = accepted(content)
        taken, rejections = outcome(content, job)
        assert (taken, len(rejections)) == (0, 1)
        content = error_file(job, rejections)


def test_columns_that_an_error_file_adds_are_known_as_a_header_is() -> None:
    """Whatever nobody sees in their names."""
    job = accepted("Email,Error\u200bLine\na@b,1\n".encode())
    assert error_file(job, []).decode().strip("\ufeff\r\n") == (
        "Email,Error Line,Error Code,Error Reason"
    )
