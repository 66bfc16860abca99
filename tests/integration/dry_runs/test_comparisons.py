"""What a dry run says is what the projection then does."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest_api.dry_runs.comparison import DryRunComparison, Removal
from ingest_api.dry_runs.limits import Share, UploadLimits
from ingest_api.errors import IngestError, NoAudienceError
from ingest_api.event_log.ledger import LedgerJob
from ingest_api.jobs.pending import count_pending
from ingest_api.postgres.pool import Database
from ingest_api.web.refused import status_of
from schemas.read_model.tables import USER_COLUMNS
from schemas.rules.modes import REMOVING
from schemas.rules.overwrite import ALL_BITS, ATTRIBUTES_BIT
from tests.support.data.dry_run_scene import (
    Audience,
    as_shown,
    csv_line,
    pieces_of,
    some_lines,
    some_modes,
)
from tests.support.models.file_oracle import accepted_job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ingest_api.dry_runs.answer import DryRunAnswer
    from schemas.events import JobMode
    from tests.support.data.dry_run_scene import (
        Lines,
        Row,
    )
    from tests.support.servers.surroundings import Ground


@pytest.fixture
def audience(env: Ground) -> Iterator[Audience]:
    """One without users."""
    made = Audience.empty(env)
    yield made
    made.scene.close()


_TWICE = [csv_line(1), csv_line(1, First_Name="Eve"), csv_line(1, First_Name="Eve"), csv_line(2)]
_THEN = [csv_line(3, Country=""), csv_line(3), csv_line(3, Tier="gold"), csv_line(1, Tier="x")]


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    before=st.lists(st.tuples(some_modes, some_lines), max_size=2),
    mode=some_modes,
    lines=some_lines,
    options=st.fixed_dictionaries(
        {
            "blank_cells": st.sampled_from(["keep", "clear"]),
            "fills": st.sampled_from([0, 0, 0b1001, 0b1110000000, ATTRIBUTES_BIT, ALL_BITS]),
            "opt_ins": st.sampled_from(["keep", "keep", "apply"]),
            "invalid_optional": st.sampled_from(["reject", "drop"]),
        }
    ),
)
@example(before=[("insert", _TWICE)], mode="upsert", lines=_TWICE + _THEN, options={})
@example(before=[("insert", _TWICE)], mode="delsert", lines=_TWICE + _THEN, options={})
def test_a_dry_run_says_what_the_job_then_does(
    env: Ground,
    before: list[tuple[JobMode, Lines]],
    mode: JobMode,
    lines: Lines,
    options: dict[str, Any],
) -> None:
    """The counts, and every rejection in the words of the job's errors."""
    audience = Audience.empty(env)
    try:
        for earlier_mode, earlier in before:
            audience.apply(audience.job(earlier_mode, earlier), earlier)
        job = audience.job(mode, lines, **options)
        users = audience.users()
        answer = audience.dry_run(job, lines)
        assert audience.users() == users
        of_keys = audience.of_keys(job, lines) if mode in REMOVING else None
        audience.apply(job, lines)
    finally:
        audience.scene.close()
    assert (answer.reject, _noted(answer)) == (audience.counts(job)[3], audience.notes(job))
    assert [_as_row(each) for each in answer.samples.reject] == audience.rejections(job)[:10]
    if of_keys:
        assert of_keys == (Removal(len(users), answer.delete), answer.reject)
    if mode == "delsert":
        _assert_replaced(answer, users, audience.users())
    elif mode == "delete":
        _assert_deleted(answer, users, audience.users())
    else:
        assert (answer.delete, answer.samples.delete) == (0, [])
        _assert_samples(answer, users, audience.users(), _keys(lines))
    _assert_counted(answer, audience.counts(job))


def _assert_counted(answer: DryRunAnswer, counts: tuple[int, int, int, int]) -> None:
    """Each line once, as the job counts it; all users of a delsert are inserted."""
    told = answer.insert + answer.update + answer.unchanged
    assert answer.total == told + answer.reject + (answer.delete if answer.mode == "delete" else 0)
    if answer.mode == "delsert":
        assert counts[0] == told
    else:
        assert counts[:3] == (answer.insert, answer.update, answer.unchanged)


def _assert_deleted(answer: DryRunAnswer, before: dict[str, Row], after: dict[str, Row]) -> None:
    """The users who are gone, the first of them by id."""
    gone = sorted(before[key]["id"] for key in before.keys() - after.keys())
    assert answer.delete == len(gone)
    assert [each.id for each in answer.samples.delete] == [str(user_id) for user_id in gone[:10]]


def _noted(answer: DryRunAnswer) -> dict[tuple[str, str | None], int]:
    return {(each.code, each.column): each.count for each in answer.noted_by}


def _as_row(sample: Any) -> Row:
    return {
        name: msgspec.to_builtins(value) if name == "faults" else value
        for name, value in msgspec.structs.asdict(sample).items()
    }


def _keys(lines: Lines) -> list[str]:
    return [line[2].lower() for line in lines]


