"""What a dry run says is what the projection then does."""

from __future__ import annotations

import asyncio
import io
import itertools
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest_api.dry_runs.answer import answer_of
from ingest_api.dry_runs.comparison import (
    AudienceComparison,
    NoAudienceError,
    Removal,
    count_pending,
)
from ingest_api.dry_runs.copy_input import ComparedLines, key_columns, line_columns
from ingest_api.dry_runs.service import check_share
from ingest_api.errors import IngestError
from ingest_api.event_log.ledger import LedgerJob
from ingest_api.postgres.pool import Store
from ingest_api.web.responses import status_of
from schemas.codec import codec
from schemas.events import AttributeColumn, AttributeDefined
from schemas.read_model.tables import USER_COLUMNS
from tests.support.data.passes import MemoryRecord, make_file_pass
from tests.support.data.projection_scene import Scene
from tests.support.models.file_oracle import accepted_job
from tests.support.models.verdict import select
from tests.support.servers.surroundings import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from ingest_api.dry_runs.answer import DryRunAnswer
    from ingest_api.dry_runs.comparison import Compared
    from schemas.events import AttributeType, JobAccepted, JobMode
    from tests.support.data.projection_scene import Worker
    from tests.support.servers.surroundings import Ground

_START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
_HEADER = (
    "First Name,Last Name,Email,Mobile Number,Country,State,Last Active Date,SMS Subscription,"
    "Tier,Score,VIP,Since"
)
_ATTRIBUTES: dict[str, AttributeType] = {
    "Tier": "string",
    "Score": "number",
    "VIP": "boolean",
    "Since": "date",
}
_JSON_NAMES = {
    "first_name": "firstName",
    "last_name": "lastName",
    "email": "email",
    "mobile_number": "mobileNumber",
    "country": "country",
    "state": "state",
    "sms_subscription": "smsSubscription",
    "email_subscription": "emailSubscription",
    "voice_subscription": "voiceSubscription",
    "attributes": "attributes",
}
Lines = list[tuple[str, ...]]
Row = dict[str, Any]

_cells = st.tuples(
    st.sampled_from(["Ada", "Grace", "", 'Zoë "Z"']),
    st.sampled_from(["Lovelace", "O'Brien, jr."]),
    st.sampled_from(["u0@b.co", "U0@b.co", "u1@b.co", "u2@b.co", "u3@b.co", "u4@b.co", "oops"]),
    st.sampled_from(["", "+4930123456", "oops"]),
    st.sampled_from(["France", "USA", ""]),
    st.sampled_from(["", "Texas"]),
    st.sampled_from(["", "2024-02-29"]),
    st.sampled_from(["", "yes", "no"]),
    st.sampled_from(
        ["", "gold", 'a "b" \\'],
    ),
    st.sampled_from(["", "12", "0.50", "much"]),
    st.sampled_from(["", "true", "false"]),
    st.sampled_from(["", "01/31/2020"]),
)
_lines = st.lists(_cells, min_size=1, max_size=14)
_modes = st.sampled_from(["insert", "upsert", "delsert"])


def _line(number: int, **cells: str) -> tuple[str, ...]:
    usual = dict.fromkeys(_HEADER.split(","), "") | {
        "First Name": "Ada",
        "Last Name": "L",
        "Email": f"u{number}@b.co",
        "Country": "France",
        "Last Active Date": "2024-02-29",
    }
    return tuple((usual | {name.replace("_", " "): cell for name, cell in cells.items()}).values())


def _content(lines: Lines) -> bytes:
    cells = [",".join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines]
    return "\n".join([_HEADER, *cells]).encode()


