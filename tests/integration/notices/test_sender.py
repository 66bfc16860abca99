"""The sender of notices on a real database: nothing stops it, or what is for others."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final

import pytest

from ingest_api.app.startup import OWN_TABLES
from ingest_api.errors import ConflictError
from ingest_api.notices import sender
from ingest_api.notices.sender import Sender
from ingest_api.notices.settings import NoticeSettings
from ingest_api.notices.store import NoticeStore
from ingest_api.postgres.own_tables import make_own_tables
from tests.support.data.read_model_rows import ask, execute
from tests.support.servers.scripted_server import Answer, scripted_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ingest_api.postgres.pool import Database
    from tests.support.servers.surroundings import Ground

OWNER: Final = "https://issuer.example.org/ada"
SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDp2ZMbLO3yDc="
BODY: Final = '{"timestamp": "2026-01-02T03:04:05+00:00", "data": {"requestedBy": "ada"}}'
ADD_WEBHOOK: Final = """
INSERT INTO rollcall_api.webhook (owner, url, secret, events, own_jobs)
VALUES (%s, %s, %s, '{}', false)
"""
ADD_DELIVERY: Final = """
WITH notice AS (
    INSERT INTO rollcall_api.notice (id, type, body)
    VALUES (gen_random_uuid(), 'webhook.test', %s) RETURNING id
)
INSERT INTO rollcall_api.delivery (webhook_id, notice_id, attempts, due_at)
SELECT webhook.id, notice.id, %s, now() - interval '1 minute'
FROM notice, rollcall_api.webhook WHERE url = %s
"""
TRIED: Final = """
SELECT url, attempts, answer, due_at > now() AS is_later FROM rollcall_api.delivery
JOIN rollcall_api.webhook ON webhook.id = webhook_id
WHERE attempts > 0 ORDER BY delivery.id
"""


def on_tables(env: Ground, work: Callable[[Database], Awaitable[None]]) -> None:
    """Do it with a database that has the API's own tables."""

    async def run(database: Database) -> None:
        await make_own_tables(database, *OWN_TABLES)
        await work(database)

    ask(env.conninfo, run)


async def sent(database: Database, settings: NoticeSettings, number: int) -> list[dict[str, Any]]:
    """The deliveries that were tried, once there are so many; the sender has not ended."""
    task = asyncio.create_task(Sender(database, settings).run())
    try:
        while not task.done():
            rows = await database.select(TRIED)
            if len(rows) >= number:
                return rows
            await asyncio.sleep(0.1)
        task.result()
        pytest.fail("the sender has ended")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_notice_that_can_not_be_sent_stops_nobody(env: Ground) -> None:
    """Whatever the fault is: the try is noted, and what is for others is delivered."""

    async def work(database: Database) -> None:
        with scripted_server({"/hook": [Answer()]}) as server:
            good, bad = f"{server.url}/hook", "https://example.org/hook"
            execute(env.conninfo, ADD_WEBHOOK, OWNER, bad, "whsec_a")
            execute(env.conninfo, ADD_WEBHOOK, OWNER, good, SECRET)
            execute(env.conninfo, ADD_DELIVERY, BODY, 0, bad)
            execute(env.conninfo, ADD_DELIVERY, BODY, 0, good)
            settings = NoticeSettings(webhooks_allow_private="yes")
            failed, taken = await sent(database, settings, 2)
        assert (failed["url"], failed["attempts"], failed["is_later"]) == (bad, 1, True)
        assert "Error" in failed["answer"]
        assert (taken["url"], taken["is_later"]) == (good, None)

    on_tables(env, work)


def test_who_did_not_take_a_notice_stands_behind_all_others(env: Ground) -> None:
    """With all that is for him, so that nobody waits for who never answers."""

    async def work(database: Database) -> None:
        with scripted_server({"/bad": [Answer(500)], "/good": [Answer()]}) as server:
            bad, good = f"{server.url}/bad", f"{server.url}/good"
            for url in (bad, good):
                execute(env.conninfo, ADD_WEBHOOK, OWNER, url, SECRET)
            execute(env.conninfo, ADD_DELIVERY, BODY, 1, bad)
            for _ in range(20):
                execute(env.conninfo, ADD_DELIVERY, BODY, 0, bad)
            execute(env.conninfo, ADD_DELIVERY, BODY, 0, good)
            await sent(database, NoticeSettings(webhooks_allow_private="yes"), 22)
            paths = [each.path for each in server.asked]
        assert "/good" in paths[:4]

    on_tables(env, work)


def test_a_mail_server_that_says_nothing_is_a_try_that_failed(
    env: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many words it would have for each of which it may take its time."""
    monkeypatch.setattr(sender, "_MAIL_S", 0.5)

    async def work(database: Database) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            execute(env.conninfo, ADD_WEBHOOK, OWNER, "mailto:ada@example.org", SECRET)
            execute(env.conninfo, ADD_DELIVERY, BODY, 0, "mailto:ada@example.org")
            url = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
            (tried,) = await sent(database, NoticeSettings(smtp_url=url), 1)
        assert (tried["attempts"], tried["is_later"]) == (1, True)
        assert "not taken within" in tried["answer"]

    on_tables(env, work)


def test_an_account_has_so_many_webhooks_at_most(env: Ground) -> None:
    """Another one still gets its own."""

    async def work(database: Database) -> None:
        store = NoticeStore(database)

        async def add(owner: str) -> None:
            await store.add(owner, "https://example.org/hook", (), own_jobs=False)

        for _ in range(50):
            await add(OWNER)
        with pytest.raises(ConflictError, match="50 webhooks"):
            await add(OWNER)
        await add("https://issuer.example.org/grace")

    on_tables(env, work)
