"""What other producers sent is counted by source, the same however the log is cut."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processor.projection import source_counts
from schemas.codec import codec
from schemas.events import UserRow
from schemas.log.topics import partition_of
from schemas.read_model.tables import API_SOURCE
from tests.support.data.passes import MemoryRecord, make_pass
from tests.support.data.projection_scene import Scene
from tests.support.models.model import Job
from tests.support.models.source_model import COUNTS, Partition, Sent, totals
from tests.support.models.verdict import select
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.events import RowMode
    from tests.support.servers.surroundings import Ground

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEYS = ("a@example.com", "b@example.com", "c@example.com", "d@example.com")
MOST = 3
"""Sources by name in these tests."""


@pytest.fixture(autouse=True)
def few_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short log names more sources than are counted by name."""
    monkeypatch.setattr(source_counts, "MOST_SOURCES", MOST)


@pytest.fixture
def scene(env: Ground) -> Iterator[Scene]:
    """A projection of the test's own, and its empty log."""
    made = Scene(env)
    yield made
    made.close()


_sent = st.builds(
    Sent,
    key=st.sampled_from(KEYS),
    mode=st.sampled_from(["insert", "insert", "upsert", "delete"]),
    name=st.sampled_from(["Kim", "Lee"]),
    event_id=st.sampled_from(["1", "2", "3"]),
    source=st.sampled_from([None, "", "crm", "shop", API_SOURCE, "x" * 150, "x" * 120, "(other)"]),
    time_ms=st.integers(1, 10**12),
    fault=st.sampled_from([None] * 8 + ["undecodable", "mismatch", "value", "nameless", "job"]),
)
_logs = st.lists(_sent, min_size=1, max_size=30)


FAULTY: dict[str, dict[str, Any]] = {
    "value": {"first_name": " "},
    "nameless": {"event_id": None},
    "job": {"job_id": 7, "sequence": 0},
}


def place(sent: Sent) -> int:
    """The partition that the record goes to."""
    return partition_of(sent.key.encode(), PARTITIONS)


def record(sent: Sent) -> MemoryRecord:
    """The record as a producer writes it."""
    row = UserRow(
        event_id=f"{sent.event_id}/{sent.key}",
        mode=cast("RowMode", sent.mode),
        key=sent.key,
        first_name=sent.name,
        last_name="L",
        email=sent.key,
        country="Japan",
        last_active_date=date(2026, 3, 1),
        present=0b1111111,
        occurred_at=NOW,
        source=sent.source,
    )
    row = replace(row, **FAULTY.get(sent.fault or "", {}))
    value = b"poison" if sent.fault == "undecodable" else codec.encode(row)
    key = b"another" if sent.fault == "mismatch" else sent.key.encode()
    return MemoryRecord(key, value, record_timestamp_ms=sent.time_ms)


def found(env: Ground) -> dict[str | None, tuple[object, ...]]:
    """The view by source."""
    rows = select(env, f"SELECT source, {', '.join(COUNTS)}, first_at, last_at FROM sources")
    return {row["source"]: tuple(row.values())[1:] for row in rows}


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(log=_logs, sizes=st.lists(st.integers(1, 8), min_size=PARTITIONS, max_size=PARTITIONS))
def test_every_cut_of_the_log_counts_as_the_model(
    env: Ground, log: list[Sent], sizes: list[int]
) -> None:
    """Beyond so many sources of a partition all count together, the first of its log by name."""
    scene = Scene(env)
    model = [Partition(MOST, API_SOURCE) for _ in range(PARTITIONS)]
    for sent in log:
        scene.log.append(place(sent), [record(sent)])
        model[place(sent)].apply(sent)
    try:
        worker = scene.worker()
        while worker.project(scene.log, sizes):
            pass
        assert found(env) == totals(model)
        in_pieces = select(env, f"SELECT * FROM {scene.schema}.source_partition ORDER BY 1, 2")
        whole = Scene(env, scene.log)
        try:
            whole.worker().project(scene.log, [1000] * PARTITIONS)
            again = f"SELECT * FROM {whole.schema}.source_partition ORDER BY 1, 2"
            assert select(env, again) == in_pieces
        finally:
            whole.close()
    finally:
        scene.close()


def test_rows_of_jobs_are_counted_for_no_source(scene: Scene) -> None:
    """Neither once nor as repeats."""
    content = b"First Name,Last Name,Email,Country\nAda,L,a@example.com,India\n,,b,India\n"
    job = Job(job_id=7, mode="insert", content=content, accepted_at=NOW)
    for partition, records in enumerate(make_pass(job, 0, PARTITIONS)):
        scene.log.append(partition, [*records, *records])
    scene.worker().project(scene.log, [1000] * PARTITIONS)

    assert select(scene.env, "SELECT inserted, rejected FROM jobs") == [
        {"inserted": 1, "rejected": 1}
    ]
    assert found(scene.env) == {}


@pytest.mark.parametrize("time_ms", [-1, 2**62])
def test_a_time_that_no_calendar_has_stops_nobody(scene: Scene, time_ms: int) -> None:
    """One before 1970 is the first, a far one the last of those that count."""
    sent = Sent(KEYS[0], "insert", "Kim", "1", "crm\0", time_ms)
    scene.log.append(place(sent), [record(sent)])
    scene.worker().project(scene.log, [1000] * PARTITIONS)

    at = select(scene.env, "SELECT last_at FROM sources")[0]["last_at"]
    assert at.year == (1970 if time_ms < 0 else 9999)
    dead: Any = (0, 0, 0, 0, 0, 1, 0, at, at)
    assert found(scene.env) == {"crm\N{REPLACEMENT CHARACTER}": dead}
