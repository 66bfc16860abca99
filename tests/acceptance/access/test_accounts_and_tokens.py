"""API tokens and accounts: made, changed, listed and deleted, in force on every instance."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import httpx2
import psycopg
import pytest

from tests.support.checkout import CHECKOUT
from tests.support.clients.client import TLS
from tests.support.clients.shell import COMMAND
from tests.support.servers.gate import (
    ACCOUNTS,
    AUDIT,
    DIES_WITHIN_S,
    SLACK_S,
    TOKENS,
    Gate,
    open_gate,
)
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.servers.services import Services
    from tests.support.servers.surroundings import Ground


def test_a_token_gets_in_until_it_is_deleted(gate: Gate, other: Gate) -> None:
    """Here it ends with the answer, on the other instance once it looks again."""
    token_id, token = gate.add_token("nightly")
    assert (gate.status(bearer=token), other.status(bearer=token)) == (200, 200)
    assert gate.get(path=TOKENS, bearer=token).status_code == 403
    answer = gate.admin.post(f"{TOKENS}/{token_id}/delete")
    assert answer.json() == {"id": token_id, "message": "Token deleted successfully"}
    assert gate.status(bearer=token) == 401
    wait_until(lambda: other.status(bearer=token) == 401, 30)
    assert gate.admin.post(f"{TOKENS}/{token_id}/delete").status_code == 404
    assert gate.admin.post(f"{TOKENS}/abc/delete").status_code == 404


def test_a_token_is_kept_as_a_hash_and_shown_once(gate: Gate) -> None:
    """Neither the list nor the database has it."""
    token_id, token = gate.add_token("shown once")
    secret = token.rpartition("_")[2]
    assert token == f"rct_{token_id}_{secret}"
    assert len(bytes.fromhex(secret)) == 32
    assert secret not in gate.admin.get(TOKENS, params={"pageSize": 1000}).text
    with psycopg.connect(gate.env.conninfo) as connection:
        rows = connection.execute("SELECT * FROM rollcall_api.token").fetchall()
    assert secret not in str(rows)
    assert hashlib.sha256(secret.encode()).digest() in [bytes(row[3]) for row in rows]


def test_tokens_are_listed_with_what_is_known_of_them(gate: Gate) -> None:
    """Who made one, until when it counts, and when it was last used."""
    token_id, token = gate.add_token("listed", "importer", expiresInDays=30)

    def listed() -> dict[str, str | None]:
        page = gate.admin.get(TOKENS, params={"pageSize": 1000}).json()
        assert page["total"] == len(page["tokens"])
        return next(entry for entry in page["tokens"] if entry["id"] == token_id)

    entry = listed()
    assert {key: entry[key] for key in ("name", "role", "createdBy", "lastUsedDate")} == {
        "name": "listed",
        "role": "importer",
        "createdBy": "admin",
        "lastUsedDate": None,
    }
    form = "%m/%d/%Y %I:%M:%S %p GMT"
    made = time.mktime(time.strptime(entry["createdDate"] or "", form))
    ends = time.mktime(time.strptime(entry["expiresDate"] or "", form))
    assert ends - made == pytest.approx(30 * 86_400, abs=2)
    assert gate.status(bearer=token) == 200
    wait_until(lambda: listed()["lastUsedDate"], 5)
    first = gate.admin.get(TOKENS, params={"start": 0, "pageSize": 1}).json()
    assert len(first["tokens"]) == 1


def test_an_expired_token_is_none(gate: Gate, other: Gate) -> None:
    """Two seconds after its time at the latest."""
    token_id, token = gate.add_token("short", expiresInDays=1)
    assert other.status(bearer=token) == 200
    with psycopg.connect(gate.env.conninfo, autocommit=True) as connection:
        connection.execute(
            "UPDATE rollcall_api.token SET created_at = now() - interval '2 days',"
            " expires_at = now() WHERE id = %s",
            (token_id,),
        )
    wait_until(lambda: other.status(bearer=token) == 401, DIES_WITHIN_S + SLACK_S)


def test_a_changed_token_is_another_one(gate: Gate) -> None:
    """Whichever character is changed."""
    token_id, token = gate.add_token("changed")
    _, another = gate.add_token("changed too")
    swapped = f"rct_{token_id}_{another.rpartition('_')[2]}"
    last = "0" if token[-1] != "0" else "1"
    assert [gate.status(bearer=text) for text in (swapped, token[:-1] + last)] == [401, 401]
    assert gate.status(bearer=token) == 200


def test_an_account_lives_and_dies_on_every_instance(gate: Gate, other: Gate) -> None:
    """Made, changed, demoted, deleted: at once here, within two seconds there."""
    first = gate.add_account("grace", "admin")
    assert (gate.status(first), other.status(first)) == (200, 200)
    url = f"{ACCOUNTS}/grace"
    answer = gate.admin.put(url, json={"password": "another password"})
    assert answer.json() == {"name": "grace", "message": "Account updated successfully"}
    second = ("grace", "another password")
    assert (gate.status(first), gate.status(second)) == (401, 200)
    wait_until(lambda: other.status(first) == 401, DIES_WITHIN_S + SLACK_S)
    assert other.status(second) == 200
    assert other.get(second, path=ACCOUNTS).status_code == 200
    assert gate.admin.put(url, json={"role": "reader"}).status_code == 200
    assert gate.get(second, path=ACCOUNTS).status_code == 403
    wait_until(lambda: other.get(second, path=ACCOUNTS).status_code == 403, DIES_WITHIN_S + SLACK_S)
    answer = gate.admin.post(f"{url}/delete")
    assert answer.json() == {"name": "grace", "message": "Account deleted successfully"}
    assert gate.status(second) == 401
    wait_until(lambda: other.status(second) == 401, DIES_WITHIN_S + SLACK_S)


def test_changing_ones_own_password_works_at_once(gate: Gate) -> None:
    """The next request needs the new one."""
    name, old = gate.add_account("own", "admin")
    url = f"{gate.client.url}{ACCOUNTS}/{name}"
    with httpx2.Client(auth=(name, old), trust_env=False, verify=TLS, timeout=60) as client:
        assert client.put(url, json={"password": "my new password"}).status_code == 200
        assert client.get(url).status_code == 401
    assert gate.get((name, "my new password"), path=ACCOUNTS).status_code == 200
    assert gate.admin.post(f"{ACCOUNTS}/{name}/delete").status_code == 200


@pytest.mark.parametrize(
    "name", ["jürgen müller", "a+b@c.de", "100% sure?", "管理者", "..", "a&b=c#"]
)
def test_any_printable_name_is_reached_by_its_url(gate: Gate, name: str) -> None:
    """Percent-encoded as every client does it."""
    login = gate.add_account(name, "reader")
    assert gate.status(login) == 200
    url = f"{ACCOUNTS}/{quoted(name)}"
    found = gate.admin.get(url).json()
    assert (found["name"], found["role"]) == (name, "reader")
    listed = gate.admin.get(ACCOUNTS, params={"pageSize": 1000}).json()
    assert found in listed["accounts"]
    assert gate.admin.post(f"{url}/delete").json()["name"] == name
    assert gate.admin.get(url).status_code == 404


def quoted(name: str) -> str:
    """As one segment of a path; clients resolve dots, so these are encoded too."""
    return "".join(f"%{byte:02X}" for byte in name.encode())


@pytest.mark.parametrize(
    ("body", "column", "code"),
    [
        ({"role": "reader"}, "name", "REQUIRED"),
        ({"name": "a"}, "role", "REQUIRED"),
        ({"name": "a", "role": "root"}, "role", "VALUE_INVALID"),
        ({"name": "a:b", "role": "reader"}, "name", "VALUE_INVALID"),
        ({"name": "token/a", "role": "reader"}, "name", "VALUE_INVALID"),
        ({"name": "", "role": "reader"}, "name", "VALUE_INVALID"),
        ({"name": "a" * 129, "role": "reader"}, "name", "VALUE_INVALID"),
        ({"name": "a\u001b[2J", "role": "reader"}, "name", "VALUE_INVALID"),
        ({"name": 5, "role": "reader"}, "name", "VALUE_INVALID"),
        ({"name": "a", "role": "reader", "password": "short"}, "password", "VALUE_INVALID"),
        ({"name": "a", "role": "reader", "password": "x" * 1025}, "password", "VALUE_INVALID"),
        ({"name": "a", "role": "reader", "password": ""}, "password", "VALUE_INVALID"),
        ({"name": "a", "role": "reader", "admin": True}, "admin", "UNKNOWN_FIELD"),
    ],
)
def test_an_account_that_cannot_be_is_refused(
    gate: Gate, body: dict[str, object], column: str, code: str
) -> None:
    """400 that names the field; the wrong value isn't repeated."""
    answer = gate.admin.post(ACCOUNTS, json=body)
    assert (answer.status_code, answer.json()["message"]) == (400, "Invalid request body")
    detail = answer.json()["details"][0]
    assert (detail["line"], detail["column"], detail["code"]) == (None, column, code)


