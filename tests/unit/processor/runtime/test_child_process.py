"""A child process whose watch over its parent fails."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from processor.errors import OtherProcessDiedError
from processor.runtime.child_process import OtherProcess
from tests.support.checkout import CHECKOUT
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_a_child_that_no_longer_watches_its_parent_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could outlive it; whoever waits for its result learns that it has died."""
    (tmp_path / "failing").write_text("parent")
    monkeypatch.setenv("TEST_FAILING", str(tmp_path / "failing"))
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT / "tests/support/servers/failing"))
    with OtherProcess(time.sleep, 60) as other:
        (child,) = [each for each in psutil.Process().children() if _works(each)]
        wait_until(lambda: child.num_threads() > 1, 30, saying="it watches its parent")
        os.kill(child.pid, signal.SIGUSR1)
        with pytest.raises(OtherProcessDiedError, match="ended with 1"):
            other.result()


def _works(child: psutil.Process) -> bool:
    """Others of multiprocessing keep its shared memory."""
    return any("spawn_main" in part for part in child.cmdline())
