"""The log moved to one with another number of partitions, and everybody goes on in it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer

from deploy.log_migration import engine
from deploy.log_migration.rekey import rekey as moving
from processor.verification.verify import verify_active
from schemas.codec import codec
from schemas.events import UserRow
from schemas.log.topics import partition_of
from tests.support.checkout import CHECKOUT
from tests.support.clients.single_users import ANA, added, define, delete, modify
from tests.support.data.files import csv_of, dirty_csv, tidy_csv
from tests.support.models.verdict import select
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.servers.surroundings import PARTITIONS, Ground, ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.surroundings import Surroundings

LETTERS = "/vpns/api/v1/admin/dead-letters"
_NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
_TIMEOUT_S = 240
_USERS = """
SELECT key, first_name, last_name, email, mobile_number, country, state, last_active_date,
       sms_subscription, attributes, created_at, modified_at, job_id, record_number
FROM users ORDER BY key
"""
_JOBS = """
SELECT job_id, mode, state, lines, inserted, updated, unchanged, rejected, started_at, finished_at
FROM jobs ORDER BY job_id
"""
_LINES = "SELECT * FROM rejections ORDER BY job_id, record_number"
_SOURCES = "SELECT * FROM sources ORDER BY source"


def rekey(rig: Rig, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator does; what it printed."""
    with started(rig, *options) as process:
        out, _ = process.communicate(timeout=_TIMEOUT_S)
    return subprocess.CompletedProcess(process.args, process.returncode, out)


