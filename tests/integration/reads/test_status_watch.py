"""Jobs that are watched: each change, no more often than promised, one question for all."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ingest_api.errors import IngestError
from ingest_api.jobs.server_sent_events import event_texts
from ingest_api.jobs.status_watch import JobWatch
from ingest_api.jobs.statuses import JobReader
from ingest_api.jobs.views import job_status
from ingest_api.postgres.pool import Database
from ingest_api.web.responses import refusal
from tests.support.clients.answers import sent
from tests.support.data.read_model_rows import ACCEPTED, job, ledger_of, make_read_model

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.jobs.views import JobView
    from tests.support.servers.surroundings import Ground

OPEN = """
INSERT INTO model.job (job_id, mode, lines, sha256, accepted_at, accepted_by, started_at)
VALUES (%s, 'insert', 10, 'aa', now(), 'admin', now())
"""
START = """
INSERT INTO model.job_partition (job_id, partition, opened_offset, opened_at)
VALUES (%s, 0, 0, now())
"""
GROW = "UPDATE model.job_partition SET inserted = inserted + 1"
TOUCH = "UPDATE model.job SET version = version + 1"
FINISH = "UPDATE model.job SET state = 'COMPLETED', finished_at = now()"
LEDGER = ledger_of(ACCEPTED, job(7))


class CountingReader(JobReader):
    """Notes when it was asked, and for how many jobs."""

    def __init__(self, db: Database) -> None:
        super().__init__(db, LEDGER)
        self.database = db
        self.asked: list[tuple[float, int]] = []

    async def select_views(self, jobs: Sequence[LedgerJob]) -> list[JobView]:
        """As the parent does."""
        self.asked.append((time.monotonic(), len(jobs)))
        return await super().select_views(jobs)


class Scene:
    """A watch on a real read model, and the processor's stand-in."""

    def __init__(self, db: Database, processor: psycopg.AsyncConnection[Any], most: int) -> None:
        self.reader = CountingReader(db)
        self.watch = JobWatch(self.reader, most_watchers=most)
        self._processor = processor

    async def change(self, *statements: str) -> None:
        """What the processor does, in one transaction."""
        async with self._processor.transaction():
            for statement in statements:
                values = [ACCEPTED.job_id] if "%s" in statement else None
                await self._processor.execute(statement.encode(), values)

    def views(self, index: int = 0) -> AsyncGenerator[JobView | None]:
        """Those of a job."""
        return self.watch.views(LEDGER.jobs[index])


def play(env: Ground, scene: Callable[[Scene], Awaitable[None]], *, most: int = 10) -> None:
    """Run a scene to its end, within a minute."""
    make_read_model(env.conninfo)

    async def run() -> None:
        db = Database(env.conninfo)
        await db.open()
        try:
            async with (
                asyncio.timeout(60),
                await psycopg.AsyncConnection.connect(env.conninfo, autocommit=True) as processor,
            ):
                await scene(Scene(db, processor, most))
        finally:
            await db.close()

    asyncio.run(run())


def test_each_change_is_shown_up_to_the_last(env: Ground) -> None:
    """From before a processor begins; what changes nothing that is shown is not."""

    async def scene(on: Scene) -> None:
        views = on.views()
        seen: list[tuple[str, int]] = []
        for statements in ((OPEN, START), (GROW,), (TOUCH,), (GROW, TOUCH), (FINISH,)):
            if TOUCH in statements[:1]:
                await on.change(*statements)
                continue
            view = await anext(views)
            assert view is not None
            seen.append((sent(job_status(view))["state"], sent(job_status(view))["inserted"]))
            await on.change(*statements)
        seen += [
            (sent(job_status(view))["state"], sent(job_status(view))["inserted"])
            async for view in views
            if view
        ]
        assert seen == [
            ("ACCEPTED", 0),
            ("PROCESSING", 0),
            ("PROCESSING", 1),
            ("PROCESSING", 2),
            ("COMPLETED", 2),
        ]

    play(env, scene)


