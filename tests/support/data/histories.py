"""Random logs: jobs in passes that break off and come again, other producers in between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from schemas.codec import codec
from schemas.events import JOB_MODES, AttributeDefined, UserRow
from schemas.log.topics import partition_of
from schemas.read_model.tables import API_SOURCE
from tests.support.data.passes import MemoryLog, MemoryRecord, make_pass
from tests.support.models.model import Job
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from schemas.events import JobMode, RowMode

START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
_HEADER = "First Name,Last Name,Email,Mobile Number,Country,State,Last Active Date"
_FIELDS_SET = 0b0000010111
_ROW_MODES: tuple[RowMode, ...] = ("insert", "upsert", "upsert", "delete")


_FLAWS: list[dict[str, Any]] = [
    *[dict[str, Any]() for _ in range(16)],
    {"first_name": " "},
    {"event_id": None},
    {"job_id": 1000},
    {"job_id": 1002, "sequence": 0, "line": 2, "record_number": 1},
]
"""What makes some rows of other producers dead letters."""


@dataclass(frozen=True, slots=True)
class LogHistory:
    """A log, and the jobs in it in order."""

    log: MemoryLog
    jobs: list[Job]


def random_history(rng: Random, *, jobs: int = 4, keys: int = 12, others: bool) -> LogHistory:
    """Jobs of any mode over a few keys; ``others``: other producers write between their records."""
    log = MemoryLog([[] for _ in range(PARTITIONS)])
    history = [_job(rng, number, keys) for number in range(jobs)]
    before = 0
    for job in history:
        if others and rng.random() < 0.5:
            _define(log, f"attribute{rng.randrange(3)}")
        whole = make_pass(job, before, PARTITIONS)
        # Every partition gets its pass in pieces, so that other rows stand within it.
        for partition, records in enumerate(_with_repeats(rng, each) for each in whole):
            for piece in _pieces(rng, records):
                log.append(partition, piece)
                if others:
                    _append_others(rng, log, keys)
        before = job.job_id
    return LogHistory(log, history)


def large_history(rng: Random, *, rows: int) -> LogHistory:
    """An insert of so many users, then an upsert of half of them."""
    lines = _tidy_lines(rows)
    half = rng.sample(lines, rows // 2)
    return _whole_passes([_of_lines(1, "insert", lines), _of_lines(2, "upsert", half)])


def delsert_history(*, rows: int) -> LogHistory:
    """A delsert of so many users."""
    return _whole_passes([_of_lines(1, "delsert", _tidy_lines(rows))])


def _tidy_lines(rows: int) -> list[list[str]]:
    return [[f"user{number}", "Ada", "L", "", "France", "", ""] for number in range(rows)]


def _whole_passes(jobs: list[Job]) -> LogHistory:
    """One pass over each job."""
    log = MemoryLog([[] for _ in range(PARTITIONS)])
    before = [0, *(job.job_id for job in jobs[:-1])]
    for previous, job in zip(before, jobs, strict=True):
        for partition, records in enumerate(make_pass(job, previous, PARTITIONS)):
            log.append(partition, records)
    return LogHistory(log, jobs)


def _job(rng: Random, number: int, keys: int) -> Job:
    lines = [
        [
            f"user{rng.randrange(keys)}",
            rng.choice(["Ada", "Grace", ""]),
            rng.choice(["Lovelace", "O'Brien"]),
            rng.choice(["", "+4930123456", "oops"]),
            rng.choice(["France", "USA", "Japan", ""]),
            rng.choice(["", "Texas"]),
            rng.choice(["", "2024-02-29"]),
        ]
        for _ in range(rng.randint(1, 3 * keys))
    ]
    # Ids are in no order of jobs.
    return _of_lines(1000 + number * 7 % 5, rng.choice(JOB_MODES), lines, number)


def _of_lines(job_id: int, mode: JobMode, lines: list[list[str]], day: int = 0) -> Job:
    rows = [
        ",".join([first, last, f"{user}@example.com", *rest]) for user, first, last, *rest in lines
    ]
    return Job(
        job_id=job_id,
        mode=mode,
        content="\n".join([_HEADER, *rows]).encode(),
        accepted_at=START + timedelta(days=day),
    )


def _with_repeats(rng: Random, records: list[MemoryRecord]) -> list[MemoryRecord]:
    """A pass that broke off, if any, then the whole one, then a piece that comes late."""
    begin = rng.randint(0, len(records))
    late = records[begin : rng.randint(begin, len(records))]
    return [*records[: rng.randint(0, len(records))], *records, *late]


def _pieces(rng: Random, records: list[MemoryRecord]) -> Iterator[list[MemoryRecord]]:
    while records:
        size = rng.randint(1, len(records))
        yield records[:size]
        records = records[size:]


def _append_others(rng: Random, log: MemoryLog, keys: int) -> None:
    for _ in range(rng.randint(0, 3)):
        key = f"user{rng.randrange(keys)}@example.com"
        partition = partition_of(key.encode(), PARTITIONS)
        row = replace(_row(rng, key), **rng.choice(_FLAWS))
        value = codec.encode(row) if rng.random() < 0.9 else b"garbage"
        log.append(partition, [MemoryRecord(key.encode(), value)])


def _row(rng: Random, key: str) -> UserRow:
    is_named = rng.random() < 0.7
    return UserRow(
        event_id=f"event-{rng.randrange(12)}",
        mode=rng.choice(_ROW_MODES),
        key=key,
        first_name=rng.choice(["Kim", "Lin"]) if is_named else None,
        last_name="Lee" if is_named else None,
        email=key if is_named else None,
        country="Japan" if is_named else None,
        attributes={"attribute1": rng.choice(["gold", None])} if rng.random() < 0.3 else {},
        present=_FIELDS_SET if is_named else 0,
        occurred_at=START + timedelta(days=rng.randrange(9)),
        source=rng.choice([API_SOURCE, "crm"]),
    )


def _define(log: MemoryLog, name: str) -> None:
    event = AttributeDefined(
        name=name,
        type="string",
        is_reconciliation_key=False,
        is_indexed=name.endswith("1"),
        defined_at=START,
        defined_by="admin",
    )
    for partition in range(PARTITIONS):
        log.append(partition, [MemoryRecord(name.encode(), codec.encode(event))])
