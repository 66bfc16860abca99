"""Past audiences: asked for once, waited for, kept while they are read; the builder is a test's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

import psycopg
import pytest
from psycopg.rows import dict_row

from ingest_api.as_of.past_audiences import PastAudiences
from ingest_api.errors import IngestError, SchemaGoneError
from ingest_api.projections.point_in_time import NOW, Point
from ingest_api.projections.registry import MOST_PAST, InstanceRegistry
from ingest_api.users.filters import UserFilter
from ingest_api.users.queries import UserReader
from ingest_api.web import responses
from ingest_api.web.paging import Page
from schemas.read_model import tables as read_model
from tests.support.clients.answers import sent
from tests.support.data.read_model_rows import ask, execute, make_instance, make_read_model
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ingest_api.postgres.pool import Database
    from tests.support.servers.surroundings import Ground

JOB = Point(job_id=7)
TIME = Point(time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
BUILT: LiteralString = """
UPDATE projection_instance SET state = 'ready', version = %s, ready_at = now()
WHERE state = 'requested'
"""
_T = TypeVar("_T")


@pytest.fixture
def registry(env: Ground) -> str:
    """A database with a registry that is empty, and a live read model."""
    execute(env.conninfo, read_model.registry_ddl())
    make_read_model(env.conninfo)
    return env.conninfo


def rows(conninfo: str) -> list[dict[str, Any]]:
    """The registry, in order."""
    with (
        psycopg.connect(conninfo) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        return cursor.execute("SELECT * FROM projection_instance ORDER BY number").fetchall()


def build(conninfo: str) -> None:
    """What is requested is ready."""
    execute(conninfo, BUILT, read_model.VERSION)


async def log_is_whole() -> None:
    """Nothing is missing of the log from which the builder would build."""


def read(
    conninfo: str,
    points: Sequence[Point],
    work: Callable[[Sequence[str]], Awaitable[_T]],
    *,
    wait_s: float = 0.1,
) -> _T:
    """What the work makes of the audiences as of these points."""
    return ask(
        conninfo,
        lambda db: PastAudiences(InstanceRegistry(db), log_is_whole, wait_s).read(
            points, "ann", work
        ),
    )


async def schemas(names: Sequence[str]) -> list[str]:
    """The schemas that were found."""
    return list(names)


def refusal(conninfo: str, *points: Point, status: int = 503) -> str:
    """Why there is no audience as of these points yet; 503 may be tried again."""
    with pytest.raises(IngestError) as caught:
        read(conninfo, points, schemas)
    answer = responses.refusal(caught.value)
    assert answer.status == status
    assert ("Retry-After" in answer.headers) == (status == 503)
    return caught.value.message


def test_the_first_request_asks_and_the_next_ones_wait(registry: str) -> None:
    """For a job and for a time; nobody asks twice."""
    for _ in range(2):
        assert "as of job 7 waits for a builder" in refusal(registry, JOB)
        assert "2026-01-02T03:04:05Z waits for a builder" in refusal(registry, TIME)
    asked = rows(registry)
    assert [(row["as_of_job_id"], row["as_of_time"]) for row in asked] == [
        (7, None),
        (None, TIME.time),
    ]
    assert {row["requested_by"] for row in asked} == {"ann"}
    execute(registry, "UPDATE projection_instance SET state = 'building', records_total = 200")
    execute(registry, "UPDATE projection_instance SET records_done = 87")
    assert "as of job 7 is being built: 43 %" in refusal(registry, JOB)
    build(registry)
    is_ready: LiteralString = "UPDATE projection_instance SET state = 'ready', version = %s"
    execute(registry, is_ready, read_model.VERSION)
    assert read(registry, [JOB, NOW, TIME], schemas) == ["projection_1", "public", "projection_2"]


def test_whoever_waits_is_answered_once_it_is_built(registry: str) -> None:
    """Within the same request, and both points of one are asked for at once."""

    async def run(db: Database) -> list[str]:
        past = PastAudiences(InstanceRegistry(db), log_is_whole, 60)
        asking = asyncio.create_task(past.read([JOB, TIME], "ann", schemas))
        await asyncio.to_thread(wait_until, lambda: len(rows(registry)) == 2, 30)
        await asyncio.to_thread(build, registry)
        return await asking

    assert ask(registry, run) == ["projection_1", "projection_2"]


def test_two_that_ask_at_once_ask_for_one(registry: str) -> None:
    """Whichever process of the API they ask."""

    async def run(db: Database) -> None:
        past = [PastAudiences(InstanceRegistry(db), log_is_whole, 0.1) for _ in range(6)]
        asking = [one.read([JOB], "ann", schemas) for one in past]
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert all(isinstance(each, IngestError) for each in found), found

    ask(registry, run)
    assert len(rows(registry)) == 1


def test_an_audience_of_other_code_is_not_read(registry: str) -> None:
    """Its tables may have other columns, so it is built anew."""
    refusal(registry, JOB)
    execute(registry, BUILT, read_model.VERSION - 1)
    refusal(registry, JOB)
    assert [row["state"] for row in rows(registry)] == ["ready", "requested"]


def test_a_failure_is_told_and_tried_again_later(registry: str) -> None:
    """Not at once: else whoever asks again is a build each time."""
    refusal(registry, JOB)
    execute(registry, "UPDATE projection_instance SET state = 'failed', failure = 'no room'")
    for _ in range(2):
        message = refusal(registry, JOB, status=409)
        assert message == "The audience as of job 7 could not be built: no room"
    execute(registry, "UPDATE projection_instance SET requested_at = now() - interval '1 hour'")
    assert "waits for a builder" in refusal(registry, JOB)


def test_a_few_are_kept_and_those_not_read_make_room(registry: str) -> None:
    """One in use stays; who finds no room is told which are there."""
    for number in range(MOST_PAST):
        refusal(registry, Point(job_id=number))
    message = refusal(registry, JOB)
    assert "No more than 4" in message
    assert "as of job 0 (no builder has taken it yet), as of job 1 (" in message
    build(registry)
    refusal(registry, JOB)
    execute(
        registry,
        "UPDATE projection_instance SET last_used_at = now() - interval '1 hour'"
        " WHERE as_of_job_id IN (1, 2)",
    )
    read(registry, [Point(job_id=1)], schemas)
    assert "waits for a builder" in refusal(registry, JOB)
    released = [row for row in rows(registry) if row["last_used_at"].year == 1970]
    assert [row["as_of_job_id"] for row in released] == [2]
    assert len(rows(registry)) == MOST_PAST + 1
    assert "No more than 4" in refusal(registry, Point(job_id=2)), "a released one is not found"


def test_a_read_marks_it_as_used_at_most_once_a_minute(registry: str) -> None:
    """So that builders keep it, and reads hardly write."""
    refusal(registry, JOB)
    build(registry)
    execute(registry, "UPDATE projection_instance SET last_used_at = now() - interval '61 seconds'")
    [before] = rows(registry)
    read(registry, [JOB], schemas)
    [once] = rows(registry)
    read(registry, [JOB], schemas)
    [twice] = rows(registry)
    assert before["last_used_at"] < once["last_used_at"] == twice["last_used_at"]


def test_one_that_was_dropped_is_asked_for_again(registry: str) -> None:
    """Nobody is shown an empty audience in its place."""
    refusal(registry, JOB)
    build(registry)
    store_of: list[Database] = []

    async def users(names: Sequence[str]) -> dict[str, Any]:
        reads = UserReader(store_of[0], "email")
        return sent(await reads.select_page(UserFilter(), Page(), names[0]))

    async def run(db: Database) -> dict[str, Any]:
        store_of[:] = [db]
        return await PastAudiences(InstanceRegistry(db), log_is_whole, 0.1).read(
            [JOB], "ann", users
        )

    with pytest.raises(IngestError, match="dropped while it was read"):
        ask(registry, run)
    execute(registry, "UPDATE projection_instance SET state = 'dropped'")
    with pytest.raises(IngestError, match="waits for a builder"):
        ask(registry, run)
    make_instance(registry, "projection_2")
    build(registry)
    assert ask(registry, run) == {"total": 0, "audience": []}


def test_a_schema_that_is_gone_is_no_empty_audience(registry: str) -> None:
    """It is an error of its own, whatever is read."""
    with pytest.raises(SchemaGoneError):
        ask(registry, lambda db: UserReader(db, "email").fetch(7, "projection_9"))


def test_without_a_registry_it_is_a_processor_that_is_missing(env: Ground) -> None:
    """And nothing fails."""
    assert "is one running?" in refusal(env.conninfo, JOB)


def test_one_rebuild_is_asked_for_at_a_time(registry: str) -> None:
    """Verifications count as such; past audiences don't."""

    async def run(db: Database) -> None:
        instances = InstanceRegistry(db)
        assert await instances.request("verify", mends=False, by="ann") == 1
        assert await instances.request("rebuild", mends=True, by="ann") is None
        at_work = await instances.fetch_at_work()
        assert at_work is not None
        assert (at_work.number, at_work.purpose) == (1, "verify")
        await asyncio.to_thread(
            execute, registry, "UPDATE projection_instance SET state = 'dropped'"
        )
        assert await instances.fetch_at_work() is None
        number = await instances.request("rebuild", mends=True, by="ann")
        assert await instances.request_past(JOB, by="ann")
        total, page = await instances.select_page(Page(size=2))
        assert total == 3
        assert [row.purpose for row in page] == ["as_of", "rebuild"]
        found = await instances.fetch(number or 0)
        assert found is not None
        assert (found.mends, found.requested_by) == (True, "ann")
        assert await instances.fetch(99) is None

    ask(registry, run)
