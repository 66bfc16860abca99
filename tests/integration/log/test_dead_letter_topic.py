"""The dead letters' topic, read from its end on a real broker."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from ingest_api.errors import LogUnavailableError, ReadTimeoutError
from ingest_api.kafka.topic_setup import ensure_topics
from ingest_api.producers.dead_letter_topic import DeadLetterTopic
from ingest_api.producers.dead_letters import DeadLetterFilter, search
from ingest_api.web.paging import Page
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.surroundings import Ground

_LETTERS = 6000
"""More than are passed over by reading them."""
_BEGIN_MS = 1_700_000_000_000


@pytest.fixture
def log(env: Ground) -> Iterator[DeadLetterTopic]:
    """Letters in three partitions, unevenly; number n became one at time n // 3 ms."""
    ensure_topics(env.settings)
    topic = env.settings.topics.dead_letters.name
    # Offsets are in order only where no retry changes it.
    producer = Producer({**env.settings.kafka, "enable.idempotence": True, "linger.ms": 5})
    chosen = random.Random(5)
    for number in range(_LETTERS):
        partition = chosen.choice([0, 0, 0, 0, 0, 0, 0, 1]) if number > 50 else 2
        headers: list[tuple[str, str | bytes | None]] = [
            ("reason", b"ODD" if number % 100 == 7 else b"EVEN")
        ]
        producer.produce(
            topic,
            b"value",
            b"%d" % number,
            partition,
            timestamp=_BEGIN_MS + number // 3,
            headers=headers,
        )
        producer.poll(0)
    assert producer.flush(60) == 0
    made = DeadLetterTopic(env.settings.kafka, topic)
    yield made
    made.close()


def numbers(log: DeadLetterTopic, skip: int, count: int) -> list[int]:
    """The letters of a page."""
    with log.open_reader(20) as reader:
        assert reader.total == _LETTERS
        found = reader.newest_first(skip)
        return [int(letter.key or b"") for _, letter in zip(range(count), found, strict=False)]


def test_pages_at_any_depth_are_parts_of_one_list(log: DeadLetterTopic) -> None:
    """The newest first, by time; each letter once, whichever page it is on."""
    whole = numbers(log, 0, _LETTERS)
    assert sorted(whole) == list(range(_LETTERS))
    times = [number // 3 for number in whole]
    assert times == sorted(times, reverse=True)
    for skip in (1, 499, 501, 502, 503, 1234, 4000, 5949, 5999):
        assert numbers(log, skip, 7) == whole[skip : skip + 7]
    assert numbers(log, _LETTERS, 7) == []


def test_one_letter_is_found_by_its_place(log: DeadLetterTopic) -> None:
    """With its value; nowhere else is one."""
    with log.open_reader(20) as reader:
        found = reader.fetch(2, 50)
        assert found is not None
        letter, value = found
        assert (letter.key, value, letter.value_bytes) == (b"50", b"value", 5)
        assert reader.fetch(2, 51) is None
        assert reader.fetch(3, 0) is None


def test_a_filter_looks_through_all(log: DeadLetterTopic) -> None:
    """It counts what it takes, and says how many it has looked at."""
    with log.open_reader(20) as reader:
        found = search(reader, DeadLetterFilter(reason="ODD"), Page(start=10, size=5))
    assert [int(letter.key or b"") for letter in found.dead_letters] == [
        4907,
        4807,
        4707,
        4607,
        4507,
    ]
    assert (found.total, found.searched, found.all) == (60, _LETTERS, _LETTERS)


def test_a_look_ends_with_its_time(log: DeadLetterTopic) -> None:
    """However much is left to be read; so it does when the reader is closed."""
    with log.open_reader(20) as reader:
        letters = reader.newest_first()
        next(letters)
        reader.end_after(0)
        with pytest.raises(ReadTimeoutError):
            list(letters)
    log.close()
    with log.open_reader(20) as reader, pytest.raises(ReadTimeoutError):
        reader.fetch(0, 0)


def test_a_topic_without_letters_has_none(env: Ground) -> None:
    """Nor has one that is not there."""
    ensure_topics(env.settings)
    for topic in (env.settings.topics.dead_letters.name, "no-such-topic"):
        log = DeadLetterTopic(env.settings.kafka, topic)
        wait_until(partial(is_answered, log), 20, saying="a topic just made has its leaders")
        with log.open_reader(20) as reader:
            assert (reader.total, reader.fetch(0, 0)) == (0, None)
            assert list(reader.newest_first()) == []


def is_answered(log: DeadLetterTopic) -> bool:
    """Whether Kafka says where the topic ends."""
    try:
        with log.open_reader(5):
            return True
    except LogUnavailableError:
        return False
