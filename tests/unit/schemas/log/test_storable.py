"""What the tables can hold of a job's events: one row is judged as many are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import codec, columnar
from schemas.events import ChunkRange, JobAccepted, RowRejected, UserRow
from schemas.log.reverts import Reverts
from schemas.log.storable import unstorable_rows, violation
from tests.support.data.any_events import AnyRecords

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ACCEPTED = JobAccepted(
    job_id=7, attempt="a", mode="insert", delimiter=",", charset="utf-8", compression="none",
    blank_cells="keep", reconciliation_key="email", rules_version=1, accepted_at=NOW,
    accepted_by="admin", file_name="users.csv", size_bytes=1, sha256="00", lines=1,
    rejected_lines=0, chunks=ChunkRange(partition=0, first_offset=0, last_offset=0, count=1),
)  # fmt: skip
NO_STRETCH: list[dict[str, int]] = [
    {"partition": -1}, {"first_offset": -1}, {"last_offset": -1}, {"count": 0}, {"first_offset": 1},
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    event_type=st.sampled_from([UserRow, RowRejected]),
    seed=st.integers(0, 2**32),
    begin=st.integers(0, 20),
)
def test_one_row_is_judged_as_many_are(
    event_type: type[UserRow | RowRejected], seed: int, begin: int
) -> None:
    """In a slice of a batch, too; what is no event by itself is unfit."""
    drawn = AnyRecords(Random(seed), [1, 2])
    values = [drawn.value_of(event_type) for _ in range(30)]
    rows = columnar.decode_batch(event_type, values).slice(begin)
    expected = [at for at, value in enumerate(values[begin:]) if _is_unfit_row(value)]
    assert unstorable_rows(rows).tolist() == expected


def _is_unfit_row(value: bytes) -> bool:
    try:
        return violation(codec.decode(value)) is not None
    except codec.UndecodableError:
        return _job_id(value) is not None


def _job_id(value: bytes) -> int | None:
    """As the batch decoder has it, which takes any day and any time."""
    rows: list[dict[str, Any]] = (
        columnar.decode_batch(UserRow, [value]).select(["job_id"]).to_pylist()
    )
    return rows[0]["job_id"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"file_name": "\0"}, "NUL_CHARACTER"),
        ({"header": "\0"}, "NUL_CHARACTER"),
        ({"job_id": 0}, "OUT_OF_RANGE"),
        *[({"chunks": replace(ACCEPTED.chunks, **each)}, "OUT_OF_RANGE") for each in NO_STRETCH],
    ],
)
def test_an_acceptance_that_no_api_wrote_counts_for_nothing(
    changes: dict[str, Any], code: str
) -> None:
    """To all readers of `job-events` alike: it is as if it had been voided."""
    event = replace(ACCEPTED, **changes)
    found = violation(event)
    assert found is not None
    assert found.code == code
    reverts = Reverts()
    reverts.apply(0, event)
    assert not reverts.is_known(event.job_id)
    reverts.apply(1, replace(ACCEPTED, attempt="b"))
    assert reverts.is_known(ACCEPTED.job_id)


def test_an_acceptance_as_the_api_writes_it_is_fit() -> None:
    """With and without what may be null."""
    assert violation(ACCEPTED) is None
    assert violation(replace(ACCEPTED, file_name=None, header="Email", idempotency_key="k")) is None
