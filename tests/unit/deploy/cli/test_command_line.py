"""The command line program, without anything that runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from click.testing import CliRunner

from deploy.cli.main import main
from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from click.testing import Result

_CALLING = (
    *("import", "status", "jobs", "errors", "undo", "redo", "cancel"),
    *("users list", "users get", "users create", "users modify", "users delete", "users history"),
    *("users export", "person"),
    *("attributes list", "attributes add"),
    *("sources", "dead-letters list", "dead-letters show"),
    *("accounts list", "accounts add", "accounts modify", "accounts delete"),
    *("tokens list", "tokens add", "tokens delete"),
    *("diff", "rebuild", "projections"),
)
"""Commands that call the API."""
_WITHOUT_CHOICE = {"users export", "person"}
"""Commands whose answer is a file, or always JSON."""
_NOWHERE = {"ROLLCALL_URL": "http://127.0.0.1:1", "ROLLCALL_USER": "", "ROLLCALL_TOKEN": "t"}


def _run(*arguments: str, environ: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, arguments, env=_NOWHERE if environ is None else environ)


def test_help_lists_every_command() -> None:
    """`./rollcall --help` shows all there is, in the order in which it is used."""
    result = _run("--help")

    listed = [line.split()[0] for line in result.output.partition("Commands:")[2].splitlines()[1:]]
    assert listed == [
        *("demo", "up", "serve", "process", "setup"),
        *("import", "inspect", "presets", "status", "jobs", "errors"),
        *("notes", "results", "proof"),
        *("undo", "redo", "cancel", "users", "person", "diff", "rebuild", "projections"),
        *("attributes", "sources"),
        *("dead-letters", "accounts", "tokens", "webhooks", "audit", "verify", "asyncapi", "erase"),
        "rekey",
        *("settings", "doctor", "psql", "test", "bench", "chaos"),
    ]


@pytest.mark.parametrize(
    "command",
    [
        *("demo", "up", "serve", "process", "psql", "undo", "redo"),
        *("users", "attributes", "accounts", "tokens", "asyncapi", "rekey"),
    ],
)
def test_each_command_explains_itself(command: str) -> None:
    """Each command can be imported and has its help."""
    result = _run(command, "--help")

    assert result.exit_code == 0
    assert f"Usage: main {command}" in result.output


def test_the_help_of_a_group_shows_the_filters_of_its_list() -> None:
    """Which is what the group does without a command."""
    shown = _run("users", "--help").output
    for option in ("--search", "--job", "--email", "--country", "--attribute", "--as-of"):
        assert option in shown


@pytest.mark.parametrize("command", _CALLING)
def test_help_of_what_calls_the_api_tells_all(command: str) -> None:
    """Examples, environment and exit status stand in the help, and secrets are no options."""
    result = _run(*command.split(), "--help")

    assert result.exit_code == 0
    assert f"  rollcall {command.removesuffix(' list')}" in result.output.partition("Examples:")[2]
    assert "ROLLCALL_TOKEN" in result.output.partition("Environment:")[2]
    assert "Refused" in result.output.partition("Exit status:")[2]
    assert "--url" in result.output
    assert ("--json" in result.output) == (command not in _WITHOUT_CHOICE)
    assert "--password" not in result.output


def test_an_unknown_command_is_refused() -> None:
    """A typing error is named."""
    result = _run("improt")

    assert result.exit_code == 2
    assert "No such command 'improt'" in result.output


@pytest.mark.parametrize(
    "url",
    [
        *("localhost:8080", "ftp://host", "http://", "http://host:x"),
        *("http://exämple..com", "http://a..b", "http://h\0", f"http://{'a' * 64}.com"),
    ],
)
def test_an_address_that_is_none_is_a_usage_error(url: str) -> None:
    """It is told before anything is asked or sent."""
    result = _run("jobs", "--url", url)

    assert result.exit_code == 2
    assert "is no address such as https://" in result.output


def test_blanks_around_the_address_are_taken_off() -> None:
    """As a file's last newline is, from which the variable was set."""
    result = _run("jobs", environ=_NOWHERE | {"ROLLCALL_URL": " http://127.0.0.1:1\n"})

    assert result.stderr.startswith("Error: http://127.0.0.1:1 could not be reached: ")


@pytest.mark.parametrize("proxy", ["nonsense://x", "x:y:z"])
def test_a_proxy_that_is_none_is_named(proxy: str) -> None:
    """By the variable that names it."""
    environ = _NOWHERE | {"ROLLCALL_URL": "http://example.invalid", "HTTP_PROXY": proxy}
    result = _run("jobs", environ=environ)

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: HTTP_PROXY can't be used: ")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://example.invalid"])
def test_certificates_that_cannot_be_read_are_named(tmp_path: Path, url: str) -> None:
    """A file that is missing, a folder, and what is no certificate."""
    other = tmp_path / "other"
    other.write_text("none")
    reasons = {
        tmp_path / "missing": "No such file or directory",
        tmp_path: "Is a directory",
        other: "it holds no certificate",
    }
    for path, reason in reasons.items():
        environ = _NOWHERE | {"ROLLCALL_URL": url, "SSL_CERT_FILE": str(path)}
        assert _run("jobs", environ=environ).stderr == (
            f"Error: SSL_CERT_FILE names {path}, which can't be read: {reason}\n"
        )


