"""Runs all of Rollcall on this machine: the local stack and the services on it, supervised."""

import contextlib
import os
import secrets
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from deploy.api_client.client import Account, ApiClient
from deploy.local_stack.data_dir import DataDir, write_private
from deploy.local_stack.ports import HOST, is_free
from deploy.local_stack.running_apis import ADMIN, RunningApi, recorded
from deploy.local_stack.settings import StackSettings
from deploy.local_stack.stack import LocalStack
from deploy.processes.services import api_and_publisher, builder, processors
from deploy.processes.supervisor import Supervised, Supervisor
from schemas.config.environment import read, with_settings

DEFAULT_PORT = 8080
READY_TIMEOUT_S = 90.0


class NotReadyError(Exception):
    """The services did not become ready."""


class PortInUseError(Exception):
    """Another program listens on the port of the HTTP API."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The processes to run, and where."""

    data_dir: Path
    port: int | None
    """The port of the HTTP API; None takes 8080, or the next one that is free."""
    processors: int


@dataclass(frozen=True, slots=True)
class Running:
    """All of Rollcall, ready for uploads."""

    url: str
    account: Account
    password_path: Path | None
    """The file of the generated password; None where it was given."""
    log_dir: Path
    stack: LocalStack
    services: Supervisor
    is_password_right: bool
    """False where it was changed after the account was made."""


@contextlib.contextmanager
def running_rollcall(plan: Plan, console: Console) -> Generator[Running]:
    """Start everything, yield it once ready, and end all processes in order.

    Raises:
        NotReadyError: The services did not become ready; their logs say why.
        ServiceRefusedError: One can't run; starting it again would be in vain.
        PortInUseError: Another program listens on the port.
        DataDirInUseError: Another process uses the folder.
        JarError, JavaError, KafkaError, PostgresError: The stack cannot be started.
    """
    port = choose_port(plan.port)
    with LocalStack(plan.data_dir, console=console) as stack:
        password, password_path = admin_password(stack.data_dir)
        settings = own_settings(stack.bootstrap_servers, stack.conninfo, port)
        settings["ROLLCALL_ADMIN_PASSWORD"] = password
        settings["ROLLCALL_WATCHED_FOLDER"] = str(stack.data_dir.path)
        environment = with_settings(stack.environment(), settings)
        log_dir = stack.data_dir.logs
        services = [
            *api_and_publisher(environment, log_dir=log_dir),
            *processors(environment, count=plan.processors, log_dir=log_dir),
            builder(environment, log_dir=log_dir),
        ]
        account = Account(ADMIN, password)
        url = f"http://{HOST}:{port}"
        with _supervised_servers(stack), Supervisor(services) as supervisor:
            is_right = _wait_ready(url, account, log_dir, supervisor)
            kept = str(password_path) if password_path and is_right else ""
            with recorded(RunningApi(url, str(stack.data_dir.path), kept)):
                yield Running(url, account, password_path, log_dir, stack, supervisor, is_right)


def own_settings(kafka: str, postgres: str, port: int) -> dict[str, str]:
    """Return the settings of the services that the stack itself decides."""
    return {
        "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "ROLLCALL_DATABASE_URL": postgres,
        "ROLLCALL_HOST": HOST,
        "ROLLCALL_PORT": str(port),
    }


def choose_port(wanted: int | None) -> int:
    """Return the port for the HTTP API.

    Raises:
        PortInUseError: `wanted` is not free.
    """
    if wanted is None:
        return next(port for port in range(DEFAULT_PORT, DEFAULT_PORT + 1000) if is_free(port))
    if not is_free(wanted):
        raise PortInUseError(f"port {wanted} is in use; choose another with --port")
    return wanted


def admin_password(data_dir: DataDir) -> tuple[str, Path | None]:
    """Return the administrator's password, and the file that keeps it where it was generated.

    Raises:
        SettingsError: the one that is given can't be used.
    """
    given = read(StackSettings, os.environ).admin_password
    if given:
        return given, None
    path = data_dir.path / "admin-password"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(15))
    return path.read_text(), path


def _supervised_servers(stack: LocalStack) -> Supervisor:
    return Supervisor(
        [
            Supervised("kafka", stack.kafka.launch, running=stack.kafka.child),
            Supervised("postgres", stack.postgres.launch, running=stack.postgres.child),
        ]
    )


def _wait_ready(url: str, account: Account, log_dir: Path, services: Supervisor) -> bool:
    """Return, once an upload would be taken, whether the account gets in."""
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    with ApiClient(url, account) as client:
        while not client.is_ready():
            services.check()
            if time.monotonic() > deadline_s:
                message = f"not ready after {READY_TIMEOUT_S:.0f} s; see the logs in {log_dir}"
                raise NotReadyError(message)
            time.sleep(0.1)
        return client.is_let_in()
