"""Kafka and Postgres killed in the middle of a job, and started again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.data.log_reading import accepted_jobs
from tests.support.servers.breaking import killed, restart

if TYPE_CHECKING:
    from deploy.local_stack.stack import LocalStack
    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Ground, Surroundings

_ROWS = 40_000


def test_whoever_breaks_servers_has_them_alone(
    env: Ground, stack: LocalStack, surroundings_of_session: Surroundings
) -> None:
    """All other tests go on beside it."""
    assert env.surroundings.stack is stack
    assert surroundings_of_session.stack is None
    own = (env.surroundings.bootstrap_servers, env.surroundings.conninfo)
    shared = (surroundings_of_session.bootstrap_servers, surroundings_of_session.conninfo)
    assert all(one != other for one, other in zip(own, shared, strict=True))


def test_postgres_killed_in_the_middle_of_a_job(rig: Rig, stack: LocalStack) -> None:
    """Rows and offsets are lost together and projected again; no service ends."""
    rng = random.Random(1)
    rig.submit(dirty_csv(rng, _ROWS, keys=_ROWS, faults=0.01), "insert")
    rig.submit(dirty_csv(rng, _ROWS, keys=_ROWS, faults=0.01), "delsert")
    rig.wait_projected(rng.randrange(2 * _ROWS))
    restart(stack.postgres)
    rig.assert_as_modelled()
    assert rig.processors[0].is_running


def test_kafka_killed_in_the_middle_of_a_job(rig: Rig, stack: LocalStack) -> None:
    """A stall, then on; no service ends."""
    rng = random.Random(2)
    rig.submit(tidy_csv(range(_ROWS)), "insert")
    rig.submit(dirty_csv(rng, _ROWS, keys=_ROWS, faults=0.01), "upsert")
    rig.wait_published(rng.randrange(2 * _ROWS))
    restart(stack.kafka)
    rig.assert_as_modelled()
    assert rig.publisher.is_running
    assert rig.processors[0].is_running


def test_uploads_while_kafka_is_down_are_refused_and_leave_nothing(
    rig: Rig, stack: LocalStack
) -> None:
    """503 with Retry-After; once Kafka is back, uploads are taken again."""
    with killed(stack.kafka):
        answer = rig.client.upload(tidy_csv(range(10)))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    rig.wait_ready()
    rig.run(tidy_csv(range(20)))
    assert len(accepted_jobs(rig.env.settings)) == 1
    rig.assert_as_modelled()
