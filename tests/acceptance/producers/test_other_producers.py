"""Events of other producers, good and bad, beside those of uploads."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from schemas.clients.kafka import make_producer
from schemas.codec import codec, framing
from schemas.log.topics import partition_of
from tests.support.clients.other_producers import row_of
from tests.support.data.files import tidy_csv
from tests.support.data.log_reading import last_statuses, read_topic
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from confluent_kafka import Message

    from schemas.events import UserRow
    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Ground


def _send(env: Ground, records: list[tuple[bytes | None, bytes | None, int]]) -> None:
    """Append (key, value, partition) to user-events; acknowledged on return."""
    producer = make_producer(env.settings.kafka, {"message.max.bytes": 5_000_000})
    for key, value, partition in records:
        producer.produce(env.settings.topics.user_events.name, value, key, partition)
    assert producer.flush(60) == 0


def _at_home(env: Ground, row: UserRow) -> tuple[bytes, bytes, int]:
    key = row.key.encode()
    partitions = env.settings.topics.user_events.partitions
    return key, codec.encode(row), partition_of(key, partitions)


def _dead_letters(env: Ground) -> list[Message]:
    found = read_topic(env.settings, env.settings.topics.dead_letters)
    return [record for records in found for record in records]


def _reason(letter: Message) -> str:
    headers: dict[str, Any] = dict(cast("Any", letter.headers()))
    return headers["reason"].decode()


def test_events_without_a_job_are_applied_in_the_order_of_the_log(rig: Rig) -> None:
    """An insert, a change of it, and an insert of a user that an upload made."""
    rig.run(tidy_csv([1]))
    kim = row_of("kim@example.com")
    changed = row_of("kim@example.com", mode="upsert", first_name="Kimberly")
    taken = row_of("user1@example.com")
    _send(rig.env, [_at_home(rig.env, row) for row in (kim, changed, taken)])
    letters = wait_until(lambda: _dead_letters(rig.env), 20, saying="the conflict is reported")
    assert [(_reason(letter), letter.value()) for letter in letters] == [
        ("KEY_EXISTS", codec.encode(taken))
    ]
    query = "SELECT key, first_name FROM users ORDER BY key"
    assert [tuple(row.values()) for row in select(rig.env, query)] == [
        ("kim@example.com", "Kimberly"),
        ("user1@example.com", "Firsta1"),
    ]


def test_poison_becomes_dead_letters_and_stops_nobody(rig: Rig) -> None:
    """An exact copy of each, with its reason, however large it is; jobs go on around them."""
    good = row_of("good@example.com")
    key, value, partition = _at_home(rig.env, good)
    elsewhere = (partition + 1) % rig.env.settings.topics.user_events.partitions
    poison = {
        (key, b"not Avro at all"): "NOT_FRAMED",
        (key, None): "NULL_VALUE",
        (key, value[:-3]): "MALFORMED",
        (key, value + b"\0"): "TRAILING_BYTES",
        (b"another key", value): "KEY_MISMATCH",
        (None, value): "NULL_KEY",
        (key, framing.MARKER + b"12345678" + b"x" * 1_040_000): "UNKNOWN_SCHEMA",
    }
    first = rig.submit(tidy_csv(range(2000)))
    _send(rig.env, [(bad_key, bad, partition) for bad_key, bad in poison])
    _send(rig.env, [(key, value, elsewhere), (key, value, partition)])
    second = rig.submit(tidy_csv(range(1000, 3000)), "upsert")
    for job_id in (first, second):
        rig.wait_ended(job_id)
    expected = {**poison, (key, value): "MISROUTED"}
    wait_until(
        lambda: len(_dead_letters(rig.env)) >= len(expected), 20, saying="all are dead letters"
    )
    found = {(letter.key(), letter.value()): _reason(letter) for letter in _dead_letters(rig.env)}
    assert found == expected
    assert len(select(rig.env, "SELECT 1 FROM users WHERE key = 'good@example.com'")) == 1
    wait_until(lambda: _has_ended_status(rig.env, second), 20, saying="statuses still leave")


def test_a_row_with_a_job_that_is_not_its_own_is_an_alarm(rig: Rig) -> None:
    """It becomes a dead letter, and the job that it names has its own lines, all and only they."""
    job_id = rig.submit(tidy_csv(range(500)))
    eve = replace(row_of("eve@example.com"), sequence=0, line=2, record_number=1)
    forged = [replace(eve, job_id=job_id), replace(eve, job_id=1 << 40)]
    _send(rig.env, [_at_home(rig.env, row) for row in forged])
    done = rig.wait_ended(job_id)
    assert (done["inserted"], done["rejected"]) == (500, 0)
    wait_until(lambda: len(_dead_letters(rig.env)) == 2, 20, saying="both are dead letters")
    assert {_reason(letter) for letter in _dead_letters(rig.env)} == {"JOB_ID_NOT_ITS_OWN"}
    assert select(rig.env, "SELECT 1 FROM users WHERE key = 'eve@example.com'") == []
    lines = [json.loads(line) for line in rig.processors[0].log_text().splitlines()]
    alarms = [line for line in lines if line["message"] == "rows name a job that is not theirs"]
    assert {line["level"] for line in alarms} == {"error"}
    assert sum(line["rows"] for line in alarms) == 2
    assert select(rig.env, "SELECT dead FROM sources WHERE source = 'crm'") == [{"dead": 2}]
    proof = rig.client.http.get(f"/vpns/api/v1/batchinfo/proof/{job_id}")
    assert proof.json()["isProven"], proof.text


def test_a_user_that_no_upload_could_reach_is_not_made(rig: Rig) -> None:
    """Keys as nobody normalised them, values as no file has them, events without an id."""
    good = row_of("kim@example.com")
    bad = {
        "KEY_NOT_NORMALISED": replace(good, key="Kim@Example.com", email="Kim@Example.com"),
        "KEY_FIELD_MISMATCH": replace(good, email="lee@example.com"),
        "MOBILE_INVALID": replace(good, mobile_number="030 1"),
        "TEXT_NOT_TRIMMED": replace(good, first_name=" "),
        "TOO_LONG": replace(good, country="x" * 256),
        "EMAIL_INVALID": replace(good, email="kim@example"),
        "EVENT_ID_MISSING": replace(good, event_id=None),
    }
    last = replace(good, email="KIM@example.com")
    _send(rig.env, [_at_home(rig.env, row) for row in (*bad.values(), last)])
    wait_until(lambda: len(_dead_letters(rig.env)) == len(bad), 20, saying="all are dead letters")
    assert {_reason(letter): letter.value() for letter in _dead_letters(rig.env)} == {
        reason: codec.encode(row) for reason, row in bad.items()
    }
    rig.run(b"Email,State\n kim@EXAMPLE.com,Goa\n", "upsert")
    assert select(rig.env, "SELECT key, email, state FROM users") == [
        {"key": "kim@example.com", "email": "kim@EXAMPLE.com", "state": "Goa"}
    ]


def _has_ended_status(env: Ground, job_id: int) -> bool:
    status = last_statuses(env.settings).get(job_id)
    return status is not None and status.state == "COMPLETED"
