"""What the API is told by its environment."""

from __future__ import annotations

import pytest

from ingest_api.settings import loggable, read_api_settings
from schemas.settings import SettingsError

ENVIRON = {
    "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "ROLLCALL_DATABASE_URL": "postgresql://rollcall:hunter2@db/rollcall",
}


def test_the_defaults_are_those_that_are_documented() -> None:
    """Only Kafka and Postgres must be named."""
    settings = read_api_settings(ENVIRON)
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.max_upload_bytes is None
    assert (settings.body_idle_timeout_s, settings.body_deadline_s) == (30, 3600)


def test_every_mistake_is_reported_at_once() -> None:
    """Those of the shared settings too."""
    with pytest.raises(SettingsError) as error:
        read_api_settings({"ROLLCALL_PORT": "0", "ROLLCALL_MAX_UPLOAD_BYTES": "-1"})
    lines = str(error.value).splitlines()
    assert [line.split()[0] for line in lines] == [
        "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS",
        "ROLLCALL_DATABASE_URL",
        "ROLLCALL_PORT",
        "ROLLCALL_MAX_UPLOAD_BYTES",
    ]


@pytest.mark.parametrize(
    "database_url",
    [
        "postgresql://rollcall:hunter2@db/rollcall",
        "host=db password=hunter2 user=rollcall",
        "host=db password='hunter2 \\' hunter2' user=rollcall",
        "postgresql://db/rollcall?user=rollcall&password=hunter2",
    ],
)
def test_no_secret_is_logged(database_url: str) -> None:
    """Neither Postgres' password nor Kafka's nor the administrator's."""
    environ = ENVIRON | {
        "ROLLCALL_DATABASE_URL": database_url,
        "ROLLCALL_KAFKA_SASL_PASSWORD": "hunter2",
        "ROLLCALL_KAFKA_SSL_KEY_PASSWORD": "hunter2",
        "ROLLCALL_ADMIN_PASSWORD": "hunter2",
    }
    settings = read_api_settings(environ)
    assert "hunter2" not in str(loggable(settings))
    assert "hunter2" not in repr(settings)
    assert "rollcall" in str(loggable(settings)["database_url"])
