"""The services under measurement: processes of a fresh installation, and what they used."""

import secrets
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
from confluent_kafka.admin import AdminClient
from psycopg import sql
from psycopg.conninfo import make_conninfo

from deploy.local_stack.ports import free_ports
from deploy.local_stack.stack import LocalStack
from deploy.processes.child import Child
from deploy.processes.services import api_and_publisher, builder, processors
from schemas.config.environment import read
from schemas.config.settings import Settings
from tests.bench.client import Client

STOP_TIMEOUT_S = 20
READY_TIMEOUT_S = 60
PARTITIONS = 6
_ADMIN_TIMEOUT_S = 20


class Installation:
    """One fresh set of topics and one fresh database, and the services that use them."""

    def __init__(self, environ: Mapping[str, str], logs: Path) -> None:
        self._environ = environ
        self.client = self.another_client()
        self.settings = read(Settings, environ)
        self._logs = logs
        self._children: dict[str, Child] = {}

    def another_client(self) -> Client:
        """A client with a connection of its own; whoever asks for it closes it."""
        port, password = self._environ["ROLLCALL_PORT"], self._environ["ROLLCALL_ADMIN_PASSWORD"]
        return Client(int(port), password)

    def start_api_and_publisher(self) -> None:
        """Starts both, and returns at once."""
        for service in api_and_publisher(self._environ, log_dir=self._logs):
            self._children[service.name] = service.start()

    def start_processors(self, count: int) -> None:
        """Starts so many processors, and returns at once."""
        for service in processors(self._environ, count=count, log_dir=self._logs):
            self._children[service.name] = service.start()

    def start_builder(self) -> None:
        """Starts the builder, and returns at once."""
        service = builder(self._environ, log_dir=self._logs)
        self._children[service.name] = service.start()

    def stop_processors(self) -> None:
        """Ends the processors in order."""
        _stop([self._children.pop(name) for name in list(self._children) if "processor" in name])

    def stop(self) -> None:
        """Ends all processes; none is left on return."""
        self.client.close()
        _stop(self._children.values())

    def checkpoint(self) -> None:
        """Has Postgres write out what is dirty, so that each measurement begins alike."""
        with psycopg.connect(self.settings.database_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def memory_mb(self) -> dict[str, float]:
        """What each process and its children have resident now, by its name."""
        return {name: _resident_mb(child.pid) for name, child in self._children.items()}

    def peak_memory_bytes(self) -> dict[str, int]:
        """The most that each process has had resident (VmHWM), by its name."""
        return {name: _peak_bytes(child.pid) for name, child in self._children.items()}


@contextmanager
def installation(stack: LocalStack, logs: Path) -> Generator[Installation]:
    """A fresh database and fresh topics, without processes yet; takes all away at the end."""
    name = f"bench_{secrets.token_hex(4)}"
    environ = _environment(stack, name)
    with _database(stack.conninfo, name), _topics_dropped(environ):
        installed = Installation(environ, logs)
        try:
            yield installed
        finally:
            installed.stop()


def _environment(stack: LocalStack, name: str) -> dict[str, str]:
    inherited = stack.environment()
    kept = {key: value for key, value in inherited.items() if not _is_setting(key)}
    return kept | {
        "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "ROLLCALL_DATABASE_URL": make_conninfo(stack.conninfo, dbname=name),
        "ROLLCALL_TOPIC_PREFIX": f"{name}-",
        "ROLLCALL_GROUP": name,
        "ROLLCALL_PARTITIONS": str(PARTITIONS),
        "ROLLCALL_ADMIN_PASSWORD": secrets.token_urlsafe(12),
        "ROLLCALL_HOST": "127.0.0.1",
        "ROLLCALL_PORT": str(free_ports(1)[0]),
    }


def _is_setting(name: str) -> bool:
    return name.startswith("ROLLCALL_") and not name.startswith("ROLLCALL_STACK_")


def _stop(children: Iterable[Child]) -> None:
    running = list(children)
    for child in running:
        child.ask_to_stop()
    for child in running:
        child.stop(STOP_TIMEOUT_S)


@contextmanager
def _database(conninfo: str, name: str) -> Generator[None]:
    database = sql.Identifier(name)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(database))
        try:
            yield
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


@contextmanager
def _topics_dropped(environ: Mapping[str, str]) -> Generator[None]:
    try:
        yield
    finally:
        settings = read(Settings, environ)
        admin = AdminClient({"bootstrap.servers": environ["ROLLCALL_KAFKA_BOOTSTRAP_SERVERS"]})
        there = set(admin.list_topics(timeout=_ADMIN_TIMEOUT_S).topics)
        names = [topic.name for topic in settings.topics.all() if topic.name in there]
        for dropped in admin.delete_topics(names).values() if names else ():  # pyright: ignore[reportUnknownVariableType]
            dropped.result(_ADMIN_TIMEOUT_S)


def _resident_mb(pid: int) -> float:
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    return sum(each.memory_info().rss for each in family) / 1e6


def _peak_bytes(pid: int) -> int:
    process = psutil.Process(pid)
    return sum(_own_peak_bytes(each) for each in [process, *process.children(recursive=True)])


def _own_peak_bytes(process: psutil.Process) -> int:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:  # not Linux: what it has now, for want of its peak
        return int(process.memory_info().rss)
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024
