"""What the API answers of previews: asked of the registry, where the builder leaves them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ingest_api.errors import IngestError
from ingest_api.undo import preview as undo_preview
from ingest_api.undo.preview import PreviewProgress, UndoPreview, UndoPreviews
from ingest_api.web.refused import status_of
from processor.tables.instance_registry import ensure_registry
from tests.support.data.read_model_rows import ACCEPTED, ask, execute, ledger_of
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from ingest_api.postgres.pool import Database
    from ingest_api.undo.undo import Change
    from tests.support.servers.surroundings import Ground

JOB = ledger_of(ACCEPTED).jobs[0]
COUNTS = {"inserted": 1, "updated": 0, "unchanged": 0, "rejected": 0}
RESULT: dict[str, Any] = {
    "jobId": str(ACCEPTED.job_id),
    "restored": 1,
    "removed": 2,
    "changedBack": 1,
    "kept": 2,
    "samples": {
        "restored": [
            {
                "key": "eve@example.org",
                "before": None,
                "after": {"first_name": "Eve", "last_active_date": "2016-06-28"},
            }
        ],
        "removed": [
            {
                "key": "ada@example.org",
                "before": {"first_name": "Ada", "attributes": {"tier": 1}},
                "after": None,
            }
        ],
        "changedBack": [
            {"key": "zoe@example.org", "before": None, "after": {"sms_subscription": False}}
        ],
        "kept": [
            {"key": "alan@example.org", "changedBy": str(2**61)},
            {"key": "grace@example.org", "changedBy": None},
        ],
    },
    "laterJobs": [{"id": str(2**61), "before": COUNTS, "after": COUNTS}],
    "usersBefore": 7,
    "usersAfter": 6,
}
BUILD = """
UPDATE public.projection_instance
SET state = %s, step = %s, records_done = 30, records_total = 40,
    ready_at = CASE WHEN %s THEN now() - %s::interval END, result = %s, failure = %s
"""
SELECT = """
SELECT number, purpose, state, preview_revert, preview_restore, requested_by
FROM public.projection_instance ORDER BY number
"""


@pytest.fixture
def database(env: Ground, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with an empty registry; nobody waits long in it."""
    monkeypatch.setattr(undo_preview, "_WAIT_S", 0.5)
    with psycopg.connect(env.conninfo) as connection:
        ensure_registry(connection.cursor())
    return env.conninfo


def preview(
    conninfo: str, change: Change = "undo", account: str = "admin"
) -> UndoPreview | PreviewProgress:
    """What the API finds."""

    async def asked(db: Database) -> UndoPreview | PreviewProgress:
        return await UndoPreviews(db).preview(JOB, change, account, "/undo/7")

    return ask(conninfo, asked)


def requests(conninfo: str) -> list[tuple[Any, ...]]:
    """The registry."""
    with psycopg.connect(conninfo) as connection:
        return connection.execute(SELECT).fetchall()


def build(
    conninfo: str,
    state: str,
    *,
    result: dict[str, Any] | None = None,
    ago: str = "1 second",
    failure: str | None = None,
) -> None:
    """What the builder leaves in every row."""
    step = "replaying" if state == "building" else None
    is_ready = result is not None
    execute(conninfo, BUILD, state, step, is_ready, ago, result and Jsonb(result), failure)


def test_a_preview_that_takes_long_is_told_where_it_is(database: str) -> None:
    """Whoever asks again finds the one under way, and no other is requested."""
    first = preview(database)
    build(database, "building")
    second = preview(database, account="zoe")

    assert requests(database) == [(1, "preview", "building", ACCEPTED.job_id, None, "admin")]
    assert isinstance(first, PreviewProgress)
    assert (first.state, first.step, first.records_total) == ("requested", None, 0)
    assert isinstance(second, PreviewProgress)
    assert (second.projection, second.state, second.step) == (1, "building", "replaying")
    assert (second.records_done, second.records_total) == (30, 40)
    assert second.ask_again == "/undo/7?dryRun=true"


def test_undo_and_redo_have_previews_of_their_own(database: str) -> None:
    """One is of the audience without the job, the other of that with it."""
    preview(database, "undo")
    preview(database, "redo")

    assert [row[3:5] for row in requests(database)] == [
        (ACCEPTED.job_id, None),
        (None, ACCEPTED.job_id),
    ]


def test_those_who_ask_at_one_instant_share_one(database: str) -> None:
    """However many connections they ask over."""

    async def asked(db: Database) -> None:
        previews = UndoPreviews(db)
        await asyncio.gather(*(previews.preview(JOB, "undo", "admin", "/") for _ in range(6)))

    ask(database, asked)

    assert len(requests(database)) == 1


def test_what_the_builder_found_is_answered(database: str) -> None:
    """In the words of the other answers, and all of its numbers."""
    preview(database)
    build(database, "ready", result=RESULT)
    found = preview(database)

    assert isinstance(found, UndoPreview)
    assert (found.restored, found.removed, found.changed_back, found.kept) == (1, 2, 1, 2)
    assert (found.users_before, found.users_after) == (7, 6)
    assert found.id == str(ACCEPTED.job_id)
    assert [kept.changed_by for kept in found.samples.kept] == [str(2**61), None]
    (removed,), (restored,) = found.samples.removed, found.samples.restored
    assert removed.user == {"firstName": "Ada", "attributes": {"tier": 1}}
    assert restored.user == {"firstName": "Eve", "lastActiveDateStr": "06/28/2016 12:00:00 AM GMT"}
    (changed,) = found.samples.changed_back
    assert (changed.before, changed.after) == ({}, {"smsSubscription": False})
    assert found.later_jobs[0].id == str(2**61)
    assert found.later_jobs[0].before.inserted == 1


def test_a_preview_whose_tables_are_gone_is_still_there(database: str) -> None:
    """For a minute; then it is made again, because the audience has moved on."""
    preview(database)
    build(database, "dropped", result=RESULT)
    assert isinstance(preview(database), UndoPreview)
    build(database, "dropped", result=RESULT, ago="2 minutes")
    assert isinstance(preview(database), PreviewProgress)

    assert [row[2] for row in requests(database)] == ["dropped", "requested"]


def test_a_preview_that_failed_says_why_and_is_made_again(database: str) -> None:
    """Whoever waits for it is told; whoever asks then begins another."""

    async def asked(db: Database) -> None:
        asking = asyncio.create_task(UndoPreviews(db).preview(JOB, "undo", "admin", "/"))
        await asyncio.to_thread(wait_until, lambda: requests(database), 10)
        await asyncio.to_thread(build, database, "failed", failure="the disk is full")
        with pytest.raises(IngestError, match="the disk is full") as refused:
            await asking
        assert status_of(type(refused.value)) == 409

    ask(database, asked)
    preview(database)

    assert [row[2] for row in requests(database)] == ["failed", "requested"]


def test_without_tables_there_is_nothing_to_compare_with(env: Ground) -> None:
    """And nothing is left behind."""
    with pytest.raises(IngestError) as refused:
        preview(env.conninfo)
    assert status_of(type(refused.value)) == 503


def test_a_service_that_stops_answers_at_once(database: str, monkeypatch: Any) -> None:
    """Nobody holds it up who waits for a preview."""
    monkeypatch.setattr(undo_preview, "_WAIT_S", 3600)

    async def asked(db: Database) -> UndoPreview | PreviewProgress:
        previews = UndoPreviews(db)
        asking = asyncio.create_task(previews.preview(JOB, "undo", "admin", "/"))
        await asyncio.sleep(0)
        previews.close()
        return await asking

    assert isinstance(ask(database, asked), PreviewProgress)
