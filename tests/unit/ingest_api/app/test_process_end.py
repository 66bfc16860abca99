"""How the API's process ends."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

_FINALIZED = "the interpreter was finalized"


def test_the_process_ends_without_finalizing_the_interpreter(tmp_path: Path) -> None:
    """Threads of the HTTP server would panic in it now and then, and the exit code be that."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import atexit, os\natexit.register(os.write, 2, b'{_FINALIZED}')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "ingest_api"],
        cwd=CHECKOUT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(tmp_path), str(CHECKOUT))),
            "ROLLCALL_PORT": "none",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "ROLLCALL_PORT" in ended.stderr
    assert _FINALIZED not in ended.stderr
