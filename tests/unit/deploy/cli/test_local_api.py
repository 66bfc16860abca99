"""Commands that are told neither a URL nor an account, beside stacks that run here."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from deploy.cli.main import main
from deploy.local_stack.data_dir import POSTGRES_PORT, DataDir, StackAddresses
from deploy.local_stack.running_apis import RunningApi, recorded, running_apis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

_NOT_TOLD = {"ROLLCALL_URL": "", "ROLLCALL_USER": "", "ROLLCALL_TOKEN": "", "ROLLCALL_DATA_DIR": ""}


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Stacks]:
    """Stacks that seem to run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with ExitStack() as stack:
        yield _Stacks(tmp_path, stack)


class _Stacks:
    """What a command sees of stacks: their records, and that their database listens."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack

    def add(self, name: str, port: int, *, is_running: bool = True) -> Path:
        """Record one that would answer at the port, where nobody listens; return its folder."""
        folder = self.folder / name
        folder.mkdir()
        password = folder / "admin-password"
        password.write_text("kept")
        DataDir(folder).write_addresses(StackAddresses("kafka:1", "", str(folder)))
        if is_running:
            listener = self.stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(f"{folder}/.s.PGSQL.{POSTGRES_PORT}")
            listener.listen()
        api = RunningApi(f"http://127.0.0.1:{port}", str(folder), str(password))
        self.stack.enter_context(recorded(api))
        return folder


def _jobs(**environ: str) -> Result:
    return CliRunner().invoke(main, ("jobs",), env=_NOT_TOLD | environ)


def test_the_stack_that_runs_here_is_asked(stacks: _Stacks) -> None:
    """With the account that it keeps; one that was killed is not."""
    stacks.add("killed", 2, is_running=False)
    stacks.add("one", 1)

    assert _jobs().stderr.startswith("Error: http://127.0.0.1:1 could not be reached")


def test_of_two_stacks_one_must_be_named(stacks: _Stacks) -> None:
    """By its URL or its folder; the message has both."""
    folders = [stacks.add("one", 1), stacks.add("two", 2)]

    refused = _jobs()
    assert refused.exit_code == 2
    assert all(f"http://127.0.0.1:{port}" in refused.stderr for port in (1, 2))
    told = _jobs(ROLLCALL_DATA_DIR=str(folders[1]))
    assert told.stderr.startswith("Error: http://127.0.0.1:2 could not be reached")


def test_without_a_stack_an_account_must_be_named(stacks: _Stacks) -> None:
    """What is recorded ends with the stack; a password is never taken for another account."""
    assert running_apis() == []
    assert "no credentials" in _jobs().stderr
    stacks.add("one", 1)
    assert "no credentials" in _jobs(ROLLCALL_USER="crm").stderr


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"url": 1}', "\udcff"])
def test_a_stack_whose_record_is_damaged_does_not_run(stacks: _Stacks, damaged: str) -> None:
    """Whichever of its two files is; another stack is asked as before."""
    (stacks.add("damaged", 2) / "stack.json").write_text(damaged, errors="surrogateescape")
    record = stacks.folder / "state" / "rollcall" / "stacks" / "damaged.json"
    record.write_text(damaged, errors="surrogateescape")
    stacks.add("one", 1)

    assert _jobs().stderr.startswith("Error: http://127.0.0.1:1 could not be reached")
    named = CliRunner().invoke(main, ("psql", "--data-dir", str(stacks.folder / "damaged")))
    assert "no stack runs on" in named.stderr
