"""Debian's PostgreSQL over TLS; the one in the wheel, with which all else is tested, has none."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from deploy.local_stack.postgres import server_user
from deploy.processes.child import Child, ChildSpec
from tests.support.servers.services import free_port
from tests.support.tls.certificates import Certificates
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

HOW: Final = "apt-get install --no-install-recommends postgresql"
_HOME: Final = Path("/usr/lib/postgresql")
_PASSWORD: Final = "a-password"
_RULES: Final = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
_START_S: Final = 60
_STOP_S: Final = 20


@contextlib.contextmanager
def postgres_with_tls() -> Generator[str]:
    """Start one that takes connections by TLS and password only; yields its conninfo.

    A test without it is skipped, and says how to get it, but fails where CI is set.
    """
    versions = sorted(_HOME.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        assert "CI" not in os.environ, f"there is no PostgreSQL of Debian's: {HOW}"
        pytest.skip(f"there is no PostgreSQL of Debian's: {HOW}")
    folder = Path(tempfile.mkdtemp(prefix="rollcall-test-"))
    try:
        with _server(versions[0].parent, folder) as conninfo:
            yield conninfo
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _server(programs: Path, folder: Path) -> Generator[str]:
    user, cluster, port = server_user(), folder / "cluster", free_port()
    certificates = Certificates(folder)
    (folder / "password").write_text(_PASSWORD)
    certificates.key_and_chain.chmod(0o600)
    for path in (folder, *folder.iterdir()):
        if user is not None:
            shutil.chown(path, user, user)
    options = ["--encoding=UTF8", "--locale=C", "--username=rollcall"]
    command = [programs / "initdb", *options, f"--pwfile={folder}/password", "-D", cluster]
    subprocess.run(command, user=user, cwd="/", check=True, capture_output=True)
    (cluster / "pg_hba.conf").write_text(_RULES)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": folder,
        "ssl": "on",
        "ssl_cert_file": certificates.key_and_chain,
        "ssl_key_file": certificates.key_and_chain,
        "fsync": "off",
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    server = Child(
        ChildSpec(
            name="postgres",
            command=[str(programs / "postgres"), "-D", str(cluster), *flags],
            environment={"LC_ALL": "C"},
            log_path=folder / "log",
            user=user,
            cwd=Path("/"),
        )
    )
    try:
        conninfo = make_conninfo(
            host="127.0.0.1",
            port=port,
            user="rollcall",
            password=_PASSWORD,
            dbname="postgres",
            sslmode="verify-full",
            sslrootcert=str(certificates.authority),
        )
        wait_until(lambda: _answers(conninfo), _START_S, saying="Postgres answers")
        yield conninfo
    finally:
        server.stop(_STOP_S)


def _answers(conninfo: str) -> bool:
    try:
        psycopg.connect(conninfo).close()
    except psycopg.OperationalError:
        return False
    return True
