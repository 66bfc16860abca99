"""A variable that looks like a setting and is none is warned of, with the nearest there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from schemas.config.unknown import unknown_settings

PROCESSES = ("ingest_api", "ingest_api.publisher", "processor", "processor.builder")


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("ROLLCALL_PORTT", ": do you mean ROLLCALL_PORT?"),
        ("ROLLCALL_DATABSE_URL", ": do you mean ROLLCALL_DATABASE_URL?"),
        ("ROLLCALL_PORT_FILE", ": do you mean ROLLCALL_PORT?"),
        ("ROLLCALL_QQQQ", "; see `rollcall settings`."),
    ],
)
def test_the_nearest_setting_is_asked_for(name: str, ending: str) -> None:
    """And the value is not told: it may be a secret."""
    (warning,) = unknown_settings({name: "hunter2"})
    assert warning == f"{name} is no setting{ending}"


def test_what_there_is_and_what_is_not_ours_is_passed_over() -> None:
    """Settings, files with secrets, any property of librdkafka, and other programs' variables."""
    names = ("ROLLCALL_PORT", "ROLLCALL_PASSWORD_FILE", "ROLLCALL_KAFKA_SSL_CA_LOCATION", "PORTT")
    assert list(unknown_settings(dict.fromkeys(names, "1"))) == []


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
