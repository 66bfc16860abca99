"""A person's data is taken out of the log and of every table, and everything else stays."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from psycopg import sql

from deploy.log_migration import engine
from deploy.log_migration.erase import erase as moving
from processor.verification.verify import verify_active
from schemas.clients.kafka import make_producer
from schemas.codec import codec
from schemas.events import UserRow
from schemas.log.topics import Topic, partition_of
from tests.support.clients.command import ended, started
from tests.support.data.files import csv_of, tidy_csv
from tests.support.data.log_reading import read_topic
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import subprocess

    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Ground

KEY = "erika.mustermann@example.org"
_NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def erase(rig: Rig, key: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator does; what it printed."""
    return ended(rig.env.environ, "erase", key, "--yes")


def history_of(rig: Rig) -> None:
    """Jobs of every mode with the person in them, beside others, and other producers' events."""
    rig.run(tidy_csv(range(300)) + _line("Erika"))
    rig.run(tidy_csv(range(100, 150), word="b") + _line("Eri") + _line("ERIKA"), "upsert")
    rig.run(tidy_csv(range(290, 310)) + _line("Again"))
    bad = csv_of(
        {"Email": f" {KEY.upper()} ", "Last Active Date": "02/30/2020"}, {"Email": "x@y.z"}
    )
    rig.run(bad, "upsert")
    _send(rig.env, _row(first_name="Producer"), _row(mode="insert"), _row(mode="delete"))
    _send(rig.env, _row(mode="insert", first_name="Back"))
    rig.run(tidy_csv(range(50, 250)) + _line("New") + _line("Twice"), "delsert")
    rig.run(tidy_csv(range(40, 60), word="c") + _line("New"), "upsert")
    rig.run(tidy_csv(range(45, 55)) + _line("Gone") + _line("Unknown"), "delete")
    rig.run(tidy_csv(range(50, 60)) + _line("Kept") + _line("Passed over"), "ignore")
    rig.run(tidy_csv(range(40, 50), word="d") + _line("Other"), "update")
    wait_until(lambda: _dead_letters(rig), 20, saying="the insert of a known key is dead")


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
    producer = make_producer(env.settings.kafka)
    partitions = env.settings.topics.user_events.partitions
    for row in rows:
        key = row.key.encode()
        topic = env.settings.topics.user_events.name
        producer.produce(topic, codec.encode(row), key, partition_of(key, partitions))
    assert producer.flush(60) == 0


def _dead_letters(rig: Rig) -> int:
    return sum(map(len, read_topic(rig.env.settings, rig.env.settings.topics.dead_letters)))


_USERS = "SELECT * FROM users WHERE key <> '{key}' ORDER BY key"
_JOBS = """
SELECT job_id, mode, state, lines, inserted, updated, unchanged, rejected, deleted,
    started_at, finished_at
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
        for name, found in admin.list_topics(timeout=60).topics.items()
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
    assert done.returncode == 0, done.stdout
    assert "The key stands in no record of the log and in no row of any table." in done.stdout
    assert seen(rig.env) == before
    assert topics_with(rig.env, "mustermann") == []
    assert tables_with(rig.env, "mustermann") == []
    assert not select(rig.env, f"SELECT FROM users WHERE key = '{KEY}'")
    rig.wait_ready()
    assert verify_active(rig.env.settings).is_proven
    job = rig.run(tidy_csv(range(400, 420)) + _line("Once more"))
    assert (job["inserted"], job["rejected"]) == (21, 0)
    answer = rig.client.http.get("/vpns/api/v1/batchinfo/status").json()
    assert answer["total"] == len(before[1]) + 1
    rig.services.assert_running()


def killed_at(rig: Rig, stage: str) -> None:
    """Start the command, and kill -9 it when it says that it has come to this stage."""
    with started(rig.env.environ, "erase", KEY, "--yes") as command:
        assert any(line.startswith(stage) for line in command.lines)


def test_a_killed_move_changes_nothing_and_is_started_over(rig: Rig) -> None:
    """Killed while it copies, while the log is held, and while it compares."""
    history_of(rig)
    before = seen(rig.env)
    for stage in ("Copying", "Making"):
        killed_at(rig, stage)
        assert seen(rig.env) == before
        rig.run(tidy_csv([1], word="x"), "upsert")
        before = seen(rig.env)
    for stage in ("Holding", "Comparing"):
        killed_at(rig, stage)
        assert seen(rig.env) == before
    wait_until(lambda: rig.client.upload(tidy_csv([1])).status_code == 503, 20)
    refused = rig.client.upload(tidy_csv([1]))
    assert refused.json()["message"] == "The log is being moved: nothing was kept, try again"
    assert "Retry-After" in refused.headers
    done = erase(rig, KEY)
    assert done.returncode == 0, done.stdout
    assert seen(rig.env) == before
    assert (topics_with(rig.env, "mustermann"), tables_with(rig.env, "mustermann")) == ([], [])
    rig.wait_ready()
    rig.run(tidy_csv([500]))
    rig.services.assert_running()


def test_a_move_killed_after_the_switch_is_completed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables are new, the log does not say so yet: everybody waits, and goes on then."""
    history_of(rig)
    before = seen(rig.env)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "resume", die)
    with pytest.raises(KeyboardInterrupt):
        moving.erase(rig.env.settings, KEY, keeps_old=False, report=lambda _text: None)
    assert seen(rig.env) == before
    rig.processors[0].kill()
    rig.restart_processor()
    assert rig.client.upload(tidy_csv([1])).status_code == 503
    done = erase(rig, KEY)
    assert (done.returncode, seen(rig.env)) == (0, before), done.stdout
    assert (topics_with(rig.env, "mustermann"), tables_with(rig.env, "mustermann")) == ([], [])
    rig.wait_ready()
    rig.run(tidy_csv([500]))
    rig.services.assert_running()


