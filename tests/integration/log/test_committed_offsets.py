"""A process that asks Kafka how far a group has come outlives what happens to the group."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from typing import TYPE_CHECKING, Final

from ingest_api.errors import LogUnavailableError
from ingest_api.publisher.consumer_lag import ConsumerLag
from tests.support.servers.breaking import restart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.local_stack.stack import LocalStack
    from schemas.log.topics import Topic
    from tests.support.servers.surroundings import Ground

_GROUPS: Final = 6
_ANSWERS: Final = 100


def test_a_group_whose_coordinator_still_loads_ends_no_process(
    env: Ground, stack: LocalStack
) -> None:
    """Else an API ended with SIGSEGV, and without a word, when a broker was started."""
    settings = env.settings
    asking = multiprocessing.get_context("spawn").Process(
        target=_ask_for_groups, args=(dict(settings.kafka), settings.topics.user_events)
    )
    asking.start()
    restart(stack.kafka)
    asking.join()
    assert asking.exitcode == 0


def _ask_for_groups(kafka: Mapping[str, str], topic: Topic) -> None:
    """Ask for all at once, until each was answered often."""
    threads = [
        threading.Thread(target=_ask, args=(ConsumerLag(kafka, topic, f"{topic.name}-{number}"),))
        for number in range(_GROUPS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _ask(lag: ConsumerLag) -> None:
    answers = 0
    while answers < _ANSWERS:
        with contextlib.suppress(LogUnavailableError):
            lag.next_offsets()
            answers += 1
        time.sleep(0.01)
