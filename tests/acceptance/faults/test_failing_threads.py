"""A thread that fails takes its process with it, and the supervisor starts that again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest

from deploy.processes.services import api_and_publisher, processors
from deploy.processes.supervisor import Supervised, Supervisor
from tests.support.checkout import CHECKOUT
from tests.support.clients.client import Client
from tests.support.data.files import tidy_csv
from tests.support.servers.services import free_port
from tests.support.servers.surroundings import ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from deploy.processes.child import Child
    from tests.support.servers.surroundings import Ground, Surroundings

_FAILING = CHECKOUT / "tests/support/servers/failing"
_FAILED = "process ends: a thread has failed"
_TIMEOUT_S = 60
_ISSUER = {
    "jwt_issuer": "https://issuer.example",
    "jwt_audience": "rollcall",
    "jwt_jwks_url": "http://127.0.0.1:1/keys",
}
"""Nobody answers there, so its keys are asked for again and again."""
_LEARNING = """
import threading
from processor.kafka.schema_cache import WriterSchemas
from schemas.config.logs import configure_logging
from schemas.config.registry import SchemaRegistry
from schemas.runtime.essential import end_process_on_failure

configure_logging()
end_process_on_failure()
schemas = WriterSchemas(SchemaRegistry(url="http://127.0.0.1:1"))
schemas.want([7], 0)
threading.Event().wait()
"""


@dataclass(slots=True)
class _Supervised:
    """An installation that is supervised as users' are; ``children`` holds each start."""

    env: Ground
    client: Client
    folder: Path
    children: dict[str, list[Child]] = field(default_factory=dict[str, "list[Child]"])

    def noting(self, service: Supervised) -> Supervised:
        def start() -> Child:
            child = service.start()
            self.children.setdefault(service.name, []).append(child)
            return child

        return Supervised(service.name, start)

    def fail(self, service: str, thread: str) -> Child:
        """Have a thread or a task of the service fail; the process that had it, ended."""
        child = self.children[service][-1]
        (self.folder / "failing").write_text(thread)
        _fail_until_ended(child.pid, child.poll)
        return child

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.env.conninfo, autocommit=True) as connection:
            connection.execute(statement.encode())

    def assert_ended(self, child: Child, thread: str, error: str) -> None:
        """Fail unless it ends with 1, and with a line that names the thread and why."""
        wait_until(lambda: child.poll() is not None, _TIMEOUT_S, saying=f"{thread} ends it")
        assert child.poll() == 1
        found = [
            line
            for line in _lines(self.folder / f"{child.spec.name}.log")
            if line["message"] == _FAILED and line["error"].startswith(error)
        ]
        assert thread in [line["thread"] for line in found], found

    def assert_goes_on(self) -> None:
        """Fail unless what is started again takes an upload and does all of it."""
        wait_until(self.client.is_ready, _TIMEOUT_S, saying="all is up again")
        job_id = self.client.submit(tidy_csv(range(20)), "upsert")
        assert self.client.wait_ended(job_id)["state"] == "COMPLETED"


def _fail_until_ended(pid: int, poll: Callable[[], int | None]) -> None:
    """Have its thread fail; again where the error came up in a destructor, which loses it."""

    def is_ended() -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)
        return poll() is not None

    wait_until(is_ended, _TIMEOUT_S, saying="the thread ends its process", every_s=0.5)


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def supervised(
    surroundings_of_session: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Supervised]:
    """An API, a publisher and a processor; ready."""
    folder = tmp_path_factory.mktemp("supervised")
    port = free_port()
    with ground(surroundings_of_session, port=str(port), **_ISSUER) as env:
        environ = _can_fail(env.environ, folder)
        services = [
            *api_and_publisher(environ, log_dir=folder),
            *processors(environ, count=1, log_dir=folder),
        ]
        with Client(f"http://127.0.0.1:{port}", env.password) as client:
            made = _Supervised(env, client, folder)
            with Supervisor([made.noting(each) for each in services]):
                made.assert_goes_on()
                yield made


