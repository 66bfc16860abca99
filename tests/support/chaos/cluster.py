"""Brokers and a database for a history, each behind a proxy; gone afterwards with all they held."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from psycopg.conninfo import make_conninfo
from rich.console import Console

from deploy.local_stack.data_dir import POSTGRES_PORT
from deploy.local_stack.java import find_java
from deploy.local_stack.kafka import KafkaFiles, KafkaServer
from deploy.local_stack.kafka_jars import ensure_jars
from deploy.local_stack.ports import HOST, free_ports, keep_or_choose_ports
from deploy.local_stack.postgres import PostgresServer
from tests.support.chaos.proxy import Proxies
from tests.support.disks import tmpfs
from tests.support.servers.surroundings import Surroundings, is_memory_plenty, set_for_tests

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from tests.support.chaos.proxy import Proxy

_READY_TIMEOUT_S: Final = 180
_POSTGRES: Final = "Postgres"
_DISK_BYTES: Final = 8 << 30
"""Of each server: far more than a history comes to."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The servers and the proxies before them, by name; services know the proxies only."""

    surroundings: Surroundings
    servers: Mapping[str, KafkaServer | PostgresServer]
    proxies: Mapping[str, Proxy]
    disks: Mapping[str, Path]
    """Where each server's files are, if that can be made full."""

    @property
    def brokers(self) -> int:
        """How many brokers there are: so often each topic is kept."""
        return len(self.servers) - 1


@contextlib.contextmanager
def cluster(brokers: int) -> Generator[Cluster]:
    """Start so many brokers, each controller too, and Postgres; all answer."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-cluster-"))
    folder.chmod(0o755)  # where we are root, Postgres runs as another user
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        names = [*(f"broker {number}" for number in range(1, brokers + 1)), _POSTGRES]
        disks = {name: folder / name.replace(" ", "-") for name in names}
        for disk in disks.values():
            disk.mkdir(mode=0o755)
        can_be_full = _are_mounted(disks.values(), stack)
        proxies = stack.enter_context(Proxies())
        ports = free_ports(brokers + 1)
        kafka = _brokers([disks[name] for name in names[:-1]], ports[:-1], proxies)
        log = folder / "postgres.log"
        postgres = PostgresServer(disks[_POSTGRES] / "cluster", log, os.environ)
        stack.callback(shutil.rmtree, postgres.socket_dir, ignore_errors=True)
        for server in (*kafka, postgres):
            stack.callback(server.stop)
        _launch(kafka, postgres)
        proxies.add(_POSTGRES, ports[-1], f"{postgres.socket_dir}/.s.PGSQL.{POSTGRES_PORT}")
        bootstrap = ",".join(f"{HOST}:{port}" for port in ports[:-1])
        conninfo = make_conninfo(postgres.conninfo, host=HOST, port=ports[-1])
        yield Cluster(
            Surroundings(bootstrap, conninfo),
            dict(zip(names, (*kafka, postgres), strict=True)),
            proxies.by_name,
            disks if can_be_full else {},
        )


def _are_mounted(folders: Iterable[Path], stack: contextlib.ExitStack) -> bool:
    """Whether each folder is a filesystem of its own, in memory."""
    if not is_memory_plenty():
        return False
    try:
        for folder in folders:
            stack.enter_context(tmpfs.mounted(folder, _DISK_BYTES))
    except tmpfs.CannotMountError:
        return False
    return True


def _brokers(folders: list[Path], advertised: list[int], proxies: Proxies) -> list[KafkaServer]:
    jars, java = tuple(ensure_jars(Console(file=sys.stderr))), find_java()
    ports = [keep_or_choose_ports(folder / "ports.json", 2) for folder in folders]
    voters = ",".join(f"{number}@{HOST}:{port}" for number, (_, port) in enumerate(ports, 1))
    copies = str(len(advertised))
    made: list[KafkaServer] = []
    for number, (folder, port) in enumerate(zip(folders, advertised, strict=True), 1):
        proxies.add(f"broker {number}", port, ports[number - 1][0])
        properties = {
            "node.id": str(number),
            "controller.quorum.voters": voters,
            "advertised.listeners": f"BROKER://{HOST}:{port}",
            "default.replication.factor": copies,
            "offsets.topic.replication.factor": copies,
            "min.insync.replicas": str(max(1, len(advertised) - 1)),
        }
        # Its own messages are not on its disk, which may be full.
        files = KafkaFiles(folder, folder.with_suffix(".log"), java, jars)
        made.append(KafkaServer(files, os.environ, properties))
    return made


def _launch(kafka: list[KafkaServer], postgres: PostgresServer) -> None:
    for broker in kafka:
        broker.begin_format()
    postgres.begin_init()
    postgres.end_init()
    postgres.launch()
    for broker in kafka:
        broker.end_format()
        broker.launch()
    postgres.wait_ready(_READY_TIMEOUT_S)
    for broker in kafka:
        broker.wait_ready(_READY_TIMEOUT_S)
    set_for_tests(postgres)
