"""The services with Postgres over TLS, names in certificates checked, as a managed one asks for.

It is Debian's oldest that is there, where all other tests have the newest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import make_conninfo

from deploy.cli.main import main
from tests.support.clients.client import BASE, counts
from tests.support.clients.projections import assert_proven
from tests.support.clients.single_users import ANA, added
from tests.support.data.files import tidy_csv
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.servers.surroundings import Surroundings, ground
from tests.support.tls.debian_postgres import postgres_with_tls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers.surroundings import Ground

_ROWS = 3000
_CLIENTS = """
SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
WHERE datname = current_database()
"""


@pytest.fixture
def over_tls(surroundings_of_session: Surroundings) -> Iterator[Ground]:
    """A ground whose Postgres takes connections by TLS only."""
    with postgres_with_tls() as conninfo:
        of = Surroundings(surroundings_of_session.bootstrap_servers, conninfo)
        with ground(of) as env:
            yield env


def _reset(env: Ground, host: str) -> tuple[int, str]:
    url = make_conninfo(env.conninfo, host=host)
    command = ["accounts", "reset-password", "admin"]
    environ = {**env.environ, "ROLLCALL_DATABASE_URL": url}
    done = CliRunner().invoke(main, command, env=environ)
    return done.exit_code, done.output


def test_everything_works_over_tls(over_tls: Ground, tmp_path: Path) -> None:
    """An import, a large answer of COPY, a notification, an undo by the builder, and a proof.

    A server whose certificate has another name is not talked to.
    """
    with Services(over_tls.environ, tmp_path) as services:
        services.builder()
        rig = Rig.start(over_tls, services)
        with rig.client as client:
            status = rig.run(tidy_csv(range(_ROWS)))
            added(client, ANA)
            exported = client.http.get(f"{BASE}/audience/export")
            assert client.change("undo", status["id"]).is_success
            client.wait_state(int(status["id"]), "REVERTED")
            assert counts(status) == (_ROWS, 0, 0, 0)
            assert len(exported.text.splitlines()) == 1 + _ROWS + 1
            assert_proven(over_tls)
            with psycopg.connect(over_tls.conninfo) as connection:
                found = connection.execute(_CLIENTS).fetchone()
            services.assert_running()
    assert found is not None
    assert found[0] == found[1] > 4
    assert _reset(over_tls, "127.0.0.1")[0] == 0
    status, told = _reset(over_tls, "localhost")
    assert (status, "certificate" in told) == (2, True), told