def test_however_many_watch_postgres_is_asked_once(env: Ground) -> None:
    """For all jobs together, at most five times a second, and not at all when nobody watches."""

    async def scene(on: Scene) -> None:
        await on.change(OPEN, START)
        watchers = [on.views(number % 2) for number in range(10)]
        assert all([(await anext(views)) is not None for views in watchers])
        begin = len(on.reader.asked)
        waiting = [asyncio.ensure_future(anext(views)) for views in watchers]
        started = time.monotonic()
        while (asked := len(on.reader.asked) - begin) < 6:  # noqa: ASYNC110 - reads tell nobody
            await asyncio.sleep(0.01)
        # The first may be asked at once, and one may have been under way.
        assert asked <= (time.monotonic() - started) / 0.2 + 2
        assert {jobs for _, jobs in on.reader.asked[begin:]} == {2}
        await on.change(GROW)
        shown = await asyncio.gather(*waiting[::2])
        assert [view and sent(job_status(view))["inserted"] for view in shown] == [1] * 5
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        for views in watchers:
            await views.aclose()
        await asyncio.sleep(0.3)
        begin = len(on.reader.asked)
        await asyncio.sleep(0.6)
        assert len(on.reader.asked) == begin

    play(env, scene)


def test_a_watcher_is_shown_at_most_five_changes_a_second(env: Ground) -> None:
    """The last of those that come faster."""

    async def scene(on: Scene) -> None:
        await on.change(OPEN, START)
        times = [time.monotonic()]

        async def watch() -> None:
            async for view in on.views():
                assert view is not None
                times.append(time.monotonic())
                if view.is_ended:
                    assert sent(job_status(view))["inserted"] == 100

        watching = asyncio.create_task(watch())
        for _ in range(100):
            await on.change(GROW)
            await asyncio.sleep(0.01)
        await on.change(FINISH)
        await watching
        # The first is shown without a wait, so one more may be shown than there were pauses.
        assert len(times) - 2 <= (times[-1] - times[0]) / 0.2 + 1

    play(env, scene)


def test_a_quiet_job_is_still_there(env: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment is sent when nothing has changed for a while, also while Postgres is gone."""
    monkeypatch.setattr("ingest_api.jobs.status_watch._QUIET_S", 0.3)

    async def scene(on: Scene) -> None:
        await on.change(OPEN, START)
        texts = event_texts(on.views(), None)
        assert await anext(texts) == b"retry: 2000\n\n"
        assert (await anext(texts)).startswith(b'id: 1\ndata: {"dataType":"AUDIENCE_MEMBERS",')
        assert [await anext(texts) for _ in range(2)] == [b": still there\n\n"] * 2
        await on.reader.database.close()
        assert [await anext(texts) for _ in range(3)] == [b": still there\n\n"] * 3
        await texts.aclose()

    play(env, scene)


def test_who_comes_again_is_not_told_twice(env: Ground) -> None:
    """What was seen last is left out, whatever else is sent."""

    async def scene(on: Scene) -> None:
        await on.change(OPEN, START)
        for seen in ("1", "0", "weird"):
            texts = event_texts(on.views(), seen)
            await anext(texts)
            waiting = asyncio.ensure_future(anext(texts))
            if seen == "1":
                await asyncio.sleep(0.5)
                assert not waiting.done()
                await on.change(GROW, TOUCH)
            assert (await waiting).startswith(b"id: 2\n")
            await texts.aclose()

    play(env, scene)


def test_watchers_are_bounded(env: Ground) -> None:
    """The next one is asked to come again; each that leaves makes room."""

    async def scene(on: Scene) -> None:
        with on.watch.slot():
            with (
                on.watch.slot(),
                pytest.raises(IngestError) as caught,
                on.watch.slot(),
            ):
                pass
            answer = refusal(caught.value)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            with on.watch.slot():
                pass

    play(env, scene, most=2)


def test_the_end_of_the_process_ends_every_watch(env: Ground) -> None:
    """At once, and nobody may begin."""

    async def scene(on: Scene) -> None:
        views = [on.views(0), on.views(1)]
        for each in views:
            await anext(each)
        waiting = [asyncio.ensure_future(anext(each, None)) for each in views]
        await asyncio.sleep(0.3)
        on.watch.close()
        assert await asyncio.gather(*waiting) == [None, None]
        with pytest.raises(IngestError), on.watch.slot():
            pass

    play(env, scene)