@pytest.mark.parametrize("days", [0, -1, 3651, 1.5, "7", True])
def test_a_token_ends_within_ten_years_or_never(gate: Gate, days: object) -> None:
    """400 for anything that is no such number of days."""
    body = {"name": "odd", "role": "reader", "expiresInDays": days}
    answer = gate.admin.post(TOKENS, json=body)
    assert (answer.status_code, answer.json()["details"][0]["column"]) == (400, "expiresInDays")


def test_names_are_unique_and_unknown_ones_are_told(gate: Gate) -> None:
    """409 and 404, with a message."""
    gate.add_account("twice")
    again = gate.admin.post(ACCOUNTS, json={"name": "twice", "role": "admin"})
    assert (again.status_code, again.json()) == (
        409,
        {"message": "There is already an account with this name", "code": "CONFLICT"},
    )
    gate.add_token("twice")
    again = gate.admin.post(TOKENS, json={"name": "twice", "role": "admin"})
    assert (again.status_code, again.json()) == (
        409,
        {"message": "There is already a token with this name", "code": "CONFLICT"},
    )
    unknown = {"message": "There is no account with this name", "code": "NOT_FOUND"}
    url = f"{ACCOUNTS}/nobody"
    answers = [
        gate.admin.get(url),
        gate.admin.put(url, json={"role": "reader"}),
        gate.admin.post(f"{url}/delete"),
        gate.admin.get(f"{ACCOUNTS}/a%2Fb"),
        gate.admin.get(f"{ACCOUNTS}/a%00b"),
        gate.admin.get(f"{ACCOUNTS}/%FF"),
    ]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(404, unknown)] * 6
    assert gate.admin.put(f"{ACCOUNTS}/twice", json={}).status_code == 400