@dataclass(slots=True)
class Audience:
    """Users that files made, by the code that the services run."""

    env: Ground
    scene: Scene
    worker: Worker
    jobs: list[JobAccepted]

    @classmethod
    def empty(cls, env: Ground) -> Audience:
        """Without users, with custom attributes."""
        scene = Scene(env)
        for name, attribute_type in _ATTRIBUTES.items():
            defined = AttributeDefined(
                name=name,
                type=attribute_type,
                is_reconciliation_key=False,
                is_indexed=False,
                defined_at=_START,
                defined_by="admin",
            )
            for partition in range(PARTITIONS):
                scene.log.append(partition, [MemoryRecord(None, codec.encode(defined))])
        made = cls(env, scene, scene.worker(), [])
        made.project()
        return made

    def job(self, mode: JobMode, lines: Lines, blank_cells: str = "keep") -> JobAccepted:
        """The job that an upload of the lines would be next."""
        number = len(self.jobs)
        return accepted_job(
            job_id=1000 + number,
            mode=mode,
            blank_cells=blank_cells,
            lines=len(lines),
            accepted_at=_START + timedelta(days=number),
            attributes=tuple(itertools.starmap(AttributeColumn, _ATTRIBUTES.items())),
        )

    def apply(self, job: JobAccepted, lines: Lines) -> None:
        """Publish the job's file and project it."""
        previous = self.jobs[-1].job_id if self.jobs else 0
        self.jobs.append(job)
        whole = make_file_pass(_content(lines), job, previous, PARTITIONS)
        for partition, records in enumerate(whole):
            self.scene.log.append(partition, records)
        self.project()

    def project(self) -> None:
        """Project all that is in the log."""
        self.worker.project(self.scene.log, [10_000] * PARTITIONS)

    def dry_run(self, job: JobAccepted, lines: Lines) -> DryRunAnswer:
        """What the job would do."""
        compared_lines = ComparedLines(job, line_columns)

        async def compare(comparison: AudienceComparison) -> Compared:
            inputs = _each(compared_lines.inputs(io.BytesIO(_content(lines))))
            return await comparison.compare(job.mode, inputs, ())

        return answer_of(asyncio.run(self._ask(compare)), compared_lines)

    def removal(self, job: JobAccepted, lines: Lines) -> Removal:
        """What a delsert would remove."""
        compared_lines = ComparedLines(job, key_columns)

        async def count(comparison: AudienceComparison) -> Removal:
            inputs = _each(compared_lines.inputs(io.BytesIO(_content(lines))))
            return await comparison.count_removed(inputs)

        return asyncio.run(self._ask(count))

    async def _ask(self, question: Any) -> Any:
        async with Store(self.env.conninfo).session(60) as connection:
            return await question(AudienceComparison(connection, 60))

    def users(self) -> dict[str, Row]:
        """The users by key."""
        return {row["key"]: row for row in select(self.env, "SELECT * FROM users")}

    def counts(self, job: JobAccepted) -> tuple[int, int, int, int]:
        """Inserted, updated, unchanged, rejected."""
        query = f"SELECT * FROM jobs WHERE job_id = {job.job_id}"
        (row,) = select(self.env, query)
        return row["inserted"], row["updated"], row["unchanged"], row["rejected"]

    def rejections(self, job: JobAccepted) -> list[Row]:
        """The job's errors, without their ids."""
        query = f"SELECT * FROM rejections WHERE job_id = {job.job_id} ORDER BY record_number"
        return [
            {
                "error_message": f"Line {row['record_number']},{row['raw']},{row['reason']}",
                **{name: row[name] for name in ("line", "column", "code", "value", "reason")},
            }
            for row in select(self.env, query)
        ]


async def _each(pieces: Iterator[memoryview]) -> AsyncIterator[memoryview]:
    for piece in pieces:
        yield piece


def _shown(user: Row) -> Row:
    day = user["last_active_date"]
    return {shown: user[name] for name, shown in _JSON_NAMES.items()} | {
        "lastActiveDateStr": day and day.strftime("%m/%d/%Y 12:00:00 AM GMT")
    }


@pytest.fixture
def audience(env: Ground) -> Iterator[Audience]:
    """One without users."""
    made = Audience.empty(env)
    yield made
    made.scene.close()


