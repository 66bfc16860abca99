"""Events of other producers, good and bad, beside those of uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from confluent_kafka import Producer

from schemas import codec
from schemas.topics import partition_of
from tests.files import tidy_csv
from tests.log_reading import last_statuses, read_topic
from tests.other_producers import row_of
from tests.verdict import select
from tests.waiting import wait_until

if TYPE_CHECKING:
    from confluent_kafka import Message

    from schemas.events import UserRow
    from tests.rig import Rig
    from tests.surroundings import Ground


def _send(env: Ground, records: list[tuple[bytes | None, bytes | None, int]]) -> None:
    """Append (key, value, partition) to user-events; acknowledged on return."""
    producer = Producer({**env.settings.kafka, "message.max.bytes": 5_000_000})
    for key, value, partition in records:
        producer.produce(env.settings.topics.user_events.name, value, key, partition)
    assert producer.flush(20) == 0


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
        (key, codec.MARKER + b"12345678" + b"x" * 1_040_000): "UNKNOWN_SCHEMA",
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


def _has_ended_status(env: Ground, job_id: int) -> bool:
    status = last_statuses(env.settings).get(job_id)
    return status is not None and status.state == "COMPLETED"
