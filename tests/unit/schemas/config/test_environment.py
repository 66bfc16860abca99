"""Settings are read as they are declared, and secrets from files too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import pytest

from ingest_api.app.settings import ApiSettings
from schemas.config.declared import Section, loggable, secret, text, variables, whole
from schemas.config.environment import SettingsError, read, with_settings

if TYPE_CHECKING:
    from pathlib import Path

ENVIRON = {
    "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "ROLLCALL_DATABASE_URL": "postgresql://rollcall:hunter2@db/rollcall",
}
SECRETS = [each for each in variables(ApiSettings) if each.is_secret]
VALID = {
    "ROLLCALL_LOG_KEYS": "one:" + "hunter2" * 5,
    "ROLLCALL_DATABASE_URL": "host=db password=hunter2-in-a-file",
    "ROLLCALL_SCHEMA_REGISTRY_URL": "https://user:hunter2@registry",
    "ROLLCALL_SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO": "user:hunter2",
    "ROLLCALL_SMTP_URL": "smtp://user:hunter2@mail.example.org",
}


class Declared(Section, frozen=True, kw_only=True):
    """One setting of each kind."""

    number: Annotated[int, whole(1, 9, "a number")] = 5
    bound: Annotated[int | None, whole(0, 9, "a bound, 0 for none")] = None
    choice: Annotated[Literal["slow", "fast"], text("how")] = "fast"
    name: Annotated[str, text("a name")] = "rollcall"
    password: Annotated[str, secret("a password")] = ""
    made: int = 7


def _mistakes(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as error:
        read(Declared, environ)
    return str(error.value).splitlines()


def test_what_is_not_set_or_empty_has_its_default() -> None:
    """And a field that is no setting is left alone."""
    assert read(Declared, {}) == Declared()
    empty = {each.name: "" for each in variables(Declared)}
    assert read(Declared, empty | {"ROLLCALL_MADE": "1"}) == Declared()
    assert read(Declared, {"ROLLCALL_BOUND": "0"}).bound is None


def test_each_kind_of_value_is_read() -> None:
    """By the name that its field has in the environment."""
    environ = {"ROLLCALL_NUMBER": "9", "ROLLCALL_BOUND": "3", "ROLLCALL_CHOICE": "slow"}
    assert read(Declared, environ) == Declared(number=9, bound=3, choice="slow")


@pytest.mark.parametrize("number", ["0", "10", "1.0", "+1", "-1", " 1", "x", "\u0661"])
def test_a_number_is_written_in_digits_and_within_its_bounds(number: str) -> None:
    """The mistake says which setting, what was given, and what may be given."""
    assert _mistakes({"ROLLCALL_NUMBER": number}) == [
        f"ROLLCALL_NUMBER is {number!r}: a whole number from 1 to 9."
    ]


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    """Whatever they are."""
    environ = {
        "ROLLCALL_NUMBER": "0",
        "ROLLCALL_CHOICE": "no",
        "ROLLCALL_PASSWORD_FILE": str(tmp_path),
    }
    assert _mistakes(environ) == [
        "ROLLCALL_NUMBER is '0': a whole number from 1 to 9.",
        "ROLLCALL_CHOICE is 'no': one of slow, fast.",
        (
            f"ROLLCALL_PASSWORD_FILE names {str(tmp_path)!r}, which can't be read (Is a directory):"
            " name a file that this user may read."
        ),
    ]


@pytest.mark.parametrize("name", [each.name for each in SECRETS])
def test_every_secret_may_stand_in_a_file(name: str, tmp_path: Path) -> None:
    """One newline at the end of the file is no part of it, and nobody is shown what it holds."""
    path = tmp_path / "secret"
    value = VALID.get(name, "hunter2hunter2hunter2")
    registry = {
        "ROLLCALL_SCHEMA_REGISTRY_URL": "http://127.0.0.1:1",
        "ROLLCALL_SMTP_SENDER": "rollcall@example.org",
    }
    path.write_text(f"{value}\n")
    base = {key: each for key, each in (ENVIRON | registry).items() if key != name}
    settings = read(ApiSettings, base | {f"{name}_FILE": str(path)})
    assert settings == read(ApiSettings, base | {name: value})
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(loggable(settings))


def test_one_newline_alone_is_taken_off(tmp_path: Path) -> None:
    """A password may end in one all the same."""
    path = tmp_path / "secret"
    path.write_text(" two \n\n")
    assert read(Declared, {"ROLLCALL_PASSWORD_FILE": str(path)}).password == " two \n"


def test_a_secret_is_given_once(tmp_path: Path) -> None:
    """A value and a file are a mistake, even where they say the same."""
    path = tmp_path / "secret"
    path.write_text("hunter2")
    environ = {"ROLLCALL_PASSWORD": "hunter2", "ROLLCALL_PASSWORD_FILE": str(path)}
    assert _mistakes(environ) == [
        "ROLLCALL_PASSWORD and ROLLCALL_PASSWORD_FILE are both set: keep one of them."
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With the reason; what it holds is not shown."""
    missing, binary = tmp_path / "missing", tmp_path / "binary"
    binary.write_bytes(b"hunter2\xff")
    for path, reason in ((missing, "No such file or directory"), (binary, "it is not UTF-8")):
        (mistake,) = _mistakes({"ROLLCALL_PASSWORD_FILE": str(path)})
        assert f"{str(path)!r}, which can't be read ({reason})" in mistake
        assert "hunter2" not in mistake


@pytest.mark.parametrize("conninfo", ["nonsense", "host=a password=my hunter2", "postgresql://[::"])
def test_a_database_must_have_an_address(conninfo: str) -> None:
    """What stands there is not shown: it may hold a part of the password."""
    with pytest.raises(SettingsError) as error:
        read(ApiSettings, ENVIRON | {"ROLLCALL_DATABASE_URL": conninfo})

    assert str(error.value) == (
        "ROLLCALL_DATABASE_URL is no libpq conninfo or URL, such as postgresql://user@host/database."
    )


def test_only_secrets_have_files(tmp_path: Path) -> None:
    """Of other settings the name with _FILE at its end means nothing."""
    path = tmp_path / "value"
    path.write_text("3")
    assert read(Declared, {"ROLLCALL_NUMBER_FILE": str(path)}).number == 5


def test_secrets_of_kafka_may_stand_in_files(tmp_path: Path) -> None:
    """Whichever of librdkafka's properties they are; all others are passed on as they stand."""
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    environ = ENVIRON | {
        "ROLLCALL_KAFKA_SASL_PASSWORD_FILE": str(path),
        "ROLLCALL_KAFKA_SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE": str(path),
    }
    settings = read(ApiSettings, environ)
    assert settings.shared.kafka == {
        "bootstrap.servers": "127.0.0.1:9092",
        "sasl.password": "hunter2",
        "sasl.oauthbearer.assertion.private.key.file": str(path),
    }
    assert "hunter2" not in str(loggable(settings))
    with pytest.raises(SettingsError, match="SASL_PASSWORD_FILE are both set"):
        read(ApiSettings, environ | {"ROLLCALL_KAFKA_SASL_PASSWORD": "hunter2"})


def test_a_setting_takes_the_place_of_one_in_a_file() -> None:
    """So that a stack's own settings are no second value."""
    environ = {"ROLLCALL_PASSWORD_FILE": "/run/secret", "PATH": "/bin"}
    assert with_settings(environ, {"ROLLCALL_PASSWORD": "x"}) == {
        "PATH": "/bin",
        "ROLLCALL_PASSWORD": "x",
    }
