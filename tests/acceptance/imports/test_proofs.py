"""The tables and each job are proved against the log, and faults planted by hand are named."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support.clients.client import BASE
from tests.support.clients.shell import Shell
from tests.support.clients.single_users import ANA, added
from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    import httpx2

    from tests.support.clients.client import Json
    from tests.support.servers.rig import Rig

_MANY = 120_000
"""Records that two processes share."""


@pytest.fixture
def shell(rig: Rig, tmp_path: Path) -> Shell:
    """Commands against the test's installation."""
    return Shell(rig, tmp_path)


def _verify(shell: Shell, *arguments: str) -> subprocess.CompletedProcess[str]:
    ours = {name: text for name, text in shell.rig.env.environ.items() if "ROLLCALL" in name}
    return shell.run("verify", *arguments, **ours)


def _plant(rig: Rig, statement: LiteralString) -> None:
    with psycopg.connect(rig.env.conninfo, autocommit=True) as connection:
        assert connection.execute(statement).rowcount > 0, "the fault is there"


def _proof(rig: Rig, job_id: object) -> httpx2.Response:
    return rig.client.http.get(f"{BASE}/batchinfo/proof/{job_id}")


def _proven(rig: Rig, job_id: int) -> Json:
    answer = _proof(rig, job_id)
    assert answer.status_code == 200, answer.text
    proof: Any = answer.json()
    assert proof["isProven"], proof
    assert proof["lines"] == proof["sum"] == proof["eventsInLog"]
    assert proof["usersHash"] == proof["logHash"]
    return proof


def _cut_log(rig: Rig) -> None:
    """Take the first records out of every partition of user-events, as retention would."""
    topic = rig.env.settings.topics.user_events
    admin = AdminClient({"bootstrap.servers": rig.env.surroundings.bootstrap_servers})
    places = [TopicPartition(topic.name, partition, 2) for partition in range(topic.partitions)]
    for done in admin.delete_records(places).values():  # pyright: ignore[reportUnknownVariableType]
        done.result(60)


def test_tables_are_proven_while_imports_run(rig: Rig, shell: Shell) -> None:
    """And after them; single writes are proven too."""
    rng = random.Random(5)
    rig.run(tidy_csv(range(2000)))
    added(rig.client, ANA)
    jobs = [rig.submit(tidy_csv(range(_MANY)), "upsert")]
    jobs += [rig.submit(dirty_csv(rng, 6000, keys=9000), mode) for mode in ("delsert", "upsert")]
    while not all(rig.client.is_ended(job_id) for job_id in jobs):
        done = _verify(shell)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Proven: the tables are what the log comes to" in done.stdout
    done = _verify(shell, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["isProven"]
    assert found["records"] > _MANY
    assert found["finishedJobs"] == found["jobs"] == 4
    for job_id in jobs:
        _proven(rig, job_id)


def test_a_planted_fault_is_named(rig: Rig, shell: Shell) -> None:
    """By the command for all tables, and by the job's proof."""
    job_id = rig.submit(tidy_csv(range(300)))
    rig.wait_ended(job_id)
    assert _proven(rig, job_id)["usersLeft"] == 300
    _plant(rig, "UPDATE users SET first_name = 'Mallory' WHERE key = 'user7@example.com'")
    done = _verify(shell)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "users.first_name, key user7@example.com: expected " in done.stdout
    assert "Not proven: 1 differences" in done.stdout
    answer = _proof(rig, job_id).json()
    assert not answer["isProven"]
    assert answer["usersHash"] != answer["logHash"]
    (finding,) = answer["findings"]
    assert (finding["subject"], finding["column"]) == ("key user7@example.com", "first_name")
    assert finding["found"] == "Mallory"
    told = shell.run("proof", str(job_id))
    assert told.returncode == 1
    assert "Mallory" in told.stdout


def test_counts_and_rejections_belong_to_a_jobs_proof(rig: Rig) -> None:
    """A rejection that was taken out, and a count that was changed."""
    job_id = rig.submit(dirty_csv(random.Random(3), 200, keys=50))
    rig.wait_ended(job_id)
    assert _proven(rig, job_id)["rejected"] > 0
    _plant(
        rig,
        "DELETE FROM rejections WHERE record_number = (SELECT min(record_number) FROM rejections)",
    )
    _plant(rig, "UPDATE projection_1.job_partition SET updated = updated + 1 WHERE partition = 0")
    findings = _proof(rig, job_id).json()["findings"]
    assert {(each["table"], each["column"]) for each in findings} == {
        ("rejections", "count"),
        ("jobs", "sum of outcomes"),
    }


def test_what_cannot_be_proved_is_refused(rig: Rig, shell: Shell) -> None:
    """A job that runs or is none, a log without its beginning, and no Kafka."""
    assert _proof(rig, 12345).status_code == 400
    ended = rig.submit(tidy_csv(range(50)))
    rig.wait_ended(ended)
    rig.processors[0].kill()
    running = rig.submit(tidy_csv(range(50)), "upsert")
    answer = _proof(rig, running)
    assert answer.status_code == 409
    assert "has not ended" in answer.json()["message"]
    told = shell.run("proof", str(running))
    assert told.returncode == 2
    rig.restart_processor()
    rig.wait_ended(running)
    _cut_log(rig)
    wait_until(lambda: _proof(rig, ended).status_code == 409, 30, saying="the log is cut off")
    assert "no longer holds" in _proof(rig, ended).json()["message"]
    done = _verify(shell)
    assert done.returncode == 2
    assert "begins at offset 2" in done.stderr
