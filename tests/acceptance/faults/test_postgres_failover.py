"""Postgres dies, and its standby takes over while the services run."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.support.chaos.standby import primary_and_standby
from tests.support.clients.client import BASE
from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.servers.surroundings import Surroundings, ground

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.chaos.standby import Pair

_ROWS = 20_000


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A Postgres and its standby, of this test alone."""
    with primary_and_standby() as made:
        yield made


@pytest.fixture
def rig(pair: Pair, surroundings_of_session: Surroundings, tmp_path: Path) -> Iterator[Rig]:
    """An installation that has the address of both."""
    of = Surroundings(surroundings_of_session.bootstrap_servers, pair.conninfo)
    with ground(of) as env, Services(env.environ, tmp_path) as services:
        started = Rig.start(env, services)
        try:
            started.run(tidy_csv(range(100)))
            yield started
        finally:
            started.close()


def test_a_failover_to_a_synchronous_standby_loses_nothing(rig: Rig, pair: Pair) -> None:
    """In the middle of a job: it goes on, and what was answered with 200 is there."""
    pair.synchronize()
    token = {"name": "kept", "role": "importer"}
    assert rig.client.http.post(f"{BASE}/admin/tokens", json=token).status_code == 200
    job_id = rig.submit(dirty_csv(random.Random(3), _ROWS, keys=_ROWS, faults=0.01), "upsert")
    rig.wait_projected(500)
    pair.fail_over()
    rig.wait_ended(job_id)
    rig.run(tidy_csv(range(50, 150), word="b"), "upsert")
    rig.assert_as_modelled()
    assert "kept" in rig.client.http.get(f"{BASE}/admin/tokens").text


def test_what_a_standby_lacks_is_projected_again(rig: Rig, pair: Pair) -> None:
    """One that lags takes over: jobs that had ended are projected once more from the log."""
    with pair.lagging():
        rig.run(dirty_csv(random.Random(4), _ROWS, keys=_ROWS, faults=0.01), "upsert")
    rig.run(tidy_csv(range(50, 150), word="b"), "upsert")
    rig.assert_as_modelled()
