"""Arguments, names, passwords, files and terminals that are not UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest
from click.testing import CliRunner

from deploy.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

_NOWHERE = {"ROLLCALL_URL": "http://127.0.0.1:1", "ROLLCALL_USER": "", "ROLLCALL_TOKEN": "t"}
_BYTE = "\udcff"
"""The byte 0xff, as Python has it in arguments and the environment (PEP 383)."""


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env=_NOWHERE)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[httpx2.Request]:
    """The requests that would have been sent, each with its body."""
    requests: list[httpx2.Request] = []

    def respond(_: object, request: httpx2.Request) -> httpx2.Response:
        request.read()
        requests.append(request)
        return httpx2.Response(400, json={"message": "no"})

    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", respond)
    return requests


@pytest.mark.parametrize("command", [("import",), ("inspect",), ("import", "--dry-run")])
def test_a_file_of_any_name_is_sent(
    tmp_path: Path, sent: list[httpx2.Request], command: tuple[str, ...]
) -> None:
    """Under a name with U+FFFD for what is no text in it."""
    file = tmp_path / "caf\udce9.csv"
    file.write_text("Email\n")

    result = _run(*command, str(file))

    assert result.stderr.startswith("Error: 400: no")
    assert 'filename="caf\ufffd.csv"'.encode() in sent[0].content


@pytest.mark.parametrize(
    "arguments",
    [
        ("presets", "show", f"a{_BYTE}"),
        ("results", f"a{_BYTE}"),
        ("users", "--search", f"a{_BYTE}"),
        ("attributes", "add", f"a{_BYTE}", "--type", "string"),
    ],
)
def test_an_argument_that_cannot_be_sent_is_named(arguments: tuple[str, ...]) -> None:
    """In a path, a query or a body."""
    result = _run(*arguments)

    assert result.exit_code == 2
    assert result.stderr == "Error: only UTF-8 can be sent, and this is not UTF-8: a\\xff\n"


@pytest.mark.parametrize("name", ["ROLLCALL_USER", "ROLLCALL_PASSWORD"])
def test_an_account_that_cannot_be_sent_is_named(name: str) -> None:
    """By its variable; a password is not shown."""
    account = {"ROLLCALL_TOKEN": "", "ROLLCALL_USER": "crm", "ROLLCALL_PASSWORD": "x"}
    environ = _NOWHERE | account | {name: f"a{_BYTE}"}
    result = CliRunner().invoke(main, ("jobs",), env=environ)

    assert result.exit_code == 2
    assert result.stderr == f"Error: {name} is not UTF-8.\n"


def test_an_idempotency_key_may_be_any_text(tmp_path: Path, sent: list[httpx2.Request]) -> None:
    """It is sent as UTF-8."""
    file = tmp_path / "users.csv"
    file.write_text("Email\n")

    _run("import", str(file), "--idempotency-key", "Übung")

    assert (b"Idempotency-Key", "Übung".encode()) in sent[0].headers.raw


def test_a_new_password_must_be_text() -> None:
    """It is read from standard input, and not shown."""
    command = ("accounts", "add", "x", "--role", "reader", "--ask-password")
    result = CliRunner().invoke(main, command, env=_NOWHERE, input=b"\xff\n")

    assert result.exit_code == 2
    assert result.stderr == "Error: the password is not UTF-8\n"


def test_what_a_terminal_has_no_characters_for_is_escaped() -> None:
    """Nothing is lost, and no output ends in the middle."""
    result = CliRunner(charset="latin-1").invoke(main, ["settings"], env=_NOWHERE)

    assert result.exit_code == 0
    assert "\\u2026" in result.stdout
