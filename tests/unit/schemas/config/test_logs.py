"""What services write to their logs."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import structlog

from schemas.config.logs import configure_logging

if TYPE_CHECKING:
    import pytest


def test_an_exception_is_logged_without_the_values_it_met(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Local variables hold users' data."""
    configure_logging()
    try:
        _fail_with("secret@example.com")
    except ValueError:
        structlog.stdlib.get_logger("rollcall.test").exception("it failed")
    line = capsys.readouterr().out
    assert json.loads(line)["message"] == "it failed"
    assert "_fail_with" in line
    assert "secret@example.com" not in line


def test_ids_are_strings_and_what_counts_comes_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As numbers they are rounded by whoever reads JSON as JavaScript does."""
    monkeypatch.setenv("ROLLCALL_LOG_FORMAT", "json")
    configure_logging()
    log = structlog.stdlib.get_logger("rollcall.test")
    log.info("job finished", job_id=8505798549586398473, lines=7)
    line = capsys.readouterr().out
    assert list(json.loads(line))[:3] == ["timestamp", "level", "message"]
    assert json.loads(line)["job_id"] == "8505798549586398473"
    assert json.loads(line)["lines"] == 7


def test_level_and_format_are_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library's lines are text, too; a wrong setting is for whoever reads all of them."""
    monkeypatch.setenv("ROLLCALL_LOG_FORMAT", "text")
    monkeypatch.setenv("ROLLCALL_LOG_LEVEL", "warning")
    configure_logging()
    log = structlog.stdlib.get_logger("rollcall.test")
    log.info("not shown")
    log.warning("shown", rows=3)
    logging.getLogger("psycopg.pool").warning("of a library")
    first, second = capsys.readouterr().out.splitlines()
    assert "[warning  ] shown" in first
    assert first.rstrip().endswith("rows=3")
    assert "of a library" in second

    monkeypatch.setenv("ROLLCALL_LOG_LEVEL", "loud")
    configure_logging()
    structlog.stdlib.get_logger("rollcall.other").info("at the default level")
    assert "at the default level" in capsys.readouterr().out


def _fail_with(email: str) -> None:
    row = {"email": email}
    message = f"a row with {len(row)} field"
    raise ValueError(message)
