"""A short history of jobs, undos, other producers and faults comes to the model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.data.chaos_history import run_history
from tests.support.servers.rig import Rig

if TYPE_CHECKING:
    from tests.support.servers.services import Services
    from tests.support.servers.surroundings import Ground


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("seed", [20_261_123])
def test_a_history_of_jobs_and_faults_comes_to_the_model(
    env: Ground, services: Services, seed: int
) -> None:
    """With two processors and a builder, for three quarters of a minute."""
    rig = Rig.start(env, services, processors=2)
    try:
        report = run_history(rig, seed=seed, duration_s=45)
    finally:
        rig.close()
    sys.stdout.write("\n".join([*report.events, str(report)]))
    assert report.jobs > 0
    assert report.others > 0
    assert report.faults
