"""A log is for one reconciliation key for ever, and says which."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec
import pytest

from ingest_api.errors import LogMismatchError, TopicSetupError
from ingest_api.kafka.log_setup import ensure_log
from ingest_api.kafka.topic_setup import ensure_topics
from schemas.clients.kafka import make_producer
from schemas.codec.codec import decode, encode
from schemas.events import JobVoided, LogConfigured
from tests.support.data.log_reading import read_topic
from tests.support.models.file_oracle import accepted_job
from tests.support.servers.services import Services, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.config.settings import Settings
    from schemas.events import Event
    from tests.support.servers.surroundings import Ground

TIMEOUT_S = 60
REFUSED = 78


def by(settings: Settings, key: str) -> Settings:
    """The same settings with this reconciliation key."""
    return msgspec.structs.replace(settings, reconciliation_key=key)


def append(settings: Settings, value: bytes) -> None:
    """One record of `job-events`, acknowledged."""
    producer = make_producer(settings.kafka)
    producer.produce(settings.topics.job_events.name, value, b"key", 0)
    assert producer.flush(TIMEOUT_S) == 0


def job_events(settings: Settings) -> list[Event]:
    """All that `job-events` holds."""
    records = read_topic(settings, settings.topics.job_events)[0]
    return [decode(record.value()) for record in records]


def test_a_new_log_says_at_its_beginning_what_it_was_made_for(env: Ground) -> None:
    """Once, however often it is asked."""
    for _ in range(2):
        ensure_log(by(env.settings, "mobileNumber"))

    (event,) = job_events(env.settings)
    assert isinstance(event, LogConfigured)
    assert event.reconciliation_key == "mobileNumber"


def test_another_key_is_refused_with_the_way_out(env: Ground) -> None:
    """The message names both, and what can be done."""
    ensure_log(env.settings)

    with pytest.raises(LogMismatchError) as refused:
        ensure_log(by(env.settings, "Badge"))

    for said in ('"email"', '"Badge"', "ROLLCALL_RECONCILIATION_KEY", "rollcall rekey"):
        assert said in str(refused.value)


def test_an_older_log_says_it_by_its_first_job(env: Ground) -> None:
    """Whatever else stands before that, and nothing is appended to it."""
    ensure_topics(env.settings)
    append(env.settings, b"garbage")
    append(env.settings, encode(JobVoided(job_id=1, attempt="a")))
    append(env.settings, encode(accepted_job(reconciliation_key="mobileNumber")))
    before = len(read_topic(env.settings, env.settings.topics.job_events)[0])

    ensure_log(by(env.settings, "mobileNumber"))
    with pytest.raises(LogMismatchError):
        ensure_log(env.settings)

    assert len(read_topic(env.settings, env.settings.topics.job_events)[0]) == before


def test_of_two_that_begin_a_log_at_once_one_decides(env: Ground) -> None:
    """Those with its key go on, the others are refused."""
    ensure_topics(env.settings)

    def outcome(key: str) -> str | None:
        try:
            ensure_log(by(env.settings, key))
        except LogMismatchError:
            return None
        return key

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(outcome, ["email", "mobileNumber", "Badge"] * 2))

    (first, *_) = job_events(env.settings)
    assert isinstance(first, LogConfigured)
    assert sorted(filter(None, found)) == [first.reconciliation_key] * 2


def test_an_unreachable_broker_is_waited_for_by_the_caller(env: Ground) -> None:
    """It says no more than that there is no answer."""
    nowhere = msgspec.structs.replace(env.settings, kafka={"bootstrap.servers": "127.0.0.1:1"})

    with pytest.raises(TopicSetupError):
        ensure_log(nowhere)


@pytest.mark.parametrize("module", ["ingest_api", "ingest_api.publisher", "processor"])
def test_a_process_set_to_another_key_refuses_to_start(
    env: Ground, tmp_path: Path, module: str
) -> None:
    """With a code that says that a person must act, and what."""
    ensure_log(env.settings)

    with Services(env.environ, tmp_path) as services:
        service = services.start(module, reconciliation_key="mobileNumber", port=str(free_port()))
        code = service.process.wait(TIMEOUT_S)

        assert code == REFUSED
        assert "rollcall rekey" in service.log_text()
