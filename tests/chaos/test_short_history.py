"""A short history of jobs, undos, other producers and faults comes to the model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.chaos.history import Chaos
from tests.support.chaos.report import Report

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local_stack.stack import LocalStack
    from tests.support.servers.surroundings import Ground


@pytest.mark.parametrize("seed", ["20261123"])
def test_a_history_of_jobs_and_faults_comes_to_the_model(
    env: Ground, stack: LocalStack, tmp_path: Path, seed: str
) -> None:
    """As `./rollcall chaos`, for two minutes."""
    servers = {"Kafka": stack.kafka, "Postgres": stack.postgres}
    report = Report(seed)
    Chaos(env, tmp_path, servers).run(report, 120)
    sys.stdout.write("\n".join([*report.events, report.as_json()]))
    assert report.jobs > 0
    assert report.others > 0
    assert report.reads > 0
    assert report.faults
    assert report.failpoints
    assert report.recovered_s
