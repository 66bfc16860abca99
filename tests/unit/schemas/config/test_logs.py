"""What services write to their logs."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from schemas.config.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _logs_as_before() -> Iterator[None]:
    handlers, level = list(logging.root.handlers), logging.root.level
    yield
    logging.root.handlers = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logs_as_before")
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


def _fail_with(email: str) -> None:
    row = {"email": email}
    message = f"a row with {len(row)} field"
    raise ValueError(message)
