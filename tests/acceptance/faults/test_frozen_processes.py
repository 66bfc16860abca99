"""SIGSTOP: a process that neither works nor dies, and wakes when others have gone on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.data.files import tidy_csv

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig

_ROWS = 60_000


def test_frozen_publisher_wakes_after_another_took_over(rig: Rig) -> None:
    """What the sleeper still sends of its pass counts as repeats."""
    job_id = rig.submit(tidy_csv(range(_ROWS)))
    rig.wait_published(2000)
    sleeper = rig.publisher
    sleeper.freeze()
    rig.restart_publisher()
    rig.wait_ended(job_id, 60)
    later = rig.submit(tidy_csv(range(500), word="b"), "upsert")
    rig.wait_ended(later)
    sleeper.thaw()
    rig.run(tidy_csv(range(100, 200), word="c"), "upsert")
    rig.publisher.terminate()
    rig.run(tidy_csv(range(50), word="d"), "delsert")
    rig.assert_as_modelled()


def test_frozen_processor_wakes_as_a_zombie(rig: Rig) -> None:
    """Another one takes its partitions over; its own batch changes no row, and it joins again."""
    job_id = rig.submit(tidy_csv(range(_ROWS)))
    rig.wait_projected(1)
    zombie = rig.processors[0]
    zombie.freeze()
    rig.services.processor()
    rig.wait_ended(job_id, 60)
    zombie.thaw()
    rig.run(tidy_csv(range(0, _ROWS, 7), word="b"), "upsert")
    assert zombie.is_running
    rig.assert_as_modelled()


def test_processor_frozen_in_the_middle_of_many_small_jobs(rig_of_two: Rig) -> None:
    """Wherever it stopped, what it had claimed goes to the other one and comes back."""
    rig = rig_of_two
    for number in range(20):
        rig.submit(tidy_csv(range(number, 500 + number), word=f"w{number}"), "upsert")
    rig.wait_projected(2000)
    rig.processors[0].freeze()
    rig.wait_projected(20 * 500)
    rig.processors[0].thaw()
    rig.run(tidy_csv(range(100), word="last"), "upsert")
    rig.assert_as_modelled()
