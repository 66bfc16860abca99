"""The services with Postgres roles of their own: `deploy/packages/postgres/roles.sql`."""

from __future__ import annotations

import secrets
import subprocess
from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deploy.local_stack.postgres import binary
from tests.support.checkout import CHECKOUT
from tests.support.clients.client import BASE, counts
from tests.support.clients.projections import assert_proven
from tests.support.clients.single_users import ANA, added, define
from tests.support.data.files import tidy_csv
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.servers.surroundings import ground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.surroundings import Ground, Surroundings

_ROLES: Final = CHECKOUT / "deploy" / "packages" / "postgres" / "roles.sql"
_ACCOUNTS: Final = "SELECT name, role FROM rollcall_api.account"
_LOGINS: Final = ("rollcall_api", "rollcall_processor")


def _apply(conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(_ROLES.read_bytes())


def _with_passwords(env: Ground) -> dict[str, str]:
    password = secrets.token_hex(8)
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        for role in _LOGINS:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(role), password))
    return {role: make_conninfo(env.conninfo, user=role, password=password) for role in _LOGINS}


@pytest.fixture(scope="module")
def parted(
    surroundings_of_session: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Rig, dict[str, str]]]:
    """An installation whose services connect as the roles of the file; the conninfo of each."""
    logs = tmp_path_factory.mktemp("logs")
    with ground(surroundings_of_session) as made, Services(made.environ, logs) as services:
        _apply(made.conninfo)
        urls = _with_passwords(made)
        processor = services.processor(database_url=urls["rollcall_processor"])
        services.builder(database_url=urls["rollcall_processor"])
        publisher = services.publisher(database_url=urls["rollcall_api"])
        api, client = services.api(database_url=urls["rollcall_api"])
        started = Rig(made, services, api, client, publisher, [processor])
        try:
            started.wait_ready()
            yield started, urls
        finally:
            started.close()


def test_everything_works_with_the_roles(parted: tuple[Rig, dict[str, str]]) -> None:
    """Imports, a dry run, a single user, a look back and an undo; then the tables are proved."""
    rig, _ = parted
    assert define(rig.client, "plan", isIndexed=True).is_success
    first = rig.run(tidy_csv(range(40), word="a"))
    dry = rig.client.upload(tidy_csv(range(60), word="b"), "upsert", fields={"dryRun": "true"})
    second = rig.run(tidy_csv(range(20, 60), word="b"), "delsert")
    added(rig.client, ANA)
    then = rig.client.http.get(f"{BASE}/audience", params={"asOf": first["id"]})
    assert rig.client.change("undo", second["id"]).is_success
    rig.client.wait_state(int(second["id"]), "REVERTED")
    _apply(rig.env.conninfo)  # once more, as after an upgrade

    assert (counts(first), dry.json()["update"]) == ((40, 0, 0, 0), 40), dry.text
    assert then.json()["total"] == 40, then.text
    assert_proven(rig.env)
    rig.services.assert_running()


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("rollcall_api", "UPDATE projection_1.user_row SET first_name = ''"),
        ("rollcall_api", "DELETE FROM public.notes"),
        ("rollcall_api", "CREATE SCHEMA other"),
        ("rollcall_api", "CREATE TABLE public.other ()"),
        ("rollcall_processor", "SELECT * FROM rollcall_api.account"),
        ("rollcall_processor", "UPDATE rollcall_api.token SET role = 'admin'"),
    ],
)
def test_a_role_may_no_more_than_it_needs(
    parted: tuple[Rig, dict[str, str]], role: str, statement: str
) -> None:
    """Postgres refuses what the service of the role never does."""
    with (
        psycopg.connect(parted[1][role]) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())


def _run(program: str, *arguments: str, text: str = "") -> str:
    done = subprocess.run(
        [binary(program), *arguments], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_accounts_are_restored_into_an_empty_database(
    parted: tuple[Rig, dict[str, str]],
) -> None:
    """As the runbook does it: then the API's role has all that it had."""
    rig, urls = parted
    dump = _run("pg_dump", "--schema=rollcall_api", "--clean", "--if-exists", rig.env.conninfo)
    with ground(rig.env.surroundings) as empty:
        _apply(empty.conninfo)
        _run("psql", "--set", "ON_ERROR_STOP=1", empty.conninfo, text=dump)
        _apply(empty.conninfo)
        database = conninfo_to_dict(empty.conninfo)["dbname"]
        restored = make_conninfo(urls["rollcall_api"], dbname=database)
        found = [
            _run("psql", "--command", _ACCOUNTS, url) for url in (urls["rollcall_api"], restored)
        ]
        _run(
            "psql", "--set", "ON_ERROR_STOP=1", restored, text="CREATE TABLE rollcall_api.later ()"
        )
    assert "admin" in found[0]
    assert found[0] == found[1]
