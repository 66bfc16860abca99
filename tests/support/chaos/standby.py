"""A Postgres and its standby, which takes over once the first is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.conninfo import make_conninfo

from deploy.local_stack.data_dir import POSTGRES_PORT
from deploy.local_stack.postgres import ROLE, PostgresServer, binary, server_user
from tests.support.servers.breaking import frozen
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

_TIMEOUT_S: Final = 120


@dataclass(frozen=True, slots=True)
class Pair:
    """Both servers; whoever connects by ``conninfo`` comes to the one that takes writes."""

    primary: PostgresServer
    standby: PostgresServer

    @property
    def conninfo(self) -> str:
        """The address of both, as operators write it."""
        hosts = f"{self.primary.socket_dir},{self.standby.socket_dir}"
        return make_conninfo(self.primary.conninfo, host=hosts, target_session_attrs="read-write")

    def synchronize(self) -> None:
        """From now on a commit is answered once the standby has it, too."""
        with psycopg.connect(self.primary.conninfo, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")

            def is_synchronous() -> bool:
                query = "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'"
                return connection.execute(query).fetchone() is not None

            wait_until(is_synchronous, _TIMEOUT_S, saying="the standby is synchronous")

    @contextlib.contextmanager
    def lagging(self) -> Generator[None]:
        """The standby takes nothing more; it takes over at the end, without what it lacks."""
        with frozen(self.standby.child.pid):
            yield
            self.primary.child.kill()
        self._promote()

    def fail_over(self) -> None:
        """Kill the primary; the standby takes writes on return."""
        self.primary.child.kill()
        self._promote()

    def _promote(self) -> None:
        with psycopg.connect(self.standby.conninfo, autocommit=True) as connection:
            promoted = connection.execute("SELECT pg_promote()").fetchone()
        assert promoted == (True,)


@contextlib.contextmanager
def primary_and_standby() -> Generator[Pair]:
    """Start both; changes come to the standby after their commit."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-standby-"))
    folder.chmod(0o755)  # where we are root, Postgres runs as another user
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        primary, standby = (_server(folder / name, stack) for name in ("primary", "standby"))
        primary.begin_init()
        primary.end_init()
        primary.launch()
        primary.wait_ready(_TIMEOUT_S)
        with psycopg.connect(primary.conninfo, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        _copy(primary, folder / "standby" / "postgres")
        standby.launch()
        standby.wait_ready(_TIMEOUT_S)
        yield Pair(primary, standby)


def _server(folder: Path, stack: contextlib.ExitStack) -> PostgresServer:
    folder.mkdir()
    if user := server_user():
        shutil.chown(folder, user, user)
    server = PostgresServer(folder / "postgres", folder / "postgres.log", os.environ)
    stack.callback(shutil.rmtree, server.socket_dir, ignore_errors=True)
    stack.callback(server.stop)
    return server


def _copy(primary: PostgresServer, cluster: Path) -> None:
    """Make the standby's files; it will follow the primary."""
    where = ["-h", str(primary.socket_dir), "-p", str(POSTGRES_PORT), "-U", ROLE]
    how = ["-D", str(cluster), "--write-recovery-conf", "--checkpoint=fast"]
    command = [str(binary("pg_basebackup")), *where, *how]
    subprocess.run(command, check=True, user=server_user(), cwd="/")
