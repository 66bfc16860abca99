"""Where a log is after it was moved, and what counts while it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from ingest_api.event_log.ledger import JobLedger
from schemas.config.environment import read
from schemas.config.settings import Settings
from schemas.events import JobVoided, LogMove
from schemas.log.moves import LogMoves, oldest_version, version_of, versioned
from schemas.log.reverts import Reverts
from tests.support.data.read_model_rows import ACCEPTED

if TYPE_CHECKING:
    from schemas.events import LogMoveStage

_OTHER = JobVoided(job_id=1, attempt="a")


def move(stage: LogMoveStage, version: int = 2) -> LogMove:
    """A stage of a move."""
    now = datetime(2026, 7, 1, tzinfo=UTC)
    return LogMove(stage=stage, version=version, partitions=3, command="erase", recorded_at=now)


def test_nothing_counts_while_a_log_is_held_and_after_it_was_moved() -> None:
    """What comes after a release counts again; after MOVED not even a release does."""
    moves = LogMoves()
    stages: list[LogMoveStage] = ["HELD", "RELEASED", "HELD", "MOVED", "RELEASED"]
    counts = [moves.apply(_OTHER)]
    for stage in stages:
        assert not moves.apply(move(stage))
        counts.append(moves.apply(_OTHER))
    assert counts == [True, False, True, False, False, False]
    assert moves.moved_to == 2


def test_an_upload_accepted_while_the_log_is_held_is_void_for_every_reader() -> None:
    """For ever, also after the release; a new attempt counts then."""
    ledger, reverts = JobLedger(), Reverts()
    again = replace(ACCEPTED, attempt="again")
    for offset, event in enumerate([move("HELD"), ACCEPTED, move("RELEASED"), ACCEPTED]):
        ledger.apply(offset, event)
        reverts.apply(offset, event)
    assert ledger.decision(ACCEPTED.job_id, ACCEPTED.attempt) == "voided"
    assert (list(ledger.jobs), reverts.is_known(ACCEPTED.job_id)) == ([], False)
    ledger.apply(4, again)
    reverts.apply(4, again)
    assert ledger.decision(ACCEPTED.job_id, "again") == "accepted"
    assert reverts.is_known(ACCEPTED.job_id)


@pytest.mark.parametrize(
    ("topic", "version"),
    [
        ("events", 1),
        ("events.2", 2),
        ("events.31", 31),
        ("events.1", None),
        ("events.02", None),
        ("events.2.2", None),
        ("events.x", None),
        ("events.²", None),
        ("other", None),
        ("events-dead", None),
    ],
)
def test_names_tell_the_version(topic: str, version: int | None) -> None:
    """A name that is not made by us is no version of the topic."""
    assert version_of(topic, "events") == version
    if version is not None:
        assert versioned("events", version) == topic


def test_a_log_is_looked_for_from_its_oldest_signpost_on() -> None:
    """The first version may be gone where a later one is there."""
    assert oldest_version(["events.3", "events.12", "else"], "events") == 3
    assert oldest_version(["else"], "events") == 1


def test_settings_name_the_topics_of_a_version() -> None:
    """Of any version, from any other one, whatever the prefix."""
    environ = {
        "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS": "nowhere:9092",
        "ROLLCALL_DATABASE_URL": "dbname=none",
        "ROLLCALL_TOPIC_PREFIX": "a.2-",
    }
    settings = read(Settings, environ)
    third = settings.at_version(3)
    assert third.topics.user_events.name == "a.2-user-events.3"
    assert third.at_version(1).topics == settings.topics
    assert third.with_partitions(5).at_version(2).topics.user_events.partitions == 5
    assert read(Settings, {**environ, "ROLLCALL_LOG_VERSION": "3"}) == third
    assert settings.version_of("a.2-user-events.7") == 7
