"""Where a log begins and ends is known again after its partitions have new leaders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.errors import LogUnavailableError
from ingest_api.kafka.topic_setup import ensure_topics
from ingest_api.publisher.consumer_lag import ConsumerLag
from schemas.clients.errors import KafkaUnreachableError
from schemas.clients.log_start import LogStart
from tests.support.servers.breaking import restart
from tests.support.servers.surroundings import PARTITIONS
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from deploy.local_stack.stack import LocalStack
    from tests.support.servers.surroundings import Ground


def test_a_client_that_has_asked_before_is_answered_by_new_leaders(
    env: Ground, stack: LocalStack
) -> None:
    """Else the watchdog would be blind, and reads that need the whole log refused, for minutes."""
    ensure_topics(env.settings)
    topic = env.settings.topics.user_events
    lag = ConsumerLag(env.settings.kafka, topic, env.settings.group)
    start = LogStart(env.settings.kafka, topic)

    def are_known() -> bool:
        try:
            return start.missing() is None and lag.ends() == [0] * PARTITIONS
        except (LogUnavailableError, KafkaUnreachableError):
            return False

    wait_until(are_known, 60, saying="offsets are known")
    restart(stack.kafka)
    wait_until(are_known, 60, saying="offsets are known again")
