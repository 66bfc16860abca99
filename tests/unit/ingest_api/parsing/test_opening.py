"""The first lines of a file tell its delimiter, where nobody else does."""

from __future__ import annotations

import io

import pytest

from ingest_api.parsing.file_format import DELIMITERS, FileFormat, Limits
from ingest_api.parsing.opening import read_opening
from tests.support.models.record_reading import cells_of, fault_of, records_of


@pytest.mark.parametrize("named", [None, "auto", ";"])
@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;;", " sep=; "], ids=repr)
def test_a_first_line_names_the_delimiter(named: str | None, first: str) -> None:
    """As Excel writes and hides it; lines are counted as they are in the file."""
    content = f"\ufeff{first}\r\nEmail;State\r\na@b.cd;x\r\n".encode()

    assert records_of(io.BytesIO(content), delimiter=named) == [(2, "Email;State"), (3, "a@b.cd;x")]


@pytest.mark.parametrize("first", ["sep=\\t", "sep=\t", '"sep=\t"', "sep=\t\t"])
def test_a_first_line_names_a_tab(first: str) -> None:
    """As a letter after a backslash, or by itself."""
    content = f"{first}\rEmail\tState\ra@b.cd\tx,y".encode()

    assert cells_of(content) == [["a@b.cd", "x,y"]]


@pytest.mark.parametrize("delimiter", sorted(DELIMITERS.values()))
@pytest.mark.parametrize(
    "names",
    [
        ["First Name", "Last Name", "E-mail"],
        ["Email"],
        ["first-name", "Nonsense", "email"],
        ['"Last\nName"', '"E-Mail"', '"State"'],
    ],
)
def test_a_header_decides_about_the_delimiter(names: list[str], delimiter: str) -> None:
    """The one with which most columns are known, after blank lines too."""
    header = delimiter.join(
        f'"{name}"' if delimiter in name and name[0] != '"' else name for name in names
    )
    blank = delimiter * 3
    content = f"\n{blank}\n  \n{header}\n{delimiter.join('a' for _ in names)}\n"
    text = content.encode()

    opening = read_opening(text, FileFormat(delimiter="auto"), Limits(), is_end=True)

    assert opening is not None
    assert opening.delimiter == (delimiter if len(names) > 1 else ",")


def test_hyphens_in_names_are_no_delimiter() -> None:
    """Where another stands between more of them."""
    text = b"Person - Name,Person - Email - Work,Person - Phone\n"

    opening = read_opening(text, FileFormat(delimiter="auto"), Limits(), is_end=True)

    assert opening is not None
    assert opening.delimiter == ","


def test_an_error_file_needs_no_delimiter() -> None:
    """The columns that were added to it tell which one was used."""
    added = ";Error Line;Error Code;Error Reason"
    content = f"\ufeffEmail;State{added}\r\na@b;x;2;EMAIL_INVALID;No.\r\n".encode()

    assert records_of(io.BytesIO(content))[1] == (2, "a@b;x;2;EMAIL_INVALID;No.")
    assert fault_of(io.BytesIO(content), delimiter=",").code == "UNKNOWN_COLUMN"


def test_a_first_line_of_blanks_costs_no_more_than_its_length() -> None:
    """With two ways to read each, fifty would take longer than anybody lives."""
    assert fault_of(io.BytesIO(b"sep=" + b" " * 10_000 + b"x\n")).code == "UNKNOWN_COLUMN"
