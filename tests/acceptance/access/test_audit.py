"""The audit log: what accounts change is in it, before it is done, and stays as it was written."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any, Final

import httpx2
import psycopg
import pytest

from deploy.cli.audited import audited
from ingest_api.openapi.operation import operation_of
from tests.support.checkout import CHECKOUT
from tests.support.clients.client import BASE, TLS
from tests.support.clients.description import application
from tests.support.clients.shell import COMMAND
from tests.support.servers.gate import ACCOUNTS, AUDIT

if TYPE_CHECKING:
    from typing import LiteralString

    from tests.support.servers.gate import Gate

NO_ACTS: Final = {
    f"POST {BASE}/session": "signs in",
    f"POST {BASE}/session/delete": "signs out",
    f"POST {BASE}/audience/inspect": "keeps nothing",
    f"POST {BASE}/audience/parts": "counts for nothing before an import names it",
    f"POST {BASE}/audience/import": "is in the list of jobs, also while Postgres can't be reached",
    f"POST {BASE}/audience": "is in the user's history",
    f"PUT {BASE}/audience/*": "is in the user's history",
    f"POST {BASE}/audience/*/delete": "is in the user's history",
}
"""Calls that the audit log leaves out, and why."""


def acts_by_call() -> dict[str, str | None]:
    """The kind of act of every call that may change something."""
    found: dict[str, str | None] = {}
    for route in application().router.routes:
        operation = operation_of(route.handler)
        for method in route.methods - {"GET", "HEAD", "OPTIONS"}:
            path = "/" + re.sub(r"<[^>]*>", "*", route.path)
            found[f"{method} {path}"] = operation.act if operation else None
    return found


def listed(gate: Gate, **query: Any) -> list[dict[str, Any]]:
    """The acts that these filters take, the newest first."""
    answer = gate.admin.get(AUDIT, params={"pageSize": 1000, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["acts"]


def test_every_call_that_changes_something_leaves_an_entry(gate: Gate) -> None:
    """Also where it is refused; a call that leaves none is named here with its reason."""
    calls = acts_by_call()
    assert {call for call, act in calls.items() if act is None} == set(NO_ACTS)
    _, token = gate.add_token("who does everything", "admin")
    name = "token/who does everything"
    for call, act in calls.items():
        if act is None:
            continue
        method, _, path = call.partition(" ")
        answer = httpx2.request(
            method,
            gate.client.url + path.replace("*", "5"),
            headers={"Authorization": f"Bearer {token}"},
            json={},
            timeout=60,
            trust_env=False,
            verify=TLS,
        )
        newest = listed(gate, account=name)[0]
        assert (newest["kind"], newest["status"]) == (act, answer.status_code), call
        assert newest["result"] != "unknown", call
        assert newest["requestId"] == answer.headers["X-Request-Id"], call
        if "*" in path:
            assert set(newest["target"].split()) == {"5"}, call


def test_an_entry_says_who_did_what_from_where(gate: Gate) -> None:
    """And no secret; the filters find it."""
    name, password = gate.add_account("audited", "importer")
    gate.admin.put(f"{ACCOUNTS}/{name}", json={"password": "a new password", "role": "admin"})
    answer = gate.admin.post(f"{ACCOUNTS}/{name}/delete")
    assert answer.status_code == 200
    kinds = ["account.add", "account.change", "account.delete"]
    found = [act for act in listed(gate, kind=kinds) if act["target"] == name]
    assert [act["kind"] for act in reversed(found)] == kinds
    assert {act["account"] for act in found} == {"admin"}
    assert {act["result"] for act in found} == {"done"}
    assert {act["address"] for act in found} == {"127.0.0.1"}
    assert found[1]["details"] == {"role": "admin", "password": "changed"}
    assert password not in str(found)
    assert listed(gate, account="admin", kind="account.add", since="2999-01-01") == []
    assert found[2] in listed(gate, since="2020-01-01", until="2999-01-01", kind="account.add")
    for wrong in ({"since": "yesterday"}, {"account": ""}):
        assert gate.admin.get(AUDIT, params=wrong).status_code == 400
    _, token = gate.add_token("a manager who looks", "manager")
    assert gate.get(path=AUDIT, bearer=token).status_code == 403


def test_an_act_that_can_not_be_recorded_is_not_done(gate: Gate) -> None:
    """Whoever holds up the log holds up acts, so none happens without its entry."""
    with psycopg.connect(gate.env.conninfo) as connection:
        connection.execute("LOCK TABLE rollcall_api.audit IN EXCLUSIVE MODE")
        answer = gate.admin.post(ACCOUNTS, json={"name": "unrecorded", "role": "reader"})
        assert answer.status_code == 503, answer.text
    assert gate.admin.get(f"{ACCOUNTS}/unrecorded").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE rollcall_api.audit SET account = 'nobody'",
        "DELETE FROM rollcall_api.audit",
        "TRUNCATE rollcall_api.audit",
    ],
)
def test_rows_are_only_ever_added(gate: Gate, change: LiteralString) -> None:
    """Nobody changes one by mistake."""
    with (
        psycopg.connect(gate.env.conninfo) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="only ever added"),
    ):
        connection.execute(change)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE rollcall_api.audit SET status = 403 WHERE id = 2",
        "DELETE FROM rollcall_api.audit WHERE id = 2",
    ],
)
def test_a_row_that_was_changed_on_purpose_is_found(gate: Gate, change: LiteralString) -> None:
    """By whoever owns the table, too."""
    gate.admin.put(f"{ACCOUNTS}/nobody", json={"role": "reader"})
    intact = gate.admin.get(f"{AUDIT}/check").json()
    assert (intact["isIntact"], intact["brokenAt"]) == (True, None)
    assert intact["rows"] >= 2
    with psycopg.connect(gate.env.conninfo) as connection:
        connection.execute(
            "CREATE TEMP TABLE saved AS SELECT * FROM rollcall_api.audit WHERE id = 2"
        )
        connection.execute("ALTER TABLE rollcall_api.audit DISABLE TRIGGER append_only")
        connection.execute(change)
        connection.commit()
        found = gate.admin.get(f"{AUDIT}/check").json()
        connection.execute("DELETE FROM rollcall_api.audit WHERE id = 2")
        connection.execute("INSERT INTO rollcall_api.audit SELECT * FROM saved")
        connection.execute("ALTER TABLE rollcall_api.audit ENABLE TRIGGER append_only")
    assert found["isIntact"] is False
    assert found["brokenAt"] in {"2", "3"}
    assert gate.admin.get(f"{AUDIT}/check").json() == intact


def test_the_command_line_shows_and_checks_it(gate: Gate) -> None:
    """As a table or JSON; the check ends with 3 where a row was changed."""
    gate.add_token("shown by a command")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*COMMAND, "audit", *arguments, "--url", gate.client.url],
            check=True,
            capture_output=True,
            env={
                "PYTHONPATH": str(CHECKOUT),
                "ROLLCALL_USER": "admin",
                "ROLLCALL_PASSWORD": gate.env.password,
                **gate.env.environ,
            },
            text=True,
            timeout=60,
        )
        return done.stdout

    shown = json.loads(run("--kind", "token.add", "--since", "2020-01-01", "--json"))
    assert shown["acts"][0]["target"] == "shown by a command"
    assert "shown by a command" in run("--kind", "token.add", "--page-size", "1")
    assert "rows are as they were written" in run("check")
    with audited(gate.env.conninfo, "log.rekey", "email"):
        running = listed(gate, kind="log.rekey")[0]
    done = listed(gate, kind="log.rekey")[0]
    assert (running["result"], done["result"]) == ("unknown", "done")
    assert done["account"].startswith("cli/")
