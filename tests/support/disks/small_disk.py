"""A disk that is small enough to be filled, with a tablespace of the real database on it.

The folder ``ROLLCALL_TEST_SMALL_DISK`` names, where it is set: on a small filesystem of its
own, writable for the server's user (``docker run --tmpfs /small:size=256m,mode=1777``).
Else a tmpfs is mounted, which root may do where it is not in a container that forbids it.

The write-ahead log stays on the other disk: where that is full, PostgreSQL ends itself
(PostgreSQL manual, "Disk Full Failure"), and no client has a say in it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from deploy.local_stack.postgres import server_user
from tests.support.disks import tmpfs

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.servers.surroundings import Ground

_SIZE_BYTES = 256 << 20
_MOST_BYTES = 2 << 30
"""What is filled to the last byte by mistake does no harm."""


@dataclass(slots=True)
class SmallDisk:
    """A filesystem, and the tablespace on it."""

    folder: Path
    tablespace: str

    @property
    def free_bytes(self) -> int:
        """What is left for whoever writes next."""
        return shutil.disk_usage(self.folder).free

    def fill(self, *, leaving_bytes: int = 0) -> None:
        """Take all room but so much."""
        with self._ballast.open("ab") as ballast:
            size = ballast.tell() + max(0, self.free_bytes - leaving_bytes)
            os.posix_fallocate(ballast.fileno(), 0, max(1, size))

    def empty(self) -> None:
        """Give the room back that :meth:`fill` has taken."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@contextlib.contextmanager
def small_disk(env: Ground) -> Generator[SmallDisk]:
    """A tablespace on a small disk; skips the test where there can be none."""
    with _filesystem() as folder:
        disk = SmallDisk(folder, f"small_{secrets.token_hex(4)}")
        place = folder / disk.tablespace
        place.mkdir(mode=0o700)
        if user := server_user():
            shutil.chown(place, user, user)
        name, location = sql.Identifier(disk.tablespace), sql.Literal(str(place))
        with psycopg.connect(env.surroundings.conninfo, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(name, location))
            try:
                yield disk
            finally:
                disk.empty()
                connection.execute(sql.SQL("DROP TABLESPACE {}").format(name))
                shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def database_on(env: Ground, disk: SmallDisk) -> Generator[Ground]:
    """The same ground with a database whose every file lies on the small disk."""
    name = f"t{secrets.token_hex(5)}"
    of = env.surroundings.conninfo
    with psycopg.connect(of, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TABLESPACE {}").format(
                sql.Identifier(name), sql.Identifier(disk.tablespace)
            )
        )
        try:
            conninfo = make_conninfo(of, dbname=name)
            yield replace(env, environ={**env.environ, "ROLLCALL_DATABASE_URL": conninfo})
        finally:
            disk.empty()
            statement = "DROP DATABASE {} WITH (FORCE)"
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


@contextlib.contextmanager
def _filesystem() -> Generator[Path]:
    given = os.environ.get("ROLLCALL_TEST_SMALL_DISK")
    if given:
        size = shutil.disk_usage(given).total
        assert size <= _MOST_BYTES, f"{given} has {size} bytes: it is no small disk"
        yield Path(given)
        return
    folder = Path(tempfile.mkdtemp(prefix="rollcall-small-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with tmpfs.mounted(folder, _SIZE_BYTES):
            yield folder
    except tmpfs.CannotMountError as error:
        pytest.skip(
            f"no small disk can be mounted here ({error}):"
            " set ROLLCALL_TEST_SMALL_DISK to a folder on one"
        )
    finally:
        folder.rmdir()
