"""What hangs does not keep the API's process from ending, and is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

_HANGING = """
import os, sys, threading
from ingest_api.app.late_end import end_late
from ingest_api.errors import LogMovedError
from schemas.config.logs import configure_logging

configure_logging()
if "ROLLCALL_LOG_VERSION" in os.environ:
    sys.exit("version " + os.environ["ROLLCALL_LOG_VERSION"])
failure = {FAILURE}
threading.Thread(target=threading.Event().wait, name="slow-poke").start()
end_late(0.05, lambda: failure)
"""


@pytest.mark.parametrize(
    ("failure", "code", "error"),
    [
        ("None", 0, None),
        ("ValueError('this\\nthat')", 1, "ValueError: this"),
        ("LogMovedError(7)", 1, "LogMovedError: "),
    ],
)
def test_a_process_that_hangs_ends_and_says_why(
    tmp_path: Path, failure: str, code: int, error: str | None
) -> None:
    """With the place at which each thread waits; where the log has moved it starts again."""
    script = tmp_path / "hanging.py"
    script.write_text(_HANGING.replace("{FAILURE}", failure))
    ended = subprocess.run(
        [sys.executable, "-P", str(script)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "ROLLCALL_LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    line = json.loads(ended.stdout.splitlines()[0])
    assert line["message"] == "process ends: what was under way has not ended in time"
    assert (line["error"] or "").startswith(error or "")
    assert (line["error"] is None) is (error is None)
    assert "wait" in line["threads"]["slow-poke"][-1]
    assert ("version 7" in ended.stderr) is ("LogMovedError" in failure)
