"""A log that is moved while an installation runs: started, waited for, looked at."""

from __future__ import annotations

import os
import random
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from schemas.clients.kafka import make_producer
from schemas.codec import codec
from schemas.events import UserRow
from schemas.log.topics import partition_of
from tests.support.clients.command import ended
from tests.support.clients.single_users import ANA, added, define, delete, modify
from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.models.verdict import select
from tests.support.servers.surroundings import Ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import subprocess

    from tests.support.servers.rig import Rig

LETTERS = "/vpns/api/v1/admin/dead-letters"
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
TIMEOUT_S = 240
USERS = """
SELECT key, first_name, last_name, email, mobile_number, country, state, last_active_date,
       sms_subscription, attributes, created_at, modified_at, job_id, record_number
FROM users ORDER BY key
"""
JOBS = """
SELECT job_id, mode, state, lines, inserted, updated, unchanged, rejected, started_at, finished_at
FROM jobs ORDER BY job_id
"""
LINES = "SELECT * FROM rejections ORDER BY job_id, record_number"
SOURCES = "SELECT * FROM sources ORDER BY source"


def rekey(rig: Rig, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator does; what it printed."""
    return ended(rig.env.environ, "rekey", "--yes", *options)


def seen(env: Ground) -> list[list[dict[str, Any]]]:
    """What readers see of everything but ids."""
    return [select(env, query) for query in (USERS, JOBS, LINES, SOURCES)]


def moved(env: Ground, partitions: int, version: int = 2) -> Ground:
    """The same ground for readers of the log where it is now."""
    where = {"ROLLCALL_PARTITIONS": str(partitions), "ROLLCALL_LOG_VERSION": str(version)}
    return Ground({**env.environ, **where}, env.surroundings)


def start_all_again(rig: Rig) -> None:
    """Kill the services, and start them with the settings that they had."""
    for service in (rig.api, rig.publisher, rig.processors[0]):
        service.kill()
    rig.restart_processor()
    rig.restart_publisher()
    rig.restart_api()


def partitions_of_tables(env: Ground) -> int:
    """How many partitions the users are in."""
    return select(env, "SELECT count(*) AS n FROM user_leaves")[0]["n"]


def jobs_of(rig: Rig) -> None:
    """Jobs of every mode, with rejections of every kind, and one that is undone."""
    chance = random.Random(5)
    rig.run(tidy_csv(range(300)))
    rig.run(tidy_csv(range(100, 150), word="b") + tidy_csv([120], word="c"), "upsert")
    undone = rig.run(tidy_csv(range(140, 320), word="d"), "upsert")
    rig.run(dirty_csv(chance, 150, keys=60), "insert")
    rig.run(tidy_csv([*range(50, 250), 60, 61]), "delsert")
    rig.run(dirty_csv(chance, 400, keys=100), "upsert")
    rig.run(b"Email,Country\nuser60@example.com,India\nnobody@example.com,India\n", "upsert")
    wait_until(lambda: rig.client.change("undo", int(undone["id"])).is_success, 60)
    rig.client.wait_state(int(undone["id"]), "REVERTED")


def singles_of(rig: Rig) -> int:
    """Attributes, writes of the API by id, and other producers' records; how many are dead."""
    assert define(rig.client, "tier").status_code == 200
    users = [
        added(rig.client, ANA | {"email": f"ana{at}@example.org", "attributes": {"tier": "gold"}})
        for at in range(6)
    ]
    assert modify(rig.client, users[0], {"state": "Goa"}).status_code == 200
    assert delete(rig.client, users[1]).status_code == 200
    rig.run(b"Email,Tier\nana2@example.org,silver\nana3@example.org,\n", "upsert")
    send(
        rig.env,
        *(producer_row(f"kim{at}@example.org") for at in range(20)),
        producer_row("kim3@example.org", first_name="Other"),
        producer_row("kim4@example.org", mode="delete"),
        producer_row("kim5@example.org", mode="insert"),  # dead: it is known
        producer_row("kim6@example.org", user_id=1 << 50),  # dead: nobody has that id
        producer_row("kim7@example.org", attributes={"tear": "gold"}),  # dead: no such attribute
    )
    producer = make_producer(rig.env.settings.kafka)
    for key, value in (
        (b"x", b"no event"),
        (b"lee", codec.encode(producer_row("kim@example.org"))),
    ):
        producer.produce(rig.env.settings.topics.user_events.name, value, key, 0)
    assert producer.flush(60) == 0
    return 5


def producer_row(
    key: str,
    *,
    mode: Any = "upsert",
    first_name: str = "Kim",
    user_id: int | None = None,
    attributes: dict[str, str | None] | None = None,
) -> UserRow:
    """A row of another producer, whole but for what is named."""
    return UserRow(
        event_id=f"{mode} {first_name} {key}",
        mode=mode,
        key=key,
        first_name=first_name,
        last_name="Lee",
        email=key,
        country="Japan",
        last_active_date=date(2026, 7, 1),
        attributes=attributes or {},
        present=0b1010111,
        occurred_at=NOW,
        source="crm",
        user_id=user_id,
    )


def send(env: Ground, *rows: UserRow) -> None:
    """Appends rows of another producer, each to the partition of its key."""
    producer = make_producer(env.settings.kafka)
    topic = env.settings.topics.user_events
    for row in rows:
        key = row.key.encode()
        producer.produce(topic.name, codec.encode(row), key, partition_of(key, topic.partitions))
    assert producer.flush(60) == 0


def start_with_key(rig: Rig, key: str) -> None:
    """Start the services, which have ended, with another key."""
    wait_until(
        lambda: not any(service.is_running for service in rig.services.started),
        60,
        saying="all services have ended",
    )
    for service in rig.services.started:
        assert service.process.returncode == os.EX_CONFIG
        assert f'made for the reconciliation key \\"{key}\\"' in service.log_text()
    setting = {"ROLLCALL_RECONCILIATION_KEY": key}
    rig.services.environ = {**rig.services.environ, **setting}
    rig.env = Ground({**rig.env.environ, **setting}, rig.env.surroundings)
    rig.services.started.clear()
    rig.restart_processor()
    rig.restart_publisher()
    rig.restart_api()