def _assert_replaced(answer: DryRunAnswer, before: dict[str, Row], after: dict[str, Row]) -> None:
    """A delsert's counts are by key: who comes, who differs, who stays as it was, who goes."""
    values = {
        key: [[users[key][name] for name in USER_COLUMNS] for users in (before, after)]
        for key in before.keys() & after.keys()
    }
    differing = {key for key, (were, are) in values.items() if were != are}
    assert answer.update == len(differing)
    assert answer.unchanged == len(values) - len(differing)
    assert answer.insert == len(after.keys() - before.keys())
    gone = sorted((before[key]["id"], key) for key in before.keys() - after.keys())
    assert answer.delete == len(gone)
    assert [(sample.id, sample.user) for sample in answer.samples.delete] == [
        (str(user_id), as_shown(before[key])) for user_id, key in gone[:10]
    ]
    by_id = {str(user["id"]): key for key, user in before.items()}
    for sample in answer.samples.update:
        key = by_id[sample.id or ""]
        _assert_change(sample, as_shown(before[key]), as_shown(after[key]))
    shown = [as_shown(user) for user in after.values()]
    assert all(sample.user in shown for sample in answer.samples.insert)


def _assert_samples(
    answer: DryRunAnswer, before: dict[str, Row], after: dict[str, Row], keys: list[str]
) -> None:
    """Of keys that come once, a sample's user is the table's; of others it is on the way there."""
    for sample in answer.samples.insert:
        key = keys[sample.line - 2]
        assert key not in before
        if keys.count(key) == 1:
            assert sample.user == as_shown(after[key])
    for sample in answer.samples.update:
        key = keys[sample.line - 2]
        assert sample.id == (str(before[key]["id"]) if key in before else None)
        assert sample.before != sample.after
        if keys.count(key) == 1:
            _assert_change(sample, as_shown(before[key]), as_shown(after[key]))


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
        csv_line(1, Country=""),  # adds nobody: a field is missing
        csv_line(1),
        csv_line(1, Tier="gold", Score="1.50"),
        csv_line(1, Tier="gold"),
        csv_line(1, First_Name="Eve"),
    ]
    answer = audience.dry_run(audience.job("upsert", lines), lines)
    assert (answer.insert, answer.update, answer.unchanged, answer.reject) == (1, 2, 1, 1)
    assert [_as_row(sample) for sample in answer.samples.update] == [
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
    lines = [csv_line(1, First_Name=f"Ada {number % 3}") for number in range(20_000)]
    answer = audience.dry_run(audience.job("upsert", lines), lines)
    assert (answer.insert, answer.update, answer.unchanged) == (1, 19_999, 0)
    assert [sample.line for sample in answer.samples.update] == list(range(3, 13))


def at_most(percent: str | int) -> UploadLimits:
    """Limits of an upload that may remove so many per cent of the users."""
    return UploadLimits(max_deleted_share=Share(Decimal(percent)))


def test_the_share_that_would_be_removed_is_that_of_keys(audience: Audience) -> None:
    """Refused lines and repeated keys keep nobody; of an empty audience nothing is removed."""
    empty, _ = audience.of_keys(audience.job("delsert", [csv_line(1)]), [csv_line(1)])
    at_most(0).check_removed(empty)
    lines = [csv_line(number) for number in range(8)]
    audience.apply(audience.job("insert", lines), lines)
    file = [csv_line(0), csv_line(0), csv_line(1, Country="")]
    removal, _ = audience.of_keys(audience.job("delsert", file), file)
    assert asdict(removal) == {"users": 8, "removed": 7}
    at_most("87.5").check_removed(removal)
    with pytest.raises(IngestError) as refused:
        at_most("87.49").check_removed(removal)
    (detail,) = refused.value.details
    assert (status_of(type(refused.value)), detail.code) == (400, "MAX_DELETE_PERCENT")
    assert "7 of the 8 users, 87.5 %, and maxDeletePercent allows 87.49 %" in detail.message


def test_a_share_is_never_shown_as_the_limit_that_it_is_over() -> None:
    """What is a little over the limit is rounded up."""
    with pytest.raises(IngestError) as refused:
        at_most(10).check_removed(Removal(users=1_000_000, removed=100_001))
    assert "100,001 of the 1,000,000 users, 10.01 %" in refused.value.details[0].message


def test_pending_jobs_are_counted_from_the_newest_back(audience: Audience) -> None:
    """A job is not pending once it, or a later one, is finished."""
    lines = [csv_line(1)]
    for _ in range(2):
        audience.apply(audience.job("upsert", lines), lines)
    later = [audience.job("upsert", lines), accepted_job(job_id=5), accepted_job(job_id=6)]
    ledger = [LedgerJob(job, number, 0) for number, job in enumerate([*audience.jobs, *later])]

    async def count(jobs: Sequence[LedgerJob]) -> int:
        db = Database(audience.env.conninfo)
        await db.open()
        try:
            return await count_pending(db.select_projected, jobs)
        finally:
            await db.close()

    assert asyncio.run(count(ledger)) == 3
    assert asyncio.run(count(ledger[:2])) == 0
    many = [*ledger[:2], *(LedgerJob(accepted_job(job_id=n), n, 0) for n in range(9000, 9250))]
    assert asyncio.run(count(many)) == 250


def test_without_tables_there_is_no_audience(env: Ground) -> None:
    """No processor has been there yet: that is not an audience without users."""

    async def ask() -> None:
        async with Database(env.conninfo).session(60) as connection:
            await DryRunComparison(connection, 60).compare("insert", pieces_of(iter([])), ())

    with pytest.raises(NoAudienceError):
        asyncio.run(ask())


def test_nothing_is_left_in_the_session_of_a_comparison(audience: Audience) -> None:
    """Temporary tables are gone with it, and so is the session."""
    lines = [csv_line(1), csv_line(1)]
    audience.dry_run(audience.job("upsert", lines), lines)
    with psycopg.connect(audience.env.conninfo) as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class WHERE relpersistence = 't' AND relname LIKE 'compared%'"
        ).fetchall()
    assert left == []