_TWICE = [_line(1), _line(1, First_Name="Eve"), _line(1, First_Name="Eve"), _line(2)]
_THEN = [_line(3, Country=""), _line(3), _line(3, Tier="gold"), _line(1, Tier="x")]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    before=st.lists(st.tuples(_modes, _lines), max_size=2),
    mode=_modes,
    lines=_lines,
    blank_cells=st.sampled_from(["keep", "clear"]),
)
@example(before=[("insert", _TWICE)], mode="upsert", lines=_TWICE + _THEN, blank_cells="keep")
@example(before=[("insert", _TWICE)], mode="delsert", lines=_TWICE + _THEN, blank_cells="keep")
def test_a_dry_run_says_what_the_job_then_does(
    env: Ground,
    before: list[tuple[JobMode, Lines]],
    mode: JobMode,
    lines: Lines,
    blank_cells: str,
) -> None:
    """The counts, and every rejection in the words of the job's errors."""
    audience = Audience.empty(env)
    try:
        for earlier_mode, earlier in before:
            audience.apply(audience.job(earlier_mode, earlier), earlier)
        job = audience.job(mode, lines, blank_cells)
        users = audience.users()
        said = audience.dry_run(job, lines)
        assert audience.users() == users
        removal = audience.removal(job, lines)
        audience.apply(job, lines)
    finally:
        audience.scene.close()
    inserted, updated, unchanged, rejected = audience.counts(job)
    assert said.reject == rejected
    assert [_as_row(each) for each in said.samples.reject] == audience.rejections(job)[:10]
    assert said.total == said.insert + said.update + said.unchanged + said.reject
    if mode == "delsert":
        assert inserted == said.insert + said.update + said.unchanged
        assert (removal.users, removal.removed) == (len(users), said.delete)
        _assert_replaced(said, users, audience.users())
    else:
        assert (said.insert, said.update, said.unchanged) == (inserted, updated, unchanged)
        assert (said.delete, said.samples.delete) == (0, [])
        _assert_samples(said, users, audience.users(), _keys(lines))


def _as_row(sample: Any) -> Row:
    return {name: getattr(sample, name) for name in sample.__struct_fields__}


def _keys(lines: Lines) -> list[str]:
    return [line[2].lower() for line in lines]


def _assert_replaced(said: DryRunAnswer, before: dict[str, Row], after: dict[str, Row]) -> None:
    """A delsert's counts are by key: who comes, who differs, who stays as it was, who goes."""
    values = {
        key: ([users[key][name] for name in USER_COLUMNS] for users in (before, after))
        for key in before.keys() & after.keys()
    }
    differing = {key for key, (were, are) in values.items() if were != are}
    assert said.update == len(differing)
    assert said.unchanged == len(values) - len(differing)
    assert said.insert == len(after.keys() - before.keys())
    gone = sorted((before[key]["id"], key) for key in before.keys() - after.keys())
    assert said.delete == len(gone)
    assert [(sample.id, sample.user) for sample in said.samples.delete] == [
        (str(user_id), _shown(before[key])) for user_id, key in gone[:10]
    ]
    by_id = {str(user["id"]): key for key, user in before.items()}
    for sample in said.samples.update:
        key = by_id[sample.id or ""]
        _assert_change(sample, _shown(before[key]), _shown(after[key]))
    shown = [_shown(user) for user in after.values()]
    assert all(sample.user in shown for sample in said.samples.insert)


def _assert_samples(
    said: DryRunAnswer, before: dict[str, Row], after: dict[str, Row], keys: list[str]
) -> None:
    """Of keys that come once, a sample's user is the table's; of others it is on the way there."""
    for sample in said.samples.insert:
        key = keys[sample.line - 2]
        assert key not in before
        if keys.count(key) == 1:
            assert sample.user == _shown(after[key])
    for sample in said.samples.update:
        key = keys[sample.line - 2]
        assert sample.id == (str(before[key]["id"]) if key in before else None)
        assert sample.before != sample.after
        if keys.count(key) == 1:
            _assert_change(sample, _shown(before[key]), _shown(after[key]))


def _assert_change(sample: Any, before: Row, after: Row) -> None:
    """Only what differs is shown, of the attributes too."""
    assert (
        sample.before.keys()
        == sample.after.keys()
        == {name for name in before if before[name] != after[name]}
    )
    for shown, user in ((sample.before, before), (sample.after, after)):
        attributes = shown.pop("attributes", {})
        assert shown == {name: user[name] for name in shown}
        assert attributes == {name: user["attributes"].get(name) for name in attributes}


