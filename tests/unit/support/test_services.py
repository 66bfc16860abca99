"""Services are killed with what they leave behind, and nobody else is."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

from tests.support.servers.services import Service

if TYPE_CHECKING:
    from pathlib import Path

_LEAVES_ONE_BEHIND = "sleep 60 >/dev/null & echo $!"


def _started(command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", command], start_new_session=True, stdout=subprocess.PIPE
    )


def _service(process: subprocess.Popen[bytes], folder: Path) -> Service:
    return Service("one", "one", {}, process, folder / "one.log")


def test_what_an_ended_service_left_behind_is_its_own(tmp_path: Path) -> None:
    """It is found by the number of its group."""
    with _started(_LEAVES_ONE_BEHIND) as process:
        left = int(process.communicate()[0])
    try:
        assert _service(process, tmp_path).group() == [left]
    finally:
        os.kill(left, signal.SIGKILL)


def test_a_process_that_came_by_the_number_of_an_ended_service_is_not_its_own(
    tmp_path: Path,
) -> None:
    """Numbers are given again after 32,768 processes, and an hour of chaos starts more."""
    with _started("exit") as ended, _started("exec sleep 60") as other:
        ended.communicate()
        ended.pid = other.pid
        assert not _service(ended, tmp_path).group()
        other.kill()
