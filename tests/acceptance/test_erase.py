"""A person's data is taken out of the log and of every table, and everything else stays."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from psycopg import sql

from schemas import codec
from schemas.events import UserRow
from schemas.topics import Topic, partition_of
from tests.files import csv_of, tidy_csv
from tests.log_reading import read_topic
from tests.services import CHECKOUT
from tests.verdict import select
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.rig import Rig
    from tests.surroundings import Ground

KEY = "erika.mustermann@example.org"
_NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
_TIMEOUT_S = 240


def erase(rig: Rig, key: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator does; what it printed."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "deploy", "erase", key, "--yes", *options],
        cwd=CHECKOUT,
        env={**rig.env.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


def history_of(rig: Rig) -> None:
    """Jobs of every mode with the person in them, beside others, and other producers' events."""
    rig.run(tidy_csv(range(300)) + _line("Erika"))
    rig.run(tidy_csv(range(100, 150), word="b") + _line("Eri") + _line("ERIKA"), "upsert")
    rig.run(tidy_csv(range(290, 310)) + _line("Again"))
    bad = csv_of(
        {"Email": f" {KEY.upper()} ", "Last Active Date": "02/30/2020"}, {"Email": "x@y.z"}
    )
    rig.run(bad, "upsert")
    _send(rig.env, _row(first_name="Foreign"), _row(mode="insert"), _row(mode="delete"))
    _send(rig.env, _row(mode="insert", first_name="Back"))
    rig.run(tidy_csv(range(50, 250)) + _line("New") + _line("Twice"), "delsert")
    rig.run(tidy_csv(range(40, 60), word="c") + _line("New"), "upsert")
    wait_until(lambda: _dead_letters(rig), 20, saying="the foreign insert of a known key is dead")


def _line(first_name: str) -> bytes:
    return f"{first_name},Mustermann,{KEY},+4915112345678,Germany,,01/02/2024\n".encode()


def _row(*, mode: Any = "upsert", first_name: str = "Kim") -> UserRow:
    return UserRow(
        event_id=f"{mode} {first_name}",
        mode=mode,
        key=KEY,
        first_name=first_name,
        last_name="Lee",
        email=KEY,
        country="Japan",
        last_active_date=date(2026, 7, 1),
        present=0b1010111,
        occurred_at=_NOW,
        source="crm",
    )


def _send(env: Ground, *rows: UserRow) -> None:
    producer = Producer(env.settings.kafka)
    partitions = env.settings.topics.user_events.partitions
    for row in rows:
        key = row.key.encode()
        topic = env.settings.topics.user_events.name
        producer.produce(topic, codec.encode(row), key, partition_of(key, partitions))
    assert producer.flush(20) == 0


def _dead_letters(rig: Rig) -> int:
    return sum(map(len, read_topic(rig.env.settings, rig.env.settings.topics.dead_letters)))


_USERS = "SELECT * FROM users WHERE key <> '{key}' ORDER BY key"
_JOBS = """
SELECT job_id, mode, state, lines, inserted, updated, unchanged, rejected, started_at, finished_at
FROM jobs ORDER BY job_id
"""
_LINES = "SELECT job_id, record_number, line FROM rejections ORDER BY job_id, record_number"


def seen(env: Ground) -> list[list[dict[str, Any]]]:
    """What readers see of everything but the person, ids and times included."""
    return [select(env, query.format(key=KEY)) for query in (_USERS, _JOBS, _LINES)]


def topics_with(env: Ground, text: str) -> list[str]:
    """The topics of the log, of any version, in which the bytes of this text stand."""
    admin = AdminClient({"bootstrap.servers": env.surroundings.bootstrap_servers})
    prefix = env.environ["ROLLCALL_TOPIC_PREFIX"]
    topics = [
        Topic(name, len(found.partitions), {})
        for name, found in admin.list_topics(timeout=10).topics.items()
        if name.startswith(prefix)
    ]
    return [
        topic.name
        for topic in topics
        for records in read_topic(env.settings, topic)
        for record in records
        if text.encode() in ((record.key() or b"") + b"\0" + (record.value() or b"")).lower()
    ]


def tables_with(env: Ground, text: str) -> list[str]:
    """The tables of the database, of any schema, in which this text stands."""
    query = """
    SELECT format('%I.%I', nspname, relname) FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema')
      AND relpersistence <> 't'
    """
    found: list[str] = []
    with psycopg.connect(env.conninfo) as connection:
        for (name,) in connection.execute(query).fetchall():
            statement = sql.SQL("SELECT count(*) FROM {} AS a WHERE lower(a::text) LIKE {}")
            table = sql.Identifier(*name.split("."))
            row = connection.execute(statement.format(table, sql.Literal(f"%{text}%"))).fetchone()
            found += [name] * bool(row and row[0])
    return found


def test_a_user_is_erased_while_the_services_run(rig: Rig) -> None:
    """Log and tables say nothing of the person; ids, counts and times of all others stay."""
    history_of(rig)
    assert tables_with(rig.env, KEY)
    assert topics_with(rig.env, KEY)
    before = seen(rig.env)
    done = erase(rig, KEY.upper())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The key stands in no record of the log and in no row of any table." in done.stdout
    assert seen(rig.env) == before
    assert topics_with(rig.env, "mustermann") == []
    assert tables_with(rig.env, "mustermann") == []
    assert not select(rig.env, f"SELECT FROM users WHERE key = '{KEY}'")
    rig.wait_ready()
    job = rig.run(tidy_csv(range(400, 420)) + _line("Once more"))
    assert (job["inserted"], job["rejected"]) == (21, 0)
    answer = rig.client.http.get("/vpns/api/v1/batchinfo/status").json()
    assert answer["total"] == len(before[1]) + 1
    rig.services.assert_running()