def test_the_last_administrator_stays(env: Ground, services: Services) -> None:
    """Also where two demote or delete each other at one instant, on two instances."""
    one, two = open_gate(env, services), open_gate(env, services)
    url = f"{ACCOUNTS}/admin"
    message = "The last administrator can't be deleted or given a lower role"
    last = {"message": message, "code": "CONFLICT"}
    for answer in (
        one.admin.put(url, json={"role": "importer"}),
        one.admin.post(f"{url}/delete"),
    ):
        assert (answer.status_code, answer.json()) == (409, last)
    assert one.admin.put(url, json={"role": "admin"}).status_code == 200
    with ThreadPoolExecutor(2) as threads:
        for number in range(10):
            one.add_account(f"second {number}", "admin")
            demote = threads.submit(one.admin.put, url, json={"role": "reader"})
            delete = threads.submit(two.admin.post, f"{ACCOUNTS}/second {number}/delete")
            assert sorted([demote.result().status_code, delete.result().status_code]) in (
                [200, 409],
                [200, 403],  # the demotion was known there before the deletion came
            )
            assert admins_of(env) == 1
            execute(env, "DELETE FROM rollcall_api.account WHERE name <> 'admin'")
            execute(env, "UPDATE rollcall_api.account SET role = 'admin'")
            for gate in (one, two):
                wait_until(lambda it=gate: it.admin.get(url).status_code == 200, 5)
    one.client.close()
    two.client.close()


def admins_of(env: Ground) -> int:
    """How many administrators there are."""
    with psycopg.connect(env.conninfo) as connection:
        row = connection.execute(
            "SELECT count(*) FROM rollcall_api.account WHERE role = 'admin'"
        ).fetchone()
    assert row is not None
    return row[0]


def execute(env: Ground, statement: str) -> None:
    """Run a statement of the test's own."""
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_the_setting_of_the_first_password_counts_once(env: Ground, services: Services) -> None:
    """What the administrator has changed since survives a restart, with any other setting too."""
    gate = open_gate(env, services)
    changed = {"password": "changed by hand"}
    assert gate.admin.put(f"{ACCOUNTS}/admin", json=changed).status_code == 200
    gate.service.terminate()
    gate.client.close()
    again = open_gate(env, services)
    assert again.status(("admin", "changed by hand")) == 200
    assert again.status(("admin", env.password)) == 401
    again.service.terminate()
    again.client.close()
    new = open_gate(env, services, admin_password="a new setting")
    assert new.status(("admin", "a new setting")) == 401
    assert new.status(("admin", "changed by hand")) == 200
    assert "ROLLCALL_ADMIN_PASSWORD is not that of admin" in new.service.log_text()
    new.client.close()


def test_a_forgotten_password_is_set_anew_in_the_database(env: Ground, services: Services) -> None:
    """By who has the database; the account admin is made where none is, and the log says so."""
    service, client = services.api(admin_password="")
    wait_until(lambda: "there is no account" in service.log_text(), 30)
    gate = Gate(env, service, client)
    assert gate.status(("admin", env.password)) == 401
    login = ("admin", "")
    for _ in range(2):
        ended = _reset(env, "admin")
        assert ended.returncode == 0, ended.stderr
        login = ("admin", json.loads(ended.stdout)["password"])
        wait_until(partial(_gets_in, gate, login), DIES_WITHIN_S + SLACK_S)
    unknown = _reset(env, "grace")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr.startswith("Error: there is no account grace")
    told = gate.admin.get(AUDIT, auth=login, params={"kind": "account.reset-password"}).json()
    assert [(act["target"], act["result"]) for act in told["acts"]] == [("admin", "done")] * 2
    gate.client.close()


def _gets_in(gate: Gate, login: tuple[str, str]) -> bool:
    return gate.status(login) == 200


def _reset(env: Ground, name: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "accounts", "reset-password", name, "--json"]
    environ = {**env.environ, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environ)
