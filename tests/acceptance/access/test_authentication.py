"""Who gets in, with a password or an API token, and how soon nobody does any more."""

from __future__ import annotations

import base64
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.clients.client import BASE, TLS
from tests.support.clients.speech import UNAUTHORIZED
from tests.support.servers.breaking import frozen
from tests.support.servers.gate import (
    ACCOUNTS,
    AUDIENCE,
    DIES_WITHIN_S,
    TOKENS,
    open_gate,
)
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from deploy.local_stack.stack import LocalStack
    from tests.support.servers.gate import Gate
    from tests.support.servers.services import Services
    from tests.support.servers.surroundings import Ground


def basic(text: str) -> str:
    """The header's value for these credentials."""
    return "Basic " + base64.b64encode(text.encode()).decode()


SECRET = "0" * 64
WRONG = {
    "nothing": None,
    "nothing in it": "",
    "no such password": basic("admin:wrong"),
    "no such account": basic("nobody:wrong"),
    "no base64": "Basic !!!",
    "no colon": basic("admin"),
    "bytes that are no text": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
    "10 KB": basic("admin:" + "x" * 10_000),
    "1 MB": basic("admin:" + "x" * 700_000),
    "another scheme": 'Digest username="admin"',
    "no scheme": SECRET,
    "an unknown token": f"Bearer rct_999999_{SECRET}",
    "a garbled token": "Bearer rct_1_zz",
    "a JWT where there is no issuer": "Bearer e30.e30.e30",
    "10 KB of token": "Bearer " + "x" * 10_000,
    "1 MB of token": "Bearer " + "x" * 1_048_576,
}


@pytest.mark.parametrize("case", WRONG)
def test_without_valid_credentials_nothing_is_answered_and_no_body_read(
    gate: Gate, case: str
) -> None:
    """401 with the contract's message and a challenge of the scheme that was tried."""
    credentials = WRONG[case]
    url = httpx2.URL(gate.client.url)
    lines = [
        f"POST {BASE}/audience/import HTTP/1.1",
        "Host: localhost",
        "Content-Type: multipart/form-data; boundary=XbX",
        "Content-Length: 1000000000",
        *([f"Authorization: {credentials}"] if credentials is not None else []),
    ]
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        answer = b""
        while received := connection.recv(65536):
            answer += received
    top, _, content = answer.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 401 ")
    assert json.loads(content) == UNAUTHORIZED
    scheme = b"Bearer" if (credentials or "").startswith("Bearer") else b"Basic"
    assert b"www-authenticate: " + scheme + b' realm="Rollcall"' in top
    assert b"connection: close" in top


def test_two_authorizations_are_none(gate: Gate) -> None:
    """A proxy and the service could each read another one."""
    right = basic(f"admin:{gate.env.password}")
    headers = [("Authorization", right), ("Authorization", right)]
    answer = httpx2.get(gate.client.url + AUDIENCE, headers=headers, trust_env=False, verify=TLS)
    assert answer.status_code == 401


def test_before_postgres_was_ever_reached_nobody_is_let_in_or_turned_away(
    services: Services,
) -> None:
    """503, unless there are no credentials that could be looked up."""
    service, client = services.api(database_url="host=127.0.0.1 port=1 dbname=none")
    with client:
        password = client.http.get(AUDIENCE)
        token = httpx2.get(
            client.url + AUDIENCE,
            headers={"Authorization": f"Bearer rct_1_{SECRET}"},
            trust_env=False,
            verify=TLS,
        )
        nothing = httpx2.get(client.url + AUDIENCE, trust_env=False, verify=TLS)
    assert [answer.status_code for answer in (password, token, nothing)] == [503, 503, 401]
    assert int(password.headers["Retry-After"]) > 0
    assert service.is_running


def test_where_postgres_does_not_answer_nobody_is_let_in_or_turned_away(
    env: Ground, services: Services, stack: LocalStack
) -> None:
    """503 with Retry-After, for good credentials and for wrong ones; then all is as before."""
    gate = open_gate(env, services)
    _, token = gate.add_token("frozen")
    good = ("admin", env.password)
    assert (gate.status(good), gate.status(bearer=token)) == (200, 200)
    with frozen(stack.postgres.child.pid), ThreadPoolExecutor(3) as threads:
        time.sleep(DIES_WITHIN_S)
        answers = [
            threads.submit(gate.get, good),
            threads.submit(gate.get, ("admin", "a wrong password")),
            threads.submit(gate.get, bearer=token),
        ]
        found = [answer.result() for answer in answers]
    assert [answer.status_code for answer in found] == [503] * 3
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in found)
    wait_until(lambda: gate.status(good) == 200, 30)
    wait_until(lambda: gate.status(("admin", "a wrong password")) == 401, 10)
    assert gate.status(bearer=token) == 200
    gate.client.close()


def test_no_secret_is_in_the_logs(pair: list[Gate]) -> None:
    """Nor are wrong ones, which may be right elsewhere; each change is one line that says who."""
    gate, password, wrong = pair[0], "planted-password-1", "planted-password-2"
    body = {"name": "logged", "role": "reader", "password": password}
    assert gate.admin.post(ACCOUNTS, json=body).status_code == 200
    token_id, token = gate.add_token("logged")
    jwt = "eyJhbGciOiJSUzI1NiJ9.cGxhbnRlZA.cGxhbnRlZA"
    gate.status(("logged", password))
    gate.status(("logged", wrong))
    gate.status((wrong, password))
    gate.status(bearer=token)
    gate.status(bearer=f"{token}x")
    gate.status(bearer=jwt)
    gate.get(path=f"{AUDIENCE}?access_token={token}&password={password}")
    gate.admin.put(f"{ACCOUNTS}/logged", json={"password": "planted-password-3"})
    gate.admin.put(f"{ACCOUNTS}/logged", json={"password": "planted"})
    gate.admin.post(ACCOUNTS, content=b'{"password": "planted-password-4",')
    gate.admin.post(f"{TOKENS}/{token_id}/delete")
    gate.admin.post(f"{ACCOUNTS}/logged/delete")
    text = "".join(each.service.log_text() for each in pair)
    encoded = base64.b64encode(f"logged:{password}".encode()).decode()
    secrets = ("planted", token.rpartition("_")[2], jwt, encoded, gate.env.password, "$argon2")
    assert [secret for secret in secrets if secret in text] == []
    lines = [json.loads(line) for line in text.splitlines()]
    changes = [line for line in lines if "logged" in (line.get("account"), line.get("token"))]
    assert [(line["message"], line["by"]) for line in changes if "by" in line] == [
        ("account added", "admin"),
        ("token added", "admin"),
        ("account changed", "admin"),
        ("token deleted", "admin"),
        ("account deleted", "admin"),
    ]
