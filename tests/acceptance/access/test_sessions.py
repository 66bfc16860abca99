"""Sessions of the page: begun with a password, known to every instance, ended in several ways."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx2
import psycopg
import pytest

from tests.support.clients.client import BASE, TLS
from tests.support.servers.gate import ACCOUNTS, AUDIENCE
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.servers.gate import Gate

SESSION = f"{BASE}/session"
FROM_PAGE = {"Rollcall-Page": "1"}


def sign_in(gate: Gate, account: tuple[str, str], **headers: str) -> httpx2.Response:
    """The answer to a login at the page."""
    body = {"name": account[0], "password": account[1]}
    return httpx2.post(
        gate.client.url + SESSION, json=body, headers=headers, trust_env=False, verify=TLS
    )


def signed_in(gate: Gate, account: tuple[str, str]) -> dict[str, str]:
    """The header with the cookie of a new session."""
    answer = sign_in(gate, account)
    assert answer.status_code == 200, answer.text
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def status(gate: Gate, headers: dict[str, str], path: str = SESSION, method: str = "GET") -> int:
    """What this cookie is answered with."""
    url = gate.client.url + path
    return httpx2.request(method, url, headers=headers, trust_env=False, verify=TLS).status_code


def test_the_cookie_is_the_browsers_alone(gate: Gate) -> None:
    """Scripts can't read it, no other site has it sent, and https never goes without TLS."""
    account = gate.add_account("cookie")
    parts = sign_in(gate, account).headers["set-cookie"].split("; ")
    assert parts[1:] == ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]
    secure = sign_in(gate, account, Origin="https://rollcall.example")
    assert secure.headers["set-cookie"].endswith("; Secure")
    secret = parts[0].partition("=")[2]
    with psycopg.connect(gate.env.conninfo) as connection:
        rows = connection.execute("SELECT secret_sha256 FROM rollcall_api.session").fetchall()
    assert hashlib.sha256(secret.encode()).digest() in [bytes(row[0]) for row in rows]


def test_every_instance_knows_a_session_until_it_is_ended(gate: Gate, other: Gate) -> None:
    """Here it ends with the answer, on the other instance once it looks again."""
    cookie = signed_in(gate, gate.add_account("two instances", "importer"))
    answer = httpx2.get(other.client.url + SESSION, headers=cookie, trust_env=False, verify=TLS)
    assert answer.json() == {"name": "two instances", "role": "importer"}
    assert status(other, cookie, ACCOUNTS) == 403
    assert status(gate, cookie | FROM_PAGE, f"{SESSION}/delete", "POST") == 200
    assert status(gate, cookie) == 401
    wait_until(lambda: status(other, cookie) == 401, 30)


def test_another_site_changes_nothing(gate: Gate) -> None:
    """A form elsewhere has the cookie sent at most, never the page's header."""
    account = gate.add_account("victim", "admin")
    cookie = signed_in(gate, account)
    assert status(gate, cookie, f"{ACCOUNTS}/nobody/delete", "POST") == 400
    assert status(gate, cookie | FROM_PAGE, f"{ACCOUNTS}/nobody/delete", "POST") == 404
    assert status(gate, cookie, f"{SESSION}/delete", "POST") == 400
    assert status(gate, cookie) == 200


@pytest.mark.parametrize("how", ["password", "deleted", "expired"])
def test_a_session_ends_with_its_account_its_password_and_its_time(gate: Gate, how: str) -> None:
    """Whoever was signed in with the old password is out; the role is always the account's."""
    name, password = gate.add_account(f"ends {how}")
    cookie = signed_in(gate, (name, password))
    gate.admin.put(f"{ACCOUNTS}/{name}", json={"role": "admin"})
    assert status(gate, cookie, ACCOUNTS) == 200
    if how == "password":
        gate.admin.put(f"{ACCOUNTS}/{name}", json={"password": "another password"})
    elif how == "deleted":
        gate.admin.post(f"{ACCOUNTS}/{name}/delete")
    else:
        with psycopg.connect(gate.env.conninfo) as connection:
            connection.execute(
                "UPDATE rollcall_api.session SET expires_at = now() WHERE account = %s", (name,)
            )
    wait_until(lambda: status(gate, cookie) == 401, 30)


def test_a_wrong_login_is_a_wrong_password_like_any_other(gate: Gate) -> None:
    """It counts towards the same limit, and no browser asks for a password by itself."""
    name, password = gate.add_account("guessed")
    for _ in range(10):
        answer = sign_in(gate, (name, "wrong"))
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
        assert "basic" not in answer.headers["www-authenticate"].lower()
    limited = sign_in(gate, (name, password))
    assert limited.status_code == 429
    assert int(limited.headers["retry-after"]) > 0
    assert gate.get((name, password)).status_code == 429
    for headers in (FROM_PAGE, {"Cookie": f"rollcall_session={'0' * 64}"}):
        refused = httpx2.get(
            gate.client.url + AUDIENCE, headers=headers, trust_env=False, verify=TLS
        )
        assert refused.headers["www-authenticate"] == 'Session realm="Rollcall"'
