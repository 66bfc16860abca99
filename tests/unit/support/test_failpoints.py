"""Failpoints stand where the product has something, and end the process that comes there first."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.chaos import failpoints
from tests.support.chaos.faults import reached
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

_PLACES = [place for places in failpoints.POINTS.values() for place in places.values()]


@pytest.mark.parametrize("place", _PLACES, ids=lambda place: f"{place.owner} {place.function}")
def test_every_failpoint_is_at_a_function_of_the_product(place: failpoints.Place) -> None:
    """One that was renamed is not forgotten."""
    module, _, owner = place.owner.partition(":")
    of: Any = importlib.import_module(module)
    assert callable(getattr(getattr(of, owner) if owner else of, place.function))


def test_of_those_who_come_to_a_failpoint_one_is_killed(tmp_path: Path) -> None:
    """It leaves its id; the next one that comes there goes on."""
    name = "processor: mid rows"
    armed = failpoints.armed_file(tmp_path, name)
    armed.write_text(str(int(signal.SIGKILL)))
    code = f"from tests.support.chaos.failpoints import reached; reached({name!r})"
    codes: list[int] = []
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=CHECKOUT, env={failpoints.FOLDER: str(tmp_path)}
        )
        codes.append(process.wait(60))
        assert armed.with_suffix(f".{process.pid}").exists() == (len(codes) == 1)
    assert codes == [-signal.SIGKILL, 0]


def test_of_failpoints_that_are_armed_together_the_first_one_reached_is_hit(tmp_path: Path) -> None:
    """The others are disarmed: who comes there later goes on."""
    names = ["processor: mid rows", "processor: before commit"]
    code = (
        "import time; from tests.support.chaos.failpoints import reached\n"
        f"while True: reached({names[1]!r}); time.sleep(0.01)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=CHECKOUT, env={failpoints.FOLDER: str(tmp_path)}
    )
    try:
        assert reached(tmp_path, names, signal.SIGKILL) == [(names[1], process.pid)]
        assert process.wait(60) == -signal.SIGKILL
    finally:
        process.kill()
    assert list(tmp_path.iterdir()) == []


def test_the_clock_of_a_process_jumps_and_jumps_back(tmp_path: Path) -> None:
    """What the product takes for now is off by so much, and only as long."""
    code = """
import os, sys, time
from datetime import UTC, datetime
from pathlib import Path
from ingest_api.notices import events
from tests.support.chaos import clocks
clocks.plant()
def ahead():
    by_datetime = (events.datetime.now(UTC) - datetime.now(UTC)).total_seconds()
    return [round(by_datetime / 3600), round((time.time() - datetime.now().timestamp()) / 3600)]
seen = [ahead()]
with clocks.off(Path(sys.argv[1]), os.getpid(), -3 * 3600):
    seen.append(ahead())
assert [*seen, ahead()] == [[0, 0], [-3, -3], [0, 0]], seen
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(command, cwd=CHECKOUT, env={failpoints.FOLDER: str(tmp_path)}, check=True)
