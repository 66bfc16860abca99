"""The order in which records of several partitions are put together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy.log_migration.records import CopiedRecord
from deploy.log_migration.rekey.job_order import OrderTracker, in_order
from schemas.events import JobOpened, RowErased, UserRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.log_migration.rekey.job_order import CountedRecord
    from schemas.events import Event

_NOW = datetime(2026, 7, 1, tzinfo=UTC)


def line(number: int, key: str = "k") -> UserRow:
    """A line of a job."""
    return UserRow(
        job_id=1, record_number=number, mode="insert", key=key, present=0, occurred_at=_NOW
    )


def single(key: str) -> UserRow:
    """A row without a job."""
    return UserRow(mode="upsert", key=key, present=0, occurred_at=_NOW)


def placed(partition: int, *events: tuple[int, Event | None]) -> Iterator[CountedRecord]:
    """The records of a partition, by their times."""
    tracker = OrderTracker(partition)
    for offset, (time_ms, event) in enumerate(events):
        yield tracker.place(CopiedRecord(b"", b"", offset, time_ms), event)


def order(*partitions: Iterator[CountedRecord]) -> list[tuple[int, int]]:
    """Partitions and offsets, as they are put together."""
    return [(one.partition, one.record.offset()) for one in in_order(partitions)]


def test_lines_of_a_job_come_in_the_order_of_the_file() -> None:
    """Whatever the times of their records are; what stands for an erased line among them."""
    erased = RowErased(job_id=1, record_number=3, line=4, sequence=1, outcome="updated")
    first = placed(0, (50, line(2)), (50, erased), (50, line(6)))
    second = placed(1, (9, line(1)), (9, line(4)), (9, line(5)))
    assert order(first, second) == [(1, 0), (0, 0), (0, 1), (1, 1), (1, 2), (0, 2)]


def test_rows_without_a_job_keep_their_place_among_the_lines() -> None:
    """Of their own partition; those of several partitions come by time, then partition."""
    first = placed(0, (10, line(2)), (30, single("a")), (10, line(5)))
    second = placed(1, (10, line(1)), (20, single("b")), (20, line(2 + 1)), (5, single("c")))
    assert order(first, second) == [(1, 0), (1, 1), (0, 0), (0, 1), (1, 2), (1, 3), (0, 2)]


def test_no_partition_is_put_into_another_order() -> None:
    """Even where its times go back, as producers' clocks do."""
    first = placed(0, (90, single("a")), (10, single("b")), (95, None))
    second = placed(1, (91, single("c")), (92, single("d")))
    assert order(first, second) == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2)]


def test_places_begin_anew_with_each_bracket_of_a_job() -> None:
    """A section is put together by itself."""
    opened = JobOpened(
        job_id=2,
        previous_job_id=1,
        mode="insert",
        lines=1,
        file_name=None,
        sha256="",
        accepted_at=_NOW,
        accepted_by="admin",
    )
    *_, last = placed(3, (10, line(7)), (90, single("a")), (95, opened), (4, single("b")))
    assert last.place == (0, 4, 3)
