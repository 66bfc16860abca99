"""Starts and stops Kafka and Postgres of one data folder together."""

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import Self

from rich.console import Console

from deploy.local_stack.data_dir import DataDir, DataDirLock, StackAddresses
from deploy.local_stack.java import find_java
from deploy.local_stack.kafka import KafkaFiles, KafkaServer
from deploy.local_stack.kafka_jars import ensure_jars
from deploy.local_stack.leftovers import end_leftovers
from deploy.local_stack.postgres import PostgresServer
from deploy.processes.child import TOKEN_VARIABLE

READY_TIMEOUT_S = 120
"""Far above a usual start, for a recovery of much data after a crash."""


class LocalStack:
    """A broker and a database server on one data folder, as a context manager.

    On entry it ends what an earlier stack of this folder left running, starts both servers side
    by side and blocks until both answer. What they hold is kept for the next start, also where
    the process that holds this object is killed.

    Enter it in a thread that lives as long as the stack should: the kernel ends the servers when
    that thread ends.
    """

    kafka: KafkaServer
    postgres: PostgresServer

    def __init__(self, data_dir: Path, *, console: Console | None = None) -> None:
        self.data_dir = DataDir(data_dir.absolute())
        self._console = console or Console(file=sys.stderr)
        self._exit = contextlib.ExitStack()

    @property
    def bootstrap_servers(self) -> str:
        """Kafka's address, as `host:port`; the same at every start while the port is free."""
        return self.kafka.bootstrap_servers

    @property
    def conninfo(self) -> str:
        """Postgres' address and database, as libpq's connection string."""
        return self.postgres.conninfo

    def __enter__(self) -> Self:
        """Start both servers.

        Raises:
            DataDirInUseError: Another process runs a stack on this folder.
            JarError: Kafka's jars cannot be fetched.
            JavaError: There is no Java that can run Kafka.
            KafkaError: The broker cannot be started.
            PostgresError: The database server cannot be started.
        """
        with self._exit:
            self.data_dir.create()
            self._exit.enter_context(DataDirLock(self.data_dir.path))
            self._end_leftovers()
            self._start()
            self._exit = self._exit.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops both servers in order, and leaves no process."""
        self._exit.close()

    def environment(self) -> dict[str, str]:
        """Return the environment for a process that belongs to this stack, and ends with it."""
        return os.environ | {TOKEN_VARIABLE: self.data_dir.token()}

    def _end_leftovers(self) -> None:
        end_leftovers(self.data_dir.token(), self.data_dir.postgres)
        before = self.data_dir.read_addresses()
        if before is not None:
            shutil.rmtree(before.socket_dir, ignore_errors=True)
            self.data_dir.addresses.unlink()

    def _start(self) -> None:
        logs = self.data_dir.logs
        self.postgres = PostgresServer(
            self.data_dir.postgres, logs / "postgres.log", self.environment()
        )
        self._exit.callback(shutil.rmtree, self.postgres.socket_dir, ignore_errors=True)
        self._exit.callback(self.postgres.stop)
        # Before Kafka's jars, which are fetched meanwhile at the first start.
        self.postgres.begin_init()
        jars = ensure_jars(self._console)
        files = KafkaFiles(self.data_dir.kafka, logs / "kafka.log", find_java(), tuple(jars))
        self.kafka = KafkaServer(files, self.environment())
        self._exit.callback(self.kafka.stop)
        self._launch()
        self._exit.callback(self.data_dir.addresses.unlink, missing_ok=True)
        socket_dir = str(self.postgres.socket_dir)
        self.data_dir.write_addresses(
            StackAddresses(self.bootstrap_servers, self.conninfo, socket_dir)
        )

    def _launch(self) -> None:
        # Each step is begun for both before either is waited for.
        self.kafka.begin_format()
        self.postgres.end_init()
        self.postgres.launch()
        self.kafka.end_format()
        self.kafka.launch()
        self.postgres.wait_ready(READY_TIMEOUT_S)
        self.kafka.wait_ready(READY_TIMEOUT_S)
