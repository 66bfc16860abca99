"""A variable that looks like a setting and is none is warned of, with the nearest there is."""

from __future__ import annotations

import re

import pytest

from schemas.config.unknown import unknown_settings
from tests.support.checkout import CHECKOUT


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


def test_packages_and_documents_name_settings_that_there_are() -> None:
    """In a file that is copied, one that was renamed since would have no effect."""
    folders = ("deploy/packages", "deploy/monitoring", "docs")
    files = [path for folder in folders for path in (CHECKOUT / folder).rglob("*")]
    texts = [path.read_bytes().decode("latin-1") for path in files if path.is_file()]
    named = {name for text in texts for name in re.findall(r"\bROLLCALL_[A-Z0-9_]+", text)}
    assert len(named) > 60
    assert list(unknown_settings(dict.fromkeys(named, ""))) == []