def test_the_builder_goes_on_in_the_new_log(rig: Rig) -> None:
    """Tables made from the copy once more are the live ones; a job erased from can be undone."""
    rig.services.builder()
    rig.run(tidy_csv(range(50)))
    job = rig.run(tidy_csv(range(40, 60), word="b") + _line("Erika"), "upsert")
    before = seen(rig.env)[0]
    done = erase(rig, KEY)
    assert done.returncode == 0, done.stdout
    rig.wait_ready()
    for word in ("undo", "redo"):
        wait_until(lambda word=word: rig.client.change(word, int(job["id"])).is_success, 60)
        wait_until(lambda: not _is_at_work(rig), 60, saying="the builder has switched")
        users = 50 if word == "undo" else 60
        wait_until(lambda users=users: len(seen(rig.env)[0]) == users, 60, saying="it is done")
    assert seen(rig.env)[0] == before
    status = rig.client.status(int(job["id"]))
    assert (status["inserted"], status["updated"]) == (11, 10)
    rig.services.assert_running()


def _is_at_work(rig: Rig) -> bool:
    query = "SELECT FROM projection_instance WHERE state IN ('requested', 'building')"
    return bool(select(rig.env, query))


def test_what_cannot_be_erased_changes_nothing(rig: Rig) -> None:
    """An unknown key, a move by another process, an unfinished job: each is refused, and why."""
    rig.run(tidy_csv(range(50)) + _line("Erika"))
    before = seen(rig.env)
    nobody = erase(rig, "nobody@example.org")
    assert (nobody.returncode, "nothing of a user" in nobody.stdout) == (1, True), nobody.stdout
    with psycopg.connect(rig.env.conninfo, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('rollcall:log-move', 0))")
        second = erase(rig, KEY)
    assert (second.returncode, "by another process" in second.stdout) == (1, True), second.stdout
    assert seen(rig.env) == before
    rig.run(tidy_csv([500]))
    rig.services.assert_running()


def test_erasing_again_and_again_follows_the_log(rig: Rig) -> None:
    """Each move is of the log that the one before has left; a service started anew finds it."""
    rig.run(tidy_csv(range(50)) + _line("Erika"))
    for number in range(3):
        done = erase(rig, f"user{number}@example.com")
        assert done.returncode == 0, done.stdout
        assert f"topics of version {number + 2}" in done.stdout
    rig.wait_ready()
    for service in (rig.api, rig.publisher, rig.processors[0]):
        service.kill()
    rig.restart_processor()
    rig.restart_publisher()
    rig.restart_api()
    assert rig.run(tidy_csv(range(5)))["inserted"] == 3
    prefix = rig.env.environ["ROLLCALL_TOPIC_PREFIX"]
    admin = AdminClient({"bootstrap.servers": rig.env.surroundings.bootstrap_servers})
    ours = {name for name in admin.list_topics(timeout=60).topics if name.startswith(prefix)}
    kept = {f"{prefix}job-events{suffix}" for suffix in ("", ".2", ".3")}
    assert ours == kept | {topic.name for topic in rig.env.settings.at_version(4).topics.all()}