def test_a_password_in_the_address_is_refused() -> None:
    """Arguments can be read by every user of the machine."""
    result = _run("jobs", "--url", "http://admin:secret@127.0.0.1:1")

    assert result.exit_code == 2
    assert "use ROLLCALL_PASSWORD" in result.output
    assert "secret" not in result.output


def test_without_credentials_and_without_a_terminal_it_ends() -> None:
    """Nobody can be asked, so it says what to set."""
    result = _run("jobs", environ={"ROLLCALL_TOKEN": "", "ROLLCALL_USER": "admin"})

    assert result.exit_code == 2
    assert result.stderr == (
        "Error: no credentials: set ROLLCALL_USER and ROLLCALL_PASSWORD, "
        "or ROLLCALL_TOKEN to an API token\n"
    )


def test_a_token_with_a_line_break_is_refused() -> None:
    """It could not be sent as a header, and is not shown."""
    result = _run("jobs", environ={"ROLLCALL_TOKEN": "one\ntwo"})

    assert result.exit_code == 2
    assert result.stderr == "Error: ROLLCALL_TOKEN is no token: it holds characters that none has\n"


def test_an_unreachable_server_is_one_line() -> None:
    """Exit status 2, and what could not be reached."""
    result = _run("jobs")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: http://127.0.0.1:1 could not be reached: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("import", "nosuch.csv"), "File 'nosuch.csv' does not exist"),
        (("import", "-", "--mode", "replace"), "'replace' is not one of"),
        (("import", "-", "--dry-run", "--errors", "out.csv"), "--errors needs a finished import"),
        (("import", "-", "--no-wait", "--errors", "out.csv"), "--errors needs a finished import"),
        (
            ("import", "-", "--max-delete-percent", "5"),
            "--max-delete-percent is for --mode delsert",
        ),
        (("import", "-", "--errors", "no/such/out.csv"), "there is no such folder"),
        (("users", "modify", "5"), "Nothing to change"),
        (("import", "-", "--idempotency-key", ""), "--idempotency-key is empty"),
        (("users", "--attribute", "plan"), "It is NAME=VALUE."),
        (("users", "--attribute", "a=1", "--attribute", "a=2"), "a is given twice"),
        (("presets", "show", ".."), ".. can't be an id or a name"),
        (("results", "."), ". can't be an id or a name"),
        (("accounts", "modify", "crm"), "Nothing to change"),
        (("accounts", "add", "crm"), "Missing option '--role'"),
        (("accounts", "add", "crm", "--role", "admin", "--ask-password"), "no new password"),
        (("tokens", "add", "ci", "--role", "root"), "'root' is not one of"),
        (("attributes", "add", "plan", "--type", "text"), "'text' is not one of"),
        (("errors",), "Missing argument 'JOB_ID'"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(
    arguments: tuple[str, ...], message: str
) -> None:
    """Exit status 2, and what is wrong; the server need not be there."""
    result = _run(*arguments)

    assert result.exit_code == 2
    assert message in result.output
    assert "could not be reached" not in result.output


def test_a_group_without_a_command_lists() -> None:
    """`users` and `users --country …` are `users list`; they get as far as the server."""
    for arguments in (("users",), ("users", "--country", "Germany"), ("tokens",), ("accounts",)):
        assert "could not be reached" in _run(*arguments).stderr


def test_an_import_that_is_given_up_names_its_key(tmp_path: Path) -> None:
    """So that it can be started again without harm."""
    file = tmp_path / "users.csv"
    file.write_text("Email\n")

    result = _run("import", str(file), "--retry-for", "0", "--idempotency-key", "mine")

    assert result.exit_code == 2
    assert "the same import with --idempotency-key mine ends in one job" in result.stderr


@pytest.mark.parametrize("number", ["1.0e999", "1_000", "١٢", "12345678901234.567"])
def test_attributes_are_sent_as_they_were_given(
    monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    """The API judges a number by its text, as in a file; an empty one is null."""
    bodies: list[object] = []

    def respond(_: object, request: httpx2.Request) -> httpx2.Response:
        bodies.append(json.loads(request.read()))
        return httpx2.Response(200, json={"id": "7", "message": "done"})

    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", respond)
    given = (f"num={number}", "vip=TRUE", "plan=")
    attributes = [part for pair in given for part in ("--attribute", pair)]

    result = _run("users", "create", "--email", "a@example.com", "--no-sms", *attributes)

    assert result.exit_code == 0, result.output
    assert bodies == [
        {
            "email": "a@example.com",
            "smsSubscription": False,
            "attributes": {"num": number, "vip": "TRUE", "plan": None},
        }
    ]


def test_output_to_a_full_disk_is_one_line() -> None:
    """And what is left of it raises nothing at the exit."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "deploy", "settings"],
            cwd=CHECKOUT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (done.returncode, done.stderr) == (2, "Error: No space left on device\n")


@pytest.mark.parametrize("command", [("doctor",), ("erase", "x", "--yes"), ("verify",)])
def test_a_database_that_has_no_address_is_told(command: tuple[str, ...]) -> None:
    """With the exit status of wrong settings, before anybody is asked."""
    addresses = {
        "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "ROLLCALL_DATABASE_URL": "nonsense",
    }
    result = _run(*command, environ=addresses)

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ROLLCALL_DATABASE_URL is no libpq conninfo or URL")
