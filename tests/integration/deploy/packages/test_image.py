"""The image's services, against a Kafka and a Postgres that were started apart from them.

Skipped unless ROLLCALL_TEST_IMAGE names an image of this checkout that podman has here, such as
`deploy/packages/image/build-here` makes.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from psycopg import conninfo, sql

from tests.support.checkout import CHECKOUT
from tests.support.clients.client import Client, counts
from tests.support.data.files import tidy_csv
from tests.support.servers.services import free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.servers.surroundings import Ground

_IMAGE: Final = os.environ.get("ROLLCALL_TEST_IMAGE", "")
pytestmark = pytest.mark.skipif(not _IMAGE, reason="ROLLCALL_TEST_IMAGE names no image")
_READY_S: Final = 120
_PODMAN: Final = ("podman", "--cgroup-manager", "cgroupfs", "--runtime", "runc")
_RUN: Final = (
    *("run", "--detach", "--network", "host", "--log-driver", "k8s-file"),
    *("--ulimit", "nofile=10000:10000", "--ulimit", "nproc=4000:4000"),
    # Nothing is writable, /tmp neither, and nothing may be done that the kernel asks rights for.
    *("--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges"),
)


def _podman(*arguments: str) -> str:
    done = subprocess.run(
        [*_PODMAN, *arguments], check=False, capture_output=True, text=True, timeout=_READY_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class _Containers:
    """Containers of the image, on the host's network, and the secrets that they read."""

    def __init__(self, env: Ground, secrets: Path) -> None:
        self._env = env
        self._secrets = secrets
        self.names: list[str] = []

    def _options(self, role: str, settings: dict[str, str]) -> list[str]:
        environ = {
            name: value
            for name, value in {**self._env.environ, **settings}.items()
            if name.startswith("ROLLCALL_") and name != "ROLLCALL_DATABASE_URL"
        }
        socket = conninfo.conninfo_to_dict(self._env.conninfo)["host"]
        return [
            *("--volume", f"{self._secrets}:/run/secrets:ro"),
            *(("--volume", f"{socket}:{socket}:ro") if str(socket).startswith("/") else ()),
            *("--env", f"ROLLCALL_DATABASE_URL_FILE=/run/secrets/{role}"),
            *(f"--env={name}={value}" for name, value in environ.items()),
        ]

    def start(self, module: str, role: str, **settings: str) -> str:
        name = _podman(
            *_RUN, *self._options(role, settings), _IMAGE, "python", "-m", module
        ).strip()
        self.names.append(name)
        return name

    def setup(self) -> str:
        options = self._options("rollcall_api", {})
        run = [each for each in _RUN if each != "--detach"]
        return _podman(*run, "--rm", *options, _IMAGE, "rollcall", "setup")

    def logs(self) -> str:
        """The end of what each has written."""
        return "\n".join(_podman("logs", "--tail", "15", name) for name in self.names)

    def stopped(self) -> list[str]:
        """Stop all as an orchestrator does; their exit codes."""
        for name in self.names:
            _podman("stop", "--time", "30", name)
        return [
            _podman("inspect", "--format", "{{.State.ExitCode}}", n).strip() for n in self.names
        ]


@contextmanager
def _containers(env: Ground) -> Generator[_Containers]:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the containers' user is another one
        with _with_secrets(env, Path(folder)) as made:
            yield made


@contextmanager
def _with_secrets(env: Ground, folder: Path) -> Generator[_Containers]:
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        connection.execute((CHECKOUT / "deploy/packages/postgres/roles.sql").read_bytes())
        for role in ("rollcall_api", "rollcall_processor"):
            statement = sql.SQL("ALTER ROLE {} PASSWORD 'a password'")
            connection.execute(statement.format(sql.Identifier(role)))
            url = conninfo.make_conninfo(env.conninfo, user=role, password="a password")
            (folder / role).write_text(url)
    made = _Containers(env, folder)
    try:
        yield made
    finally:
        if made.names:
            _podman("rm", "--force", "--time", "0", *made.names)


def test_an_import_goes_through_containers_of_the_image(env: Ground) -> None:
    """Set-up, API, publisher, processor and builder, read-only and without rights of any kind."""
    metrics, port = {"metrics_host": "127.0.0.1"}, str(free_port())
    with _containers(env) as containers:
        assert "The log is ready" in containers.setup()
        ports = [str(free_port()) for _ in range(3)]
        named = dict(
            zip(("ingest_api.publisher", "processor", "processor.builder"), ports, strict=True)
        )
        for module, metrics_port in named.items():
            role = "rollcall_api" if module.startswith("ingest") else "rollcall_processor"
            containers.start(module, role, **_prefixed(metrics_port=metrics_port, **metrics))
        containers.start("ingest_api", "rollcall_api", **_prefixed(port=port))
        with Client(f"http://127.0.0.1:{port}", env.password) as client:
            try:
                wait_until(client.is_ready, _READY_S, saying="the services are ready")
                status = client.wait_ended(client.submit(tidy_csv(range(200), word="a")), _READY_S)
            except TimeoutError as error:
                raise AssertionError(containers.logs()) from error
        for name in containers.names:
            _podman("exec", name, "healthy")
        codes = containers.stopped()
        assert (counts(status), codes) == ((200, 0, 0, 0), ["0"] * 4), containers.logs()


def _prefixed(**settings: str) -> dict[str, str]:
    return {f"ROLLCALL_{name.upper()}": value for name, value in settings.items()}
