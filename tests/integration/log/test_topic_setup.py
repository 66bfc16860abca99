"""Topics are made as they must be, and what is not so is named, never changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from ingest_api.errors import TopicSetupError
from ingest_api.kafka.topic_setup import ensure_topics
from schemas.config.settings import Settings

if TYPE_CHECKING:
    from schemas.log.topics import Topics
    from tests.support.servers.surroundings import Ground


class _Forgetful(Settings, frozen=True, kw_only=True):
    """Settings of a log that is kept for a day."""

    @property
    def topics(self) -> Topics:
        topics = super().topics
        config = {**topics.user_events.config, "retention.ms": "86400000"}
        return replace(topics, user_events=replace(topics.user_events, config=config))


def test_topics_are_made_once(env: Ground) -> None:
    """A second call finds them as they must be."""
    ensure_topics(env.settings)
    ensure_topics(env.settings)


def test_another_number_of_partitions_is_named(env: Ground) -> None:
    """Keys would be misplaced, so nothing is appended; the message says what to set."""
    ensure_topics(env.settings)

    with pytest.raises(TopicSetupError, match="ROLLCALL_PARTITIONS"):
        ensure_topics(env.settings.with_partitions(5))


def test_a_log_that_forgets_is_named(env: Ground) -> None:
    """A replay would lose users; the message says which setting does it."""
    ensure_topics(_Forgetful(**msgspec.structs.asdict(env.settings)))

    with pytest.raises(TopicSetupError, match=r"retention\.ms=-1"):
        ensure_topics(env.settings)


def test_an_unreachable_broker_is_said(env: Ground) -> None:
    """The caller decides whether to wait."""
    nowhere = msgspec.structs.replace(env.settings, kafka={"bootstrap.servers": "127.0.0.1:1"})

    with pytest.raises(TopicSetupError, match="can't be asked"):
        ensure_topics(nowhere)
