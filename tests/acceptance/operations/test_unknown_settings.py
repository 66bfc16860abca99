"""Every process warns of a setting that there is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from schemas.config.unknown import unknown_settings

PROCESSES = ("ingest_api", "ingest_api.publisher", "processor", "processor.builder")


@pytest.mark.parametrize("process", PROCESSES)
def test_every_process_warns_at_its_start(process: str) -> None:
    """Before it reads its settings: what is missing may be what is misspelt."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("ROLLCALL_")}
    ended = subprocess.run(
        [sys.executable, "-m", process],
        env=ours | {"ROLLCALL_DATABSE_URL": "hunter2"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode != 0
    assert "ROLLCALL_DATABASE_URL is not set" in ended.stdout + ended.stderr
    first = json.loads(ended.stdout.splitlines()[0])
    assert (first["level"], first["message"]) == ("warning", "unknown setting")
    (reason,) = unknown_settings({"ROLLCALL_DATABSE_URL": ""})
    assert first["reason"] == reason
    assert "hunter2" not in ended.stdout + ended.stderr
