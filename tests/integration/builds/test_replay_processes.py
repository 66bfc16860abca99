"""Replays by two processes, either of which may die."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.data.histories import large_history
from tests.support.data.replay_stage import DIE_AFTER, SHARE_AND_WAIT, TIMEOUT_S, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.data.passes import MemoryLog
    from tests.support.data.replay_stage import Stage

pytestmark = pytest.mark.usefixtures("shared_work")


@pytest.mark.parametrize("deaths_after", [1, 4, 9])
def test_a_replay_that_was_killed_is_started_again(
    staged: Callable[[MemoryLog], Stage], deaths_after: int
) -> None:
    """Kill -9, with a transaction under way."""
    stage = staged(large_history(random.Random(1), rows=600).log)
    stage.project_live(stage.ends, random.Random(2))
    schema = stage.tables()
    stops = ",".join(map(str, stage.ends))
    done = subprocess.run(
        [sys.executable, "-c", DIE_AFTER, schema, stops, str(deaths_after)],
        env=stage.env.environ,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == -signal.SIGKILL
    run(stage.replay(schema), stage.ends)
    assert stage.differences(stage.live.schema, schema) == []


def test_the_other_process_may_die(staged: Callable[[MemoryLog], Stage]) -> None:
    """Kill -9: this one goes on with all partitions."""
    stage = staged(large_history(random.Random(1), rows=600).log)
    stage.project_live(stage.ends, random.Random(2))
    schema = stage.tables()
    killed: list[int] = []

    def kill(_done: int) -> None:
        for other in psutil.Process().children() if not killed else ():
            if "spawn_main" in " ".join(other.cmdline()):
                other.kill()
                killed.append(other.pid)

    assert stage.replay(schema).run(stage.ends, kill, lambda: False)
    assert len(killed) == 1
    assert stage.differences(stage.live.schema, schema) == []


def test_a_process_that_dies_leaves_no_other(staged: Callable[[MemoryLog], Stage]) -> None:
    """Kill -9 in the middle: the one that it has started ends by itself."""
    stage = staged(large_history(random.Random(1), rows=600).log)
    schema = stage.tables()
    stops = ",".join(map(str, stage.ends))
    with subprocess.Popen(
        [sys.executable, "-c", SHARE_AND_WAIT, schema, stops],
        env={**os.environ, **stage.env.environ},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        other = psutil.Process(int(process.stdout.readline()))
        process.kill()
    assert psutil.wait_procs([other], timeout=TIMEOUT_S)[1] == []