def started(rig: Rig, *options: str) -> subprocess.Popen[str]:
    """The command, at work."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "deploy", "rekey", "--yes", *options],
        cwd=CHECKOUT,
        env={**rig.env.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def seen(env: Ground) -> list[list[dict[str, Any]]]:
    """What readers see of everything but ids."""
    return [select(env, query) for query in (_USERS, _JOBS, _LINES, _SOURCES)]


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
    _send(
        rig.env,
        *(_row(f"kim{at}@example.org") for at in range(20)),
        _row("kim3@example.org", first_name="Other"),
        _row("kim4@example.org", mode="delete"),
        _row("kim5@example.org", mode="insert"),  # dead: it is known
        _row("kim6@example.org", user_id=1 << 50),  # dead: nobody has that id
        _row("kim7@example.org", attributes={"tear": "gold"}),  # dead: no such attribute
    )
    producer = Producer(rig.env.settings.kafka)
    for key, value in ((b"x", b"no event"), (b"lee", codec.encode(_row("kim@example.org")))):
        producer.produce(rig.env.settings.topics.user_events.name, value, key, 0)
    assert producer.flush(20) == 0
    return 5


def _row(
    key: str,
    *,
    mode: Any = "upsert",
    first_name: str = "Kim",
    user_id: int | None = None,
    attributes: dict[str, str | None] | None = None,
) -> UserRow:
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
        occurred_at=_NOW,
        source="crm",
        user_id=user_id,
    )


def _send(env: Ground, *rows: UserRow) -> None:
    producer = Producer(env.settings.kafka)
    topic = env.settings.topics.user_events
    for row in rows:
        key = row.key.encode()
        producer.produce(topic.name, codec.encode(row), key, partition_of(key, topic.partitions))
    assert producer.flush(20) == 0


def test_a_log_gets_more_partitions_while_the_services_run(rig: Rig) -> None:
    """Jobs of all modes, an undone one: all is as modelled, then and after further jobs."""
    rig.services.builder()
    jobs_of(rig)
    rig.assert_as_modelled()
    before = seen(rig.env)
    done = rekey(rig, "--partitions", "5")
    assert done.returncode == 0, done.stdout
    assert "in its topics of version 2, in 5 partitions" in done.stdout
    assert seen(rig.env) == before
    assert partitions_of_tables(rig.env) == 5
    rig.env = moved(rig.env, 5)
    assert verify_active(rig.env.settings).is_proven
    rig.wait_ready()
    rig.run(tidy_csv(range(200, 500), word="x"), "upsert")
    rig.run(tidy_csv([*range(50), 7]), "delsert")
    rig.run(tidy_csv(range(40, 60)))
    rig.assert_as_modelled()
    undone = select(rig.env, "SELECT job_id FROM jobs WHERE state = 'REVERTED'")[0]["job_id"]
    wait_until(lambda: rig.client.change("redo", undone).is_success, 60)
    rig.client.wait_state(undone, "COMPLETED", "COMPLETED_WITH_ERRORS")
    start_all_again(rig)
    rig.run(tidy_csv(range(30, 70), word="y"), "upsert")
    assert verify_active(rig.env.settings).is_proven
    rig.services.assert_running()


def test_single_writes_and_other_producers_stay_what_they_were(rig: Rig) -> None:
    """What was dead stays dead; who has kept an id finds another one, and goes on by that."""
    rig.run(tidy_csv(range(50)))
    dead = singles_of(rig)
    rig.run(csv_of({"Email": "kim8@example.org"}, {"Email": "kim3@example.org"}), "upsert")
    _send(rig.env, _row("kim9@example.org", mode="delete"))

    def is_read() -> bool:
        (crm,) = select(rig.env, "SELECT dead, deleted FROM sources WHERE source = 'crm'")
        (none,) = select(rig.env, "SELECT dead FROM sources WHERE source IS NULL") or [{"dead": 0}]
        return crm["dead"] + none["dead"] == dead and crm["deleted"] == 2

    wait_until(is_read, 30, saying="all records have been read")
    before = seen(rig.env)
    for number, partitions in enumerate(("1", "4")):
        done = rekey(rig, "--partitions", partitions)
        assert done.returncode == 0, done.stdout
        assert seen(rig.env) == before
        assert verify_active(rig.env.settings).is_proven
        assert f"topics of version {number + 2}" in done.stdout
    rig.wait_ready()
    query = "SELECT id FROM users WHERE key = 'ana0@example.org'"
    (user,) = select(rig.env, query)
    assert modify(rig.client, str(user["id"]), {"state": "Kerala"}).status_code == 200
    assert added(rig.client, ANA | {"email": "new@example.org", "attributes": {"tier": "tin"}})
    assert verify_active(rig.env.settings).is_proven
    rig.services.assert_running()


def test_a_killed_move_changes_nothing_and_is_started_over(rig: Rig) -> None:
    """Killed while it copies, while the log is held, and while it compares."""
    rig.run(tidy_csv(range(100)))
    rig.run(tidy_csv(range(50, 150), word="b"), "upsert")
    before = seen(rig.env)
    for stage in ("Copying", "Holding", "Comparing"):
        with started(rig, "--partitions", "5") as process:
            assert process.stdout is not None
            assert any(line.startswith(stage) for line in process.stdout)
            process.kill()
        assert seen(rig.env) == before
        assert partitions_of_tables(rig.env) == PARTITIONS
    wait_until(lambda: rig.client.upload(tidy_csv([1])).status_code == 503, 20)
    same = rekey(rig, "--partitions", str(PARTITIONS))
    assert (same.returncode, "and 3 partitions already" in same.stdout) == (1, True), same.stdout
    wait_until(rig.client.is_ready, 20)
    rig.run(tidy_csv([200]))
    before = seen(rig.env)
    done = rekey(rig, "--partitions", "2")
    assert (done.returncode, seen(rig.env)) == (0, before), done.stdout
    rig.wait_ready()
    rig.run(tidy_csv([500]))
    rig.env = moved(rig.env, 2)
    rig.assert_as_modelled()


def test_a_move_killed_after_the_switch_is_completed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same command alone, whatever it is asked for then; the log goes on afterwards."""
    rig.run(tidy_csv(range(100)))
    before = seen(rig.env)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "let_go_on", die)
    with pytest.raises(KeyboardInterrupt):
        moving.rekey(rig.env.settings, moving.Wanted(partitions=5), tell=lambda _text: None)
    assert seen(rig.env) == before
    rig.processors[0].kill()
    rig.restart_processor()
    assert rig.client.upload(tidy_csv([1])).status_code == 503
    other = subprocess.run(
        [sys.executable, "-P", "-m", "deploy", "erase", "user1@example.com", "--yes"],
        cwd=CHECKOUT,
        env={**rig.env.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert (other.returncode, "`./rollcall rekey`" in other.stderr) == (1, True), other.stderr
    done = rekey(rig, "--partitions", "4")
    assert (done.returncode, seen(rig.env)) == (0, before), done.stdout
    assert "in its topics of version 2, in 5 partitions" in done.stdout
    assert "was not done" in done.stdout
    rig.wait_ready()
    rig.run(tidy_csv([500]))
    rig.env = moved(rig.env, 5)
    rig.assert_as_modelled()


_KEYLESS = _USERS.replace("SELECT key, ", "SELECT ").replace("ORDER BY key", "ORDER BY email")
_KEYLESS_LINES = """
SELECT job_id, record_number, line, code, raw FROM rejections ORDER BY job_id, record_number
"""


def seen_without_keys(env: Ground) -> list[list[dict[str, Any]]]:
    """What readers see of everything but ids, keys, and reasons that name the key."""
    return [select(env, query) for query in (_KEYLESS, _JOBS, _KEYLESS_LINES, _SOURCES)]


def history_of(rig: Rig) -> None:
    """Jobs of every mode, rejections, an undone job, and rows that do not say the new key."""
    rig.run(tidy_csv(range(100)))
    rig.run(tidy_csv(range(50, 120), word="b") + tidy_csv([60], word="c"), "upsert")
    undone = rig.run(tidy_csv(range(30, 130), word="u"), "upsert")
    rig.run(tidy_csv([1, 2, 200]))
    rig.run(b"Email,Country\nuser60@example.com,India\nnobody@example.com,India\n", "upsert")
    rig.run(tidy_csv([*range(20, 80), 30]), "delsert")
    _send(rig.env, _row("user31@example.com", mode="delete"))
    user = added(rig.client, ANA | {"mobileNumber": "+919876543210"})
    assert modify(rig.client, user, {"state": "Goa"}).status_code == 200
    wait_until(lambda: rig.client.change("undo", int(undone["id"])).is_success, 60)
    rig.client.wait_state(int(undone["id"]), "REVERTED")


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


def test_a_log_gets_another_key(rig: Rig) -> None:
    """Every service ends until it is told the key; then users are told apart by it."""
    rig.services.builder()
    history_of(rig)
    before = seen_without_keys(rig.env)

    done = rekey(rig, "--key", "mobileNumber", "--partitions", "2")

    assert done.returncode == 0, done.stdout
    assert "Set ROLLCALL_RECONCILIATION_KEY=mobileNumber" in done.stdout
    assert seen_without_keys(rig.env) == before
    rig.env = moved(rig.env, 2)
    start_with_key(rig, "mobileNumber")
    assert verify_active(rig.env.settings).is_proven
    last = rig.run(csv_of({"Email": "new@example.org", "Mobile Number": "+14155550025"}), "upsert")
    assert (last["updated"], last["rejected"]) == (1, 0)
    (changed,) = select(rig.env, "SELECT email FROM users WHERE key = '+14155550025'")
    assert changed["email"] == "new@example.org"
    assert verify_active(rig.env.settings).is_proven


def test_a_move_to_another_key_killed_after_the_switch_is_completed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings that the log had; the same command says then what to set."""
    rig.run(tidy_csv(range(60)))
    before = seen_without_keys(rig.env)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(engine, "let_go_on", die)
        with pytest.raises(KeyboardInterrupt):
            moving.rekey(rig.env.settings, moving.Wanted("mobileNumber"), tell=lambda _text: None)
    assert rig.client.upload(tidy_csv([1])).status_code == 503
    done = rekey(rig, "--key", "mobileNumber")
    assert (done.returncode, seen_without_keys(rig.env)) == (0, before), done.stdout
    assert "Set ROLLCALL_RECONCILIATION_KEY=mobileNumber" in done.stdout
    rig.env = moved(rig.env, PARTITIONS)
    start_with_key(rig, "mobileNumber")
    assert rig.run(tidy_csv(range(50, 70), word="b"), "upsert")["updated"] == 10


def test_an_attribute_is_left_as_the_key_and_taken_again(
    surroundings_of_session: Surroundings, tmp_path: Path
) -> None:
    """Its values are keys as they are; an email is one in lower case."""
    with (
        ground(surroundings_of_session, reconciliation_key="Card") as made,
        Services(made.environ, tmp_path) as services,
    ):
        rig = Rig.start(made, services)
        assert define(rig.client, "Card", isReconciliationKey=True).status_code == 200
        rig.run(_cards("A1,Ann@Example.org", "b2,bob@example.org", "b2,bob@example.org"))
        rig.run(b"Card,Country\nA1,India\nc3,India\n", "upsert")
        before = seen_without_keys(rig.env)
        for version, (key, expected) in enumerate(
            (
                ("email", ["ann@example.org", "bob@example.org"]),
                ("Card", ["A1", "b2"]),
            ),
            start=2,
        ):
            done = rekey(rig, "--key", key)
            assert done.returncode == 0, done.stdout
            assert [
                row["key"] for row in select(rig.env, "SELECT key FROM users ORDER BY key")
            ] == expected
            assert seen_without_keys(rig.env) == before
            rig.env = moved(rig.env, PARTITIONS, version)
            start_with_key(rig, key)
            assert verify_active(rig.env.settings).is_proven
        assert rig.run(_cards("A1,new@example.org"), "upsert")["updated"] == 1
        rig.close()


def _cards(*lines: str) -> bytes:
    """A file of users by card and email."""
    header = "First Name,Last Name,Country,Last Active Date,Card,Email"
    return "\n".join([header, *(f"A,B,India,01/02/2024,{line}" for line in lines), ""]).encode()


def _letters(rig: Rig) -> dict[str, dict[str, Any]]:
    """The dead letters by the event ids of their rows."""
    page = rig.client.http.get(LETTERS, params={"pageSize": "100"}).json()["deadLetters"]
    whole = [rig.client.http.get(f"{LETTERS}/{letter['id']}").json() for letter in page]
    return {letter["event"]["event_id"]: letter for letter in whole}


def _retried(rig: Rig, letter: dict[str, Any]) -> dict[str, Any]:
    """The answer to a retry, with its code."""
    answer = rig.client.http.post(f"{LETTERS}/{letter['id']}/retry")
    return {"status": answer.status_code} | answer.json()


def test_dead_letters_are_retried_in_the_log_as_it_is_now(rig: Rig) -> None:
    """Where their keys belong, each once; those of a log by another key are refused."""
    rig.run(tidy_csv(range(10)))
    _send(
        rig.env,
        *(_row(f"kim{at}@example.org", attributes={"tier": "gold"}) for at in range(6)),
        *(_row(f"user{at}@example.com", attributes={"tier": "tin"}) for at in range(2)),
    )
    wait_until(lambda: len(_letters(rig)) == 8, 30, saying="no attribute is known yet")
    assert define(rig.client, "tier").status_code == 200
    before = _letters(rig)
    names = [f"upsert Kim kim{at}@example.org" for at in range(6)]
    assert _retried(rig, before[names[0]])["status"] == 200
    _send(rig.env, _row("kim0@example.org", mode="delete"))

    assert rekey(rig, "--partitions", "5").returncode == 0
    rig.env = moved(rig.env, 5)
    rig.wait_ready()
    letters = _letters(rig)
    assert letters.keys() == before.keys()
    assert letters[names[0]]["retried"] is not None
    assert _retried(rig, letters[names[0]])["status"] == 409
    for at, name in enumerate(names[1:], start=1):
        done = _retried(rig, letters[name])
        home = partition_of(f"kim{at}@example.org".encode(), 5)
        assert (done["status"], done["partition"]) == (200, home), done
    query = "SELECT key FROM users WHERE attributes ->> 'tier' = 'gold' ORDER BY key"
    wait_until(lambda: len(select(rig.env, query)) == 5, 20, saying="the letters are applied")
    assert verify_active(rig.env.settings).is_proven


def test_dead_letters_of_a_log_by_another_key_are_refused(rig: Rig) -> None:
    """Their keys mean nobody there; what to do is told."""
    rig.run(tidy_csv(range(10)))
    _send(rig.env, _row("user1@example.com", attributes={"tier": "tin"}))
    wait_until(lambda: len(_letters(rig)) == 1, 30, saying="no attribute is known")
    assert rekey(rig, "--key", "mobileNumber").returncode == 0
    rig.env = moved(rig.env, PARTITIONS)
    start_with_key(rig, "mobileNumber")
    (letter,) = _letters(rig).values()
    refused = _retried(rig, letter)
    assert refused["status"] == 409
    assert "by email, and the log was moved to the key mobileNumber" in refused["message"]
    assert "with its user's mobileNumber as the key" in refused["message"]


def test_a_key_that_does_not_tell_users_apart_is_refused(rig: Rig) -> None:
    """Every row that stands against it is counted, the first are named, and nothing changes."""
    rig.run(tidy_csv(range(50)))
    rig.run(csv_of({"Email": "twin@example.org", "Mobile Number": "+14155550001"}), "upsert")
    rig.run(csv_of({"Email": "user2@example.com", "Mobile Number": "+14155559999"}), "upsert")
    job = rig.run(csv_of({"Email": "none@example.org", "Mobile Number": ""}))
    before = seen(rig.env)
    refused = rekey(rig, "--key", "mobileNumber")
    assert refused.returncode == 1
    assert "3 rows of the log do not fit a log whose key is mobileNumber" in refused.stdout
    for reason in (
        "key twin@example.org: the user with the key user1@example.com has the same mobileNumber",
        "key user2@example.com: its mobileNumber is another one than in an earlier row",
        f"job {job['id']}, line 2 (record 1), key none@example.org: it has no mobileNumber",
    ):
        assert reason in refused.stdout, refused.stdout
    unknown = rekey(rig, "--key", "tier")
    assert "tier cannot be the key; what can: email, mobileNumber." in unknown.stdout
    assert seen(rig.env) == before
    assert "Holding" not in refused.stdout
    rig.run(tidy_csv([100]))
    rig.assert_as_modelled()


def test_a_log_with_a_job_that_runs_is_not_moved(rig: Rig) -> None:
    """It is refused before anything is copied, and the job ends as ever."""
    rig.run(tidy_csv(range(10)))
    rig.processors[0].kill()
    job_id = rig.submit(tidy_csv(range(20)))
    refused = rekey(rig, "--partitions", "5")
    assert (refused.returncode, "1 jobs have not ended" in refused.stdout) == (1, True)
    rig.restart_processor()
    rig.wait_ended(job_id)
    rig.assert_as_modelled()
