"""The data folder of a local stack: its layout, its lock, and the addresses of who runs there."""

import fcntl
import json
import os
import secrets
import shutil
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self, TypeVar

import platformdirs

POSTGRES_PORT = 5432
"""Part of the name of Postgres' socket; nothing listens on TCP."""

_LONGEST_LOG_BYTES = 20_000_000
_T = TypeVar("_T")


class DataDirInUseError(Exception):
    """Another process runs a stack on this data folder."""

    def __init__(self, path: Path, pid: str) -> None:
        self.pid = pid
        super().__init__(f"{path} is in use by process {pid or 'unknown'}; stop it first")


class NoStackError(Exception):
    """No stack runs on this data folder."""


@dataclass(frozen=True, slots=True)
class StackAddresses:
    """The addresses of a running stack."""

    bootstrap_servers: str
    """Kafka, as `host:port`."""
    conninfo: str
    """Postgres, as a libpq connection string."""
    socket_dir: str
    """The folder of Postgres' socket; outside of the data folder where that has a long name."""

    def is_answering(self) -> bool:
        """True while somebody listens on Postgres' socket."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(f"{self.socket_dir}/.s.PGSQL.{POSTGRES_PORT}") == 0


@dataclass(frozen=True, slots=True)
class DataDir:
    """The layout of the folder."""

    path: Path

    @property
    def kafka(self) -> Path:
        """The broker's log and configuration."""
        return self.path / "kafka"

    @property
    def postgres(self) -> Path:
        """The database cluster; on a machine where we are root it belongs to another user."""
        return self.path / "postgres"

    @property
    def logs(self) -> Path:
        """The output of the processes."""
        return self.path / "logs"

    @property
    def addresses(self) -> Path:
        """Written once the stack is ready, removed when it stops."""
        return self.path / "stack.json"

    def create(self) -> None:
        """Make the folders that are missing, for their owner only, and put long logs aside."""
        for folder in (self.path, self.kafka, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.rotate_logs()

    def rotate_logs(self) -> None:
        """Put what logs hold aside where they have grown long, also while they are written to.

        Each is appended to (O_APPEND), so its writer goes on at its new end; what is written
        between the copy and the cut is lost.
        """
        for log in (*self.logs.glob("*.log"), *self.logs.glob("*.out")):
            if log.stat().st_size > _LONGEST_LOG_BYTES:
                shutil.copyfile(log, log.with_suffix(f"{log.suffix}.1"))
                os.truncate(log, 0)

    def token(self) -> str:
        """Return the mark that processes of this folder's stack carry in their environment."""
        path = self.path / "token"
        if not path.exists():
            write_private(path, secrets.token_hex(16))
        return path.read_text()

    def write_addresses(self, addresses: StackAddresses) -> None:
        """Record how to reach the stack that now runs here."""
        write_private(self.addresses, json.dumps(asdict(addresses)))

    def read_addresses(self) -> StackAddresses | None:
        """Return how to reach the stack that was started here last, unless it stopped in order.

        A file that is damaged, as after the disk was full, is none.
        """
        return read_record(self.addresses, StackAddresses)

    def running_stack(self) -> StackAddresses:
        """Return how to reach the stack that runs here.

        Raises:
            NoStackError: None does, or it is not ready yet.
        """
        addresses = self.read_addresses()
        if addresses is None or not addresses.is_answering():
            raise NoStackError(f"no stack runs on {self.path}; start one with `rollcall up`")
        return addresses


class DataDirLock:
    """Keeps two stacks from using one folder; the kernel frees it when its process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Take the lock at once.

        Raises:
            DataDirInUseError: Another process has it.
        """
        self._descriptor = os.open(self._path / "stack.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._descriptor, 32, 0).decode().strip()
            os.close(self._descriptor)
            raise DataDirInUseError(self._path, pid) from None
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(self, *_: object) -> None:
        """Free the lock."""
        os.close(self._descriptor)


def default_data_dir() -> Path:
    """Return the folder of a stack that was not told another."""
    return platformdirs.user_data_path("rollcall")


def read_record(path: Path, kind: Callable[..., _T]) -> _T | None:
    """Return what was written there as JSON; None where it is damaged, or is not there."""
    try:
        return kind(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_private(path: Path, text: str) -> None:
    """Leave `path` with this text, whole or as it was before, readable by its owner only."""
    staged = path.with_name(f"{path.name}.new")
    staged.unlink(missing_ok=True)
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    staged.replace(path)
