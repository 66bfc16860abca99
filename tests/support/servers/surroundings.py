"""The real broker and the real database that a test session uses.

Addresses from the environment win (``ROLLCALL_TEST_KAFKA``, bootstrap servers,
and ``ROLLCALL_TEST_DATABASE_URL``, of a role that may create databases); else
containers where a Docker engine answers; else the local stack in a folder that
is thrown away.

All tests share them, side by side too, so that no test may stop, freeze or fill
them: those that do take the ``stack``, servers that only they use.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import psycopg
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from psycopg import sql
from psycopg.conninfo import make_conninfo

from deploy.local_stack.stack import LocalStack
from schemas.config.environment import read
from schemas.config.settings import Settings
from tests.support.servers.breaking import restart

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from deploy.local_stack.postgres import PostgresServer


_KAFKA: Final = "ROLLCALL_TEST_KAFKA"
_DATABASE: Final = "ROLLCALL_TEST_DATABASE_URL"
_POSTGRES: Final = ("fsync = off", "max_connections = 500")
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it
_PLENTY_BYTES: Final = 16 << 30
"""Twice what the whole suite has come to there, with its processes."""
PARTITIONS = 3
"""Of user-events in tests: more than the workers of any test need, few enough to be made fast."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the broker and the database are; ``stack`` only where they are a test's to break."""

    bootstrap_servers: str
    conninfo: str
    stack: LocalStack | None = None


@contextlib.contextmanager
def surroundings() -> Generator[Surroundings]:
    """The broker and the database, up as long as the context is open."""
    kafka = os.environ.get(_KAFKA)
    database = os.environ.get(_DATABASE)
    if kafka and database:
        yield Surroundings(kafka, database)
        return
    started = _containers() if _is_docker_there() else own_servers()
    with started as found:
        yield Surroundings(kafka or found.bootstrap_servers, database or found.conninfo)


@contextlib.contextmanager
def shared_surroundings() -> Generator[None]:
    """Processes that are started as long as the context is open use the same ones."""
    with surroundings() as found:
        os.environ[_KAFKA] = found.bootstrap_servers
        os.environ[_DATABASE] = found.conninfo
        yield


def _is_docker_there() -> bool:
    """Whether a Docker engine listens; clients of it leak a socket where none does."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    scheme, _, address = host.partition("://")
    is_unix = scheme == "unix"
    name, _, port = address.rpartition(":")
    with socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET) as probe:
        probe.settimeout(2)
        try:
            probe.connect(address if is_unix else (name, int(port)))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def _containers() -> Generator[Surroundings]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # testcontainers moves its modules
        from testcontainers.community.kafka import KafkaContainer  # noqa: PLC0415 - slow, rare
        from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415

        kafka = KafkaContainer("confluentinc/cp-kafka:7.9.0").with_kraft()
        with kafka, PostgresContainer("postgres:18", driver=None) as postgres:
            yield Surroundings(kafka.get_bootstrap_server(), postgres.get_connection_url())


def is_memory_plenty() -> bool:
    """Whether servers' files may be in memory: those made and dropped by thousands cost less."""
    if not _SHARED_MEMORY.is_dir():
        return False
    free = min(shutil.disk_usage(_SHARED_MEMORY).free, psutil.virtual_memory().available)
    return free >= _PLENTY_BYTES


@contextlib.contextmanager
def own_servers() -> Generator[Surroundings]:
    """A broker and a database that nobody else uses, gone afterwards with all that they held."""
    where = _SHARED_MEMORY if is_memory_plenty() else None
    folder = Path(tempfile.mkdtemp(prefix="rollcall-test-", dir=where))
    folder.chmod(0o755)  # where we are root, Postgres runs as another user
    try:
        with LocalStack(folder) as stack:
            set_for_tests(stack.postgres)
            yield Surroundings(stack.bootstrap_servers, stack.conninfo, stack)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def set_for_tests(postgres: PostgresServer) -> None:
    """Let Postgres take all tests' connections, and not wait for the disk.

    What a killed server wrote, the kernel still has.
    """
    with psycopg.connect(postgres.conninfo, autocommit=True) as connection:
        for setting in _POSTGRES:
            connection.execute(sql.SQL("ALTER SYSTEM SET ") + sql.SQL(setting))
    postgres.stop()
    restart(postgres)


@dataclass(frozen=True, slots=True)
class Ground:
    """One test's own part of the surroundings: a database, topic names, a group.

    ``environ`` is what the services are started with.
    """

    environ: Mapping[str, str]
    surroundings: Surroundings

    @property
    def settings(self) -> Settings:
        """The settings as a service reads them."""
        return read(Settings, self.environ)

    @property
    def conninfo(self) -> str:
        """Of this test's database."""
        return self.environ["ROLLCALL_DATABASE_URL"]

    @property
    def password(self) -> str:
        """Of ``admin``."""
        return self.environ["ROLLCALL_ADMIN_PASSWORD"]


@contextlib.contextmanager
def ground(of: Surroundings, **settings: str) -> Generator[Ground]:
    """A new database and new names; both are dropped at the end.

    ``settings`` are further ``ROLLCALL_`` settings, named without the prefix.
    """
    name = f"t{secrets.token_hex(5)}"
    database = sql.Identifier(name)
    with psycopg.connect(of.conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(database))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ROLLCALL_")}
    environ = kept | {
        "ROLLCALL_KAFKA_BOOTSTRAP_SERVERS": of.bootstrap_servers,
        "ROLLCALL_DATABASE_URL": make_conninfo(of.conninfo, dbname=name),
        "ROLLCALL_TOPIC_PREFIX": f"{name}-",
        "ROLLCALL_GROUP": name,
        "ROLLCALL_PARTITIONS": str(PARTITIONS),
        "ROLLCALL_ADMIN_PASSWORD": secrets.token_urlsafe(12),
        "ROLLCALL_HOST": "127.0.0.1",
        # Delserts here replace audiences at will; tests of the limits set their own.
        "ROLLCALL_DELSERT_MAX_REJECTED_PERCENT": "100",
        "ROLLCALL_DELSERT_MAX_DELETE_PERCENT": "100",
    }
    environ |= {f"ROLLCALL_{key.upper()}": value for key, value in settings.items()}
    made = Ground(environ, of)
    try:
        yield made
    finally:
        with psycopg.connect(of.conninfo, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
        _drop_topics(made)


def _drop_topics(of: Ground) -> None:
    admin = AdminClient({"bootstrap.servers": of.surroundings.bootstrap_servers})
    prefix = of.environ["ROLLCALL_TOPIC_PREFIX"]
    there = [name for name in admin.list_topics(timeout=60).topics if name.startswith(prefix)]
    if there:
        for done in admin.delete_topics(there).values():  # pyright: ignore[reportUnknownVariableType]
            try:
                done.result(timeout=60)
            except KafkaException as error:
                # The list still held a topic whose deletion had begun, by the test's own services.
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
