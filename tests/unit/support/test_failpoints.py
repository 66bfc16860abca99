"""Failpoints stand where the product has something, and end the process that comes there first."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.chaos import failpoints
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