def _can_fail(environ: Any, folder: Path) -> dict[str, str]:
    path = os.pathsep.join((str(_FAILING), str(CHECKOUT)))
    return {**environ, "PYTHONPATH": path, "TEST_FAILING": str(folder / "failing")}


@pytest.mark.parametrize(
    ("service", "thread"),
    [
        ("ingest_api", "job-events"),
        ("ingest_api", "appender"),
        ("ingest_api", "log-moved"),
        ("ingest_api", "write-outcomes"),
        ("ingest_api", "issuer-keys"),
        ("processor-1", "outbox"),
    ],
)
def test_a_thread_that_fails_ends_its_process(
    supervised: _Supervised, service: str, thread: str
) -> None:
    """With exit code 1 and a line that says why; its supervisor starts it again, and it goes on."""
    child = supervised.fail(service, thread)
    supervised.assert_ended(child, thread, "MadeToFailError")
    supervised.assert_goes_on()


def test_an_outbox_that_cannot_be_read_ends_the_processor(supervised: _Supervised) -> None:
    """A fault of the tables that time does not heal: no job's status is kept back silently."""
    child = supervised.children["processor-1"][-1]
    supervised.execute("ALTER TABLE projection_1.outbox RENAME COLUMN headers TO gone")
    try:
        supervised.assert_ended(child, "outbox", "UndefinedColumn")
    finally:
        supervised.execute("ALTER TABLE projection_1.outbox RENAME COLUMN gone TO headers")
    supervised.assert_goes_on()


def test_a_projector_that_cannot_write_ends_the_processor(supervised: _Supervised) -> None:
    """Its error is the main thread's, which has handed it the batch."""
    child = supervised.children["processor-1"][-1]
    supervised.execute("ALTER TABLE projection_1.projection_offset RENAME COLUMN digest TO gone")
    try:
        supervised.client.submit(tidy_csv(range(5)), "upsert")
        supervised.assert_ended(child, "main", "UndefinedColumn")
    finally:
        supervised.execute(
            "ALTER TABLE projection_1.projection_offset RENAME COLUMN gone TO digest"
        )
    supervised.assert_goes_on()


def test_a_supervisor_that_fails_ends_the_command_and_all_its_services(
    env: Ground, tmp_path: Path
) -> None:
    """`./rollcall process` ends with 1; whoever started it starts it again."""
    environ = _can_fail(env.environ, tmp_path)
    (tmp_path / "failing").write_text("supervisor")
    with (tmp_path / "log").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "deploy", "process"],
            env=environ,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        mother = psutil.Process(process.pid)
        wait_until(lambda: len(mother.children()) >= 2, _TIMEOUT_S, saying="services are started")
        children = mother.children()
        process.send_signal(signal.SIGUSR1)
        assert process.wait(_TIMEOUT_S) == 1
        wait_until(lambda: not any(each.is_running() for each in children), _TIMEOUT_S)
    finally:
        process.kill()
        process.wait()
    assert '"thread": "supervisor"' in (tmp_path / "log").read_text()


def test_a_thread_that_learns_schemas_and_fails_ends_its_process(tmp_path: Path) -> None:
    """Else its partitions would wait for ever, and nobody would ask the registry."""
    log = tmp_path / "log"
    (tmp_path / "failing").write_text("schemas")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", _LEARNING],
            cwd=CHECKOUT,
            env=_can_fail(os.environ, tmp_path),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(
            lambda: "partitions wait" in log.read_text() or process.poll() is not None, _TIMEOUT_S
        )
        assert process.poll() is None, log.read_text()
        _fail_until_ended(process.pid, process.poll)
        assert process.wait() == 1
    finally:
        process.kill()
        process.wait()
    assert [line["thread"] for line in _lines(log) if line["message"] == _FAILED] == ["schemas"]
