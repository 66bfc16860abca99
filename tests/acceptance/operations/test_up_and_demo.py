"""`./rollcall up` and `./rollcall demo`, as a user runs them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest

from deploy.local_stack.data_dir import DataDir
from deploy.local_stack.ports import free_ports
from tests.support.checkout import CHECKOUT
from tests.support.clients.client import Client
from tests.support.servers.stack_processes import processes_of
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psutil

    from tests.support.servers.surroundings import Ground

_ROLLCALL = CHECKOUT / "rollcall"
_PASSWORD = "correct horse"
_READY_S = 90
_ONE_USER = b"First Name,Last Name,Email,Country\nAda,Lovelace,ada@example.com,UK\n"


class _Up:
    """`./rollcall up` on a folder of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_ports(1)[0]
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Starts it; also after it was killed."""
        environment = os.environ | {"ROLLCALL_ADMIN_PASSWORD": _PASSWORD}
        command = [str(_ROLLCALL), "up", "--data-dir", str(self.data_dir)]
        self.process = subprocess.Popen([*command, f"--port={self.port}"], env=environment)
        return self.process

    def client(self) -> Client:
        """A client, once an upload would be processed."""
        client = Client(f"http://127.0.0.1:{self.port}", _PASSWORD)
        wait_until(client.is_ready, _READY_S, saying="up is ready")
        return client

    def end(self, signal_number: signal.Signals) -> int:
        """Sends the signal; the exit status."""
        self.process.send_signal(signal_number)
        return self.process.wait(60)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[_Up]:
    """A running `./rollcall up`, which is stopped at the end."""
    running = _Up(tmp_path)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGTERM)


def test_up_starts_what_dies_and_keeps_what_it_was_given(up: _Up) -> None:
    """A service, the broker and the database are killed in turn, and every upload goes in."""
    with up.client() as client:
        for number, part in enumerate(("processor", "ingest_api.publisher", "kafka", "postgres")):
            _process_of(up, part).kill()
            file = _ONE_USER.replace(b"ada@", b"ada%d@" % number)
            job_id = wait_until(
                partial(_taken, client, file), _READY_S, saying=f"uploads are taken after {part}"
            )
            assert client.wait_ended(job_id)["inserted"] == 1

    assert up.end(signal.SIGTERM) == 128 + signal.SIGTERM
    assert not processes_of(up.data_dir)


def _taken(client: Client, file: bytes) -> int:
    """The job's id; 0 where the upload has to be tried again."""
    answer = client.upload(file)
    assert answer.status_code in {200, 503}, answer.text
    return int(answer.json()["id"]) if answer.status_code == 200 else 0


def test_kill_of_up_loses_nothing(tmp_path: Path) -> None:
    """After kill -9 the next start ends what is left, works, and has every user.

    The password, which was generated and printed, stays the same; its owner alone may read it.
    """
    environment = {k: v for k, v in os.environ.items() if k != "ROLLCALL_ADMIN_PASSWORD"}
    path, port = tmp_path / "admin-password", free_ports(1)[0]
    command = [_ROLLCALL, "up", "--data-dir", tmp_path, f"--port={port}"]
    ends = {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 128 + signal.SIGINT}
    printed: list[str] = []
    for end, status in ends.items():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
        try:
            printed.append(_printed_until_ready(process))
            with Client(f"http://127.0.0.1:{port}", path.read_text()) as client:
                ended = client.wait_ended(client.submit(_ONE_USER))
            assert (ended["inserted"], ended["rejected"]) == ((1, 0), (0, 1))[len(printed) - 1]
            assert _users(tmp_path) == "ada@example.com\n"
            process.send_signal(end)
            assert process.wait(60) == status
        finally:
            process.terminate()
            process.communicate()

    password = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert all(f"Password: {password}  (kept in {path})\n" in text for text in printed)


def _printed_until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines: list[str] = []
    while (line := process.stdout.readline()) != "Ctrl-C stops it.\n":
        assert line, f"it has ended with {process.wait()}: {lines}"
        lines.append(line)
    return "".join(lines)


def _users(data_dir: Path) -> str:
    return subprocess.run(
        [_ROLLCALL, "psql", "--data-dir", data_dir, "-Atc", "SELECT key FROM users"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.mark.parametrize(
    ("name", "value"), [("ROLLCALL_ADMIN_PASSWORD", "short"), ("ROLLCALL_PARTITIONS", "abc")]
)
def test_a_wrong_setting_ends_up_before_anything_starts(
    tmp_path: Path, name: str, value: str
) -> None:
    """With exit code 2 and a sentence that names it."""
    folder = tmp_path / "data"
    command = [_ROLLCALL, "up", "--data-dir", folder, f"--port={free_ports(1)[0]}"]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | {name: value}
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"Error: {name} ")
    assert not folder.exists()


def test_serve_ends_where_its_port_is_taken(env: Ground) -> None:
    """Starting it again would end the same way, and whoever started it must see that."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [_ROLLCALL, "serve", f"--port={port}"],
            check=False,
            capture_output=True,
            text=True,
            env=env.environ,
            timeout=_READY_S,
        )
    assert ended.returncode == 2
    assert f"can't listen on 127.0.0.1 port {port}" in ended.stdout + ended.stderr
    assert "Error: ingest_api can't run" in ended.stderr


def test_demo_ends_as_expected(tmp_path: Path) -> None:
    """The samples come to the counts that were worked out for them, and nothing is left."""
    demo = subprocess.run(
        [_ROLLCALL, "demo", "--exit", "--data-dir", tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stdout.count("All counts are as expected.") == 4
    assert not processes_of(tmp_path)


def _process_of(up: _Up, part: str) -> psutil.Process:
    def found() -> list[psutil.Process]:
        return [each for each in processes_of(up.data_dir) if _is(each, part, up.data_dir)]

    return wait_until(found, 30, saying=f"{part} runs")[0]


def _is(process: psutil.Process, part: str, data_dir: Path) -> bool:
    command = process.cmdline()
    if part == "kafka":
        return "kafka.Kafka" in command
    if part == "postgres":
        return "-D" in command and str(DataDir(data_dir).postgres) in command
    return command[-2:] == ["-m", part]
