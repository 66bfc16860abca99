"""The publisher stays near the processors, so that what comes behind jobs has its turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest_api.publisher.consumer_lag import ConsumerLag
from ingest_api.publisher.pace import MOST_AHEAD
from tests.support.data.files import tidy_csv
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.clients.published_log import World

_ROWS = 90_000
_SLOW_LOOKS = 30
_BLOCK_ROWS = 30_000
"""More than may be queued between two looks at what is applied."""


def test_rows_wait_as_long_as_processors_have_enough_to_do(world: World) -> None:
    """Two jobs, and processors that apply some at a time: never are many more appended."""
    for number in (1, 2):
        world.accept(number, tidy_csv(range(_ROWS)))
    lag = _lag(world)
    world.services.publisher()
    most = looks = 0

    def apply_some() -> bool:
        """A record at a time at first, for as long as the publisher would need for the rest."""
        nonlocal most, looks
        ends, applied = lag.ends(), lag.next_offsets()
        most = max(most, sum(ends) - sum(applied))
        looks += most > MOST_AHEAD / 2
        more = 1 if looks < _SLOW_LOOKS else 10_000
        places = zip(ends, applied, strict=True)
        world.commit_as_processors([min(end, done + more) for end, done in places])
        return sum(applied) >= 2 * _ROWS

    wait_until(apply_some, 300, saying="all rows are applied")
    assert MOST_AHEAD / 2 < most < MOST_AHEAD + _BLOCK_ROWS


def test_nobody_waits_for_a_partition_that_stands_still(world: World) -> None:
    """One processor is away, or its partition waits for a schema: the others get their rows."""
    for number in (1, 2, 3):
        world.accept(number, tidy_csv(range(_ROWS)))
    lag = _lag(world)
    world.services.publisher()

    def apply_but_the_first() -> bool:
        world.commit_as_processors([0, *lag.ends()[1:]])
        return sum(lag.ends()) >= 3 * _ROWS

    wait_until(apply_but_the_first, 300, saying="all rows are appended")


def test_nobody_waits_for_processors_that_are_away(world: World) -> None:
    """All jobs are in the log when they come back."""
    for number in (1, 2):
        world.accept(number, tidy_csv(range(_ROWS)))
    world.services.publisher()
    world.wait_sealed(2)


def _lag(world: World) -> ConsumerLag:
    return ConsumerLag(world.settings.kafka, world.topics.user_events, world.settings.group)
