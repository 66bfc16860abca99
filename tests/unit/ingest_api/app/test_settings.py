"""What the API is told by its environment."""

from __future__ import annotations

import pytest

from ingest_api.app.settings import ApiSettings
from schemas.config.declared import loggable
from schemas.config.environment import SettingsError, read

ENVIRON = {
    "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "ROLLCALL_DATABASE_URL": "postgresql://rollcall:hunter2@db/rollcall",
}


def test_the_defaults_are_those_that_are_documented() -> None:
    """Only Kafka and Postgres must be named."""
    settings = read(ApiSettings, ENVIRON)
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.max_upload_bytes is None
    assert (settings.body_idle_timeout_s, settings.body_deadline_s) == (30, 3600)


def test_every_mistake_is_reported_at_once() -> None:
    """Those of the shared settings too."""
    with pytest.raises(SettingsError) as error:
        read(ApiSettings, {"ROLLCALL_PORT": "0", "ROLLCALL_MAX_UPLOAD_BYTES": "-1"})
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
        "ROLLCALL_ADMIN_PASSWORD": "hunter2hunter2",
        "ROLLCALL_FORWARDED_SECRET": "hunter2hunter2hunter2",
    }
    settings = read(ApiSettings, environ)
    assert "hunter2" not in str(loggable(settings))
    assert "hunter2" not in repr(settings)
    assert "rollcall" in str(loggable(settings)["database_url"])


JWT = {
    "ROLLCALL_JWT_ISSUER": "https://issuer.example",
    "ROLLCALL_JWT_AUDIENCE": "rollcall",
    "ROLLCALL_JWT_JWKS_URL": "https://issuer.example/keys",
}


def test_a_jwt_issuer_is_set_whole_or_not_at_all() -> None:
    """Whatever is missing is named."""
    assert read(ApiSettings, ENVIRON).auth.issuer is None
    issuer = read(ApiSettings, ENVIRON | JWT).auth.issuer
    assert issuer is not None
    assert (issuer.role_claim, issuer.name_claim) == ("role", "sub")
    for name, value in JWT.items():
        with pytest.raises(SettingsError) as error:
            read(ApiSettings, ENVIRON | {name: value})
        lines = str(error.value).splitlines()
        assert sorted(line.split()[0] for line in lines) == sorted(set(JWT) - {name})
    with pytest.raises(SettingsError, match="ROLLCALL_JWT_AUDIENCE is not set"):
        read(ApiSettings, ENVIRON | {"ROLLCALL_JWT_ROLE_CLAIM": "groups"})


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/keys",
        "file:///etc/passwd",
        "issuer.example/keys",
        "https://",
        "https://user:hunter2@issuer.example/keys",
        "https://issuer.example:port/keys",
    ],
)
def test_keys_come_from_where_nobody_can_change_them(url: str) -> None:
    """By https, or from this machine; a password in the URL isn't shown."""
    with pytest.raises(SettingsError) as error:
        read(ApiSettings, ENVIRON | JWT | {"ROLLCALL_JWT_JWKS_URL": url})
    assert str(error.value).startswith("ROLLCALL_JWT_JWKS_URL is")
    assert "hunter2" not in str(error.value)
    local = JWT | {"ROLLCALL_JWT_JWKS_URL": "http://127.0.0.1:8081/keys"}
    assert read(ApiSettings, ENVIRON | local).auth.issuer is not None


def test_mistakes_about_authentication_are_reported_together() -> None:
    """With the rule that each breaks, and without what was given."""
    wrong = {
        "ROLLCALL_ADMIN_PASSWORD": "hunter2",
        "ROLLCALL_FORWARDED_SECRET": "hunter2",
        "ROLLCALL_LOGIN_FAILURES": "0",
        "ROLLCALL_JWT_ISSUER": "https://issuer.example",
    }
    with pytest.raises(SettingsError) as error:
        read(ApiSettings, ENVIRON | wrong)
    lines = str(error.value).splitlines()
    assert [line.split()[0] for line in lines] == [
        "ROLLCALL_ADMIN_PASSWORD",
        "ROLLCALL_FORWARDED_SECRET",
        "ROLLCALL_LOGIN_FAILURES",
        "ROLLCALL_JWT_AUDIENCE",
        "ROLLCALL_JWT_JWKS_URL",
    ]
    assert "hunter2" not in str(error.value)
