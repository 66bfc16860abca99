"""The rows of a job that a proof counts are those that the projection counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ingest_api.proofs.job_rows import job_rows
from schemas.codec import codec
from schemas.events import RowErased, UserRow

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def row(sequence: int) -> UserRow:
    """A line of job 7."""
    return UserRow(
        job_id=7,
        record_number=sequence + 1,
        line=sequence + 2,
        sequence=sequence,
        mode="insert",
        key=f"k{sequence}",
        present=0,
        occurred_at=NOW,
    )


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_row_of_no_pass_takes_no_line_s_place(at: int) -> None:
    """Wherever it stands; it is a dead letter of the projection."""
    values = [codec.encode(row(number)) for number in range(3)]
    values.insert(at, codec.encode(replace(row(at % 3), source="crm", event_id="1", key="x")))
    found = job_rows(7, values, 0)
    assert found.places.tolist() == [place for place in range(4) if place != at]
    assert found.rows.column("key").to_pylist() == ["k0", "k1", "k2"]


def test_an_erased_line_takes_its_place() -> None:
    """The lines after it count, and it is told apart."""
    values = [codec.encode(row(number)) for number in range(3)]
    erased = RowErased(job_id=7, record_number=2, line=3, sequence=1, outcome="updated")
    values[1] = codec.encode(erased)
    values.append(codec.encode(replace(erased, job_id=8)))
    found = job_rows(7, values, 0)
    assert found.places.tolist() == [0, 1, 2]
    assert found.record_numbers.tolist() == [1, 2, 3]
    assert (found.rows.column("key").to_pylist(), found.erased) == (["k0", "k2"], [erased])