def test_a_key_that_comes_again_is_followed_line_by_line(audience: Audience) -> None:
    """Each line of an upsert is compared with what the one before it left."""
    lines = [
        _line(1, Country=""),  # adds nobody: a field is missing
        _line(1),
        _line(1, Tier="gold", Score="1.50"),
        _line(1, Tier="gold"),
        _line(1, First_Name="Eve"),
    ]
    said = audience.dry_run(audience.job("upsert", lines), lines)
    assert (said.insert, said.update, said.unchanged, said.reject) == (1, 2, 1, 1)
    assert [_as_row(sample) for sample in said.samples.update] == [
        {
            "line": 4,
            "id": None,
            "before": {"attributes": {"Tier": None, "Score": None}},
            "after": {"attributes": {"Tier": "gold", "Score": 1.5}},
        },
        {"line": 6, "id": None, "before": {"firstName": "Ada"}, "after": {"firstName": "Eve"}},
    ]


def test_many_lines_of_one_key_cost_no_more_than_their_number(audience: Audience) -> None:
    """Twenty thousand lines change one user in turn, and only the first samples are kept."""
    lines = [_line(1, First_Name=f"Ada {number % 3}") for number in range(20_000)]
    said = audience.dry_run(audience.job("upsert", lines), lines)
    assert (said.insert, said.update, said.unchanged) == (1, 19_999, 0)
    assert [sample.line for sample in said.samples.update] == list(range(3, 13))


def test_the_share_that_would_be_removed_is_that_of_keys(audience: Audience) -> None:
    """Refused lines and repeated keys keep nobody; of an empty audience nothing is removed."""
    empty = audience.removal(audience.job("delsert", [_line(1)]), [_line(1)])
    check_share(empty, Decimal(0))
    lines = [_line(number) for number in range(8)]
    audience.apply(audience.job("insert", lines), lines)
    file = [_line(0), _line(0), _line(1, Country="")]
    removal = audience.removal(audience.job("delsert", file), file)
    assert asdict(removal) == {"users": 8, "removed": 7}
    check_share(removal, Decimal("87.5"))
    with pytest.raises(IngestError) as refused:
        check_share(removal, Decimal("87.49"))
    (detail,) = refused.value.details
    assert (status_of(type(refused.value)), detail.code) == (400, "MAX_DELETE_PERCENT")
    assert "7 of the 8 users, 87.5 %, and maxDeletePercent allows 87.49 %" in detail.message


def test_a_share_is_never_shown_as_the_limit_that_it_is_over() -> None:
    """What is a little over the limit is rounded up."""
    with pytest.raises(IngestError) as refused:
        check_share(Removal(users=1_000_000, removed=100_001), Decimal(10))
    assert "100,001 of the 1,000,000 users, 10.01 %" in refused.value.details[0].message


def test_pending_jobs_are_counted_from_the_newest_back(audience: Audience) -> None:
    """A job is not pending once it, or a later one, is finished."""
    lines = [_line(1)]
    for _ in range(2):
        audience.apply(audience.job("upsert", lines), lines)
    later = [audience.job("upsert", lines), accepted_job(job_id=5), accepted_job(job_id=6)]
    ledger = [LedgerJob(job, number, 0) for number, job in enumerate([*audience.jobs, *later])]

    async def count(jobs: Sequence[LedgerJob]) -> int:
        store = Store(audience.env.conninfo)
        await store.open()
        try:
            return await count_pending(store.select_projected, jobs)
        finally:
            await store.close()

    assert asyncio.run(count(ledger)) == 3
    assert asyncio.run(count(ledger[:2])) == 0
    many = [*ledger[:2], *(LedgerJob(accepted_job(job_id=n), n, 0) for n in range(9000, 9250))]
    assert asyncio.run(count(many)) == 250


def test_without_tables_there_is_no_audience(env: Ground) -> None:
    """No processor has been there yet: that is not an audience without users."""

    async def ask() -> None:
        async with Store(env.conninfo).session(60) as connection:
            await AudienceComparison(connection, 60).compare("insert", _each(iter([])), ())

    with pytest.raises(NoAudienceError):
        asyncio.run(ask())


def test_nothing_is_left_in_the_session_of_a_comparison(audience: Audience) -> None:
    """Temporary tables are gone with it, and so is the session."""
    lines = [_line(1), _line(1)]
    audience.dry_run(audience.job("upsert", lines), lines)
    with psycopg.connect(audience.env.conninfo) as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class WHERE relpersistence = 't' AND relname LIKE 'compared%'"
        ).fetchall()
    assert left == []
