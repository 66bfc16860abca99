"""Alarms of two API processes on one real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.app.startup import OWN_TABLES
from ingest_api.notices.alarms import PATIENCE_S, Alarms
from ingest_api.postgres.own_tables import make_own_tables
from tests.support.data.read_model_rows import ask

if TYPE_CHECKING:
    from ingest_api.postgres.pool import Database
    from tests.support.servers.surroundings import Ground

WRONG = ["Kafka doesn't answer."]


def test_an_alarm_is_told_once_and_so_is_its_end(env: Ground) -> None:
    """After a minute, however many processes see it, and however long it lasts."""

    async def told(database: Database) -> list[str]:
        await make_own_tables(database, *OWN_TABLES)
        one, other = (Alarms(database, dict[str, list[str]], public_url="") for _ in range(2))  # pyright: ignore[reportArgumentType] - nobody asks it
        found: list[str] = []
        for alarms, reasons, now_s in (
            (one, WRONG, 0.0),
            (other, WRONG, 1.0),
            (one, WRONG, PATIENCE_S - 1),
            (one, WRONG, PATIENCE_S),
            (other, WRONG, PATIENCE_S + 1),
            (one, [], PATIENCE_S + 2),
            (other, WRONG, PATIENCE_S + 3),
            (other, [], PATIENCE_S + 4),
            (one, WRONG, PATIENCE_S + 5),
        ):
            await alarms.see("kafka", reasons, now_s)
            rows = await database.select("SELECT type FROM rollcall_api.notice ORDER BY created_at")
            found = [row["type"] for row in rows]
            assert ("alarm.raised" in found) == (now_s >= PATIENCE_S)
        return found

    assert ask(env.conninfo, told) == ["alarm.raised", "alarm.cleared"]
