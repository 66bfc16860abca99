"""The oracle that follows a log, on logs small enough to be gone through by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from schemas.codec import codec
from schemas.events import UserRow
from schemas.read_model.tables import API_SOURCE
from tests.support.data.passes import MemoryLog, MemoryRecord, make_pass
from tests.support.models.log_model import LogModel, WriteResult
from tests.support.models.model import Job, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.events import JobMode, RowMode

DAY = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
LATER = datetime(2026, 6, 1, tzinfo=UTC)
HEADER = "First Name,Last Name,Email,Mobile Number,Country,State,Last Active Date\n"
KEY = "ada@example.com"
ADA = f"Ada,Lovelace,{KEY},,France,,\n"
EVERY_FIELD = 0b1111111111


def _job(job_id: int, mode: JobMode, lines: str) -> Job:
    return Job(job_id=job_id, mode=mode, content=(HEADER + lines).encode(), accepted_at=DAY)


def _pass(job: Job, before: int = 0) -> list[MemoryRecord]:
    """In a log of one partition."""
    return make_pass(job, before, 1)[0]


def _sent(event_id: str, mode: RowMode = "insert", **values: Any) -> MemoryRecord:
    whole: dict[str, Any] = {
        "first_name": "Kim", "last_name": "Lee", "email": KEY, "country": "Japan",
        "present": EVERY_FIELD, "source": "crm",
    }  # fmt: skip
    row = UserRow(event_id=event_id, mode=mode, key=KEY, occurred_at=LATER, **(whole | values))
    return MemoryRecord(KEY.encode(), codec.encode(row))


def _followed(
    jobs: list[Job], records: Iterable[MemoryRecord], left_out: Iterable[int] = ()
) -> LogModel:
    log = MemoryLog([[]])
    log.append(0, list(records))
    model = LogModel(jobs, 1, set(left_out))
    model.follow(0, log.partitions[0])
    return model


def test_a_row_counts_once_where_a_pass_first_brings_it() -> None:
    """Its place there is the user's id; pieces that come before, between and after are repeats."""
    job = _job(1, "insert", ADA + ADA.replace("ada", "bob"))
    opened, ada, bob, sealed = _pass(job)
    model = _followed([job], [ada, opened, bob, ada, opened, ada, bob, sealed, opened, ada, bob])

    assert {key: user.position for key, user in model.users.items()} == {
        KEY: 4,
        "bob@example.com": 7,
    }
    assert model.jobs[1].outcome.counts == (2, 0, 0, 0)
    assert model.is_whole(1)


def test_another_producers_row_finds_what_the_lines_before_it_left() -> None:
    """Within a job, and what comes after finds the other producer's."""
    job = _job(1, "insert", ADA + ADA)
    opened, ada, again, sealed = _pass(job)
    model = _followed([job], [opened, ada, _sent("a", "upsert"), again, sealed, _sent("b")])

    user = model.users[KEY]
    assert (user.values["first_name"], user.values["country"]) == ("Kim", "Japan")
    assert (user.position, user.modified_position, user.job_id) == (2, 3, None)
    assert (user.created_at, user.modified_at) == (DAY, LATER)
    assert model.jobs[1].outcome.rejections == [Rejected(2, 3, "KEY_EXISTS")]
    assert {name: n for name, n in model.sources["crm"].counts.items() if n} == {
        "updated": 1,
        "dead": 1,
    }


def test_a_job_left_out_leaves_its_key_to_what_follows() -> None:
    """Another producer's insert that met its user makes one, and the next job meets that."""
    undone, later = _job(1, "insert", ADA), _job(2, "insert", ADA)
    records = [*_pass(undone), _sent("a"), *_pass(later, 1)]
    with_it, without = _followed([undone, later], records), _followed([undone, later], records, [1])

    assert with_it.users[KEY].position == 2
    assert without.users[KEY].position == 4
    assert without.users[KEY].event_id == "a"
    assert without.sources["crm"].counts["inserted"] == 1
    assert without.jobs[1].outcome.counts == (0, 0, 0, 0)
    assert without.jobs[2].outcome.rejections == [Rejected(1, 2, "KEY_EXISTS")]


def test_readers_see_a_delsert_when_it_is_whole_unless_it_is_left_out() -> None:
    """Until then what other producers send is in its audience already."""
    old, new = _job(1, "insert", ADA), _job(2, "delsert", ADA.replace("ada", "bob"))
    opened, bob, sealed = _pass(new, 1)
    begun = [*_pass(old), opened, bob, _sent("a", "upsert")]
    jobs = [old, new]

    assert _followed(jobs, begun).users[KEY].values["first_name"] == "Ada"
    whole = _followed(jobs, [*begun, sealed])
    assert set(whole.users) == {KEY, "bob@example.com"}
    assert whole.users[KEY].position == 6
    left_out = _followed(jobs, [*begun, sealed], [2])
    assert set(left_out.users) == {KEY}
    assert left_out.users[KEY].modified_position == 6


def test_repeats_are_told_by_the_event_id() -> None:
    """Of an insert by the one that made the user, of a write of the API by any before."""
    api = {"source": API_SOURCE}
    model = _followed(
        [],
        [
            _sent("a"),
            _sent("a"),
            _sent("1", "delete", user_id=1, **api),
            _sent("1", "upsert", **api),
            _sent("2", "upsert", user_id=1, **api),
        ],
    )

    assert model.users == {}
    assert model.writes == {
        "1": WriteResult(3, "deleted", 1),
        "2": WriteResult(5, "rejected", None, "NO_SUCH_USER"),
    }
    assert model.sources["crm"].counts["repeats"] == 1
    assert model.sources[API_SOURCE].counts["repeats"] == 1


def test_an_upsert_changes_only_what_its_producer_set() -> None:
    """And clears only what may be empty."""
    first = _sent("a", state="Kansai", last_active_date=date(2026, 1, 2))
    cleared = _sent("b", "upsert", first_name=None, last_name="Ray", present=0b100001)
    model = _followed([], [first, cleared])

    values = model.users[KEY].values
    assert (values["first_name"], values["last_name"], values["state"]) == ("Kim", "Lee", None)
    assert values["last_active_date"] == date(2026, 1, 2)
    assert model.sources["crm"].counts["updated"] == 1
