"""Rows and columns that hold nothing say nothing."""

from __future__ import annotations

import io

from tests.support.models.record_reading import fault_of, records_of


def test_a_value_without_a_column_is_said_with_its_place() -> None:
    """The column by its number, the line where the first value is."""
    fault = fault_of(io.BytesIO(b'Email,,State,\na@b.cd,"",x,\n\nb@b.cd,,y,"z"\n'))

    assert (fault.code, fault.line, fault.column) == ("UNKNOWN_COLUMN", 1, "")
    assert fault.message.startswith("Column 4 has no name, and line 4 has a value in it")


def test_a_line_of_another_width_is_no_value_without_a_column() -> None:
    """It is refused alone: nobody knows which of its cells is which."""
    content = b"Email,State,\na@b.cd,x\nb@b.cd,y,z,z\nc@b.cd,,\n"

    assert len(records_of(io.BytesIO(content))) == 4


def test_earlier_rules_take_a_row_of_delimiters_for_a_line() -> None:
    """A job that was accepted under them comes to the same in every later pass."""
    content = b"Email,State\n,\na@b.cd,x\n"

    assert len(records_of(io.BytesIO(content), rules_version=2)) == 3
    assert len(records_of(io.BytesIO(content), rules_version=3)) == 2
