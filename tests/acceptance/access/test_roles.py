"""Every route that there is, asked by every role and by nobody."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING

import httpx2
import pytest
from sanic import Sanic

from ingest_api.app.application import make_application, make_parts
from ingest_api.app.settings import ApiSettings
from ingest_api.openapi.operation import operation_of
from schemas.config.environment import read
from tests.support.clients.client import BASE, TLS
from tests.support.clients.speech import UNAUTHORIZED
from tests.support.servers.gate import open_gate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.gate import Gate
    from tests.support.servers.services import Services
    from tests.support.servers.surroundings import Ground

ROLES = ("reader", "importer", "manager", "admin")
RULES: dict[str, str | None] = {
    "GET /health/live": None,
    "GET /health/ready": None,
    "GET /metrics": None,
    "GET /": None,
    "GET /page/*": None,
    f"GET {BASE}/session": "reader",
    f"POST {BASE}/session": None,
    f"POST {BASE}/session/delete": "reader",
    f"POST {BASE}/audience/import": "importer",
    f"POST {BASE}/audience/inspect": "importer",
    f"POST {BASE}/audience/parts": "importer",
    f"GET {BASE}/audience": "reader",
    f"GET {BASE}/audience/*": "reader",
    f"GET {BASE}/audience/diff": "reader",
    f"GET {BASE}/audience/export": "reader",
    f"GET {BASE}/audience/person": "reader",
    f"GET {BASE}/audience/presets": "reader",
    f"GET {BASE}/audience/presets/*": "reader",
    f"PUT {BASE}/audience/presets/*": "manager",
    f"POST {BASE}/audience/presets/*/delete": "manager",
    f"GET {BASE}/audience/*/history": "reader",
    f"POST {BASE}/audience": "importer",
    f"PUT {BASE}/audience/*": "importer",
    f"POST {BASE}/audience/*/delete": "admin",
    f"GET {BASE}/admin/throughput": "reader",
    f"GET {BASE}/batchinfo/status": "reader",
    f"GET {BASE}/batchinfo/status/*": "reader",
    f"GET {BASE}/batchinfo/status/*/events": "reader",
    f"GET {BASE}/batchinfo/errors/*": "reader",
    f"GET {BASE}/batchinfo/notes/*": "reader",
    f"GET {BASE}/batchinfo/proof/*": "reader",
    f"GET {BASE}/batchinfo/results/*": "reader",
    f"POST {BASE}/batchinfo/undo/*": "importer",
    f"POST {BASE}/batchinfo/redo/*": "importer",
    f"POST {BASE}/batchinfo/cancel/*": "importer",
    f"GET {BASE}/batchinfo/sources": "reader",
    f"GET {BASE}/admin/dead-letters": "admin",
    f"GET {BASE}/admin/dead-letters/*": "admin",
    f"POST {BASE}/admin/dead-letters/*/retry": "admin",
    f"GET {BASE}/admin/accounts": "admin",
    f"POST {BASE}/admin/accounts": "admin",
    f"GET {BASE}/admin/accounts/*": "admin",
    f"PUT {BASE}/admin/accounts/*": "admin",
    f"POST {BASE}/admin/accounts/*/delete": "admin",
    f"GET {BASE}/admin/audit": "admin",
    f"GET {BASE}/admin/audit/check": "admin",
    f"GET {BASE}/admin/tokens": "admin",
    f"POST {BASE}/admin/tokens": "admin",
    f"POST {BASE}/admin/tokens/*/delete": "admin",
    f"GET {BASE}/admin/projections": "admin",
    f"POST {BASE}/admin/projections": "admin",
    f"GET {BASE}/admin/projections/*": "admin",
    f"GET {BASE}/webhooks": "importer",
    f"POST {BASE}/webhooks": "importer",
    f"PUT {BASE}/webhooks/*": "importer",
    f"POST {BASE}/webhooks/*/delete": "importer",
    f"POST {BASE}/webhooks/*/test": "importer",
    f"GET {BASE}/webhooks/*/deliveries": "importer",
    f"POST {BASE}/webhooks/*/deliveries/*/redeliver": "importer",
    f"GET {BASE}/admin/attributes": "reader",
    f"POST {BASE}/admin/attributes": "admin",
    f"PUT {BASE}/admin/attributes/*": "admin",
}
"""By method and path, ``*`` for a parameter: the lowest role, or None where anybody may.

A route that isn't here fails the test; below ``/docs`` everything answers anybody.
"""


def rule(call: str) -> str | None:
    """The lowest role that may make this call."""
    if call.startswith("GET /docs") or call == "GET /openapi.json":
        return None
    assert call in RULES, f"{call} has no rule: say here who may call it"
    return RULES[call]


def registered(env: Ground) -> dict[str, str | None]:
    """Every call that the application takes, with the role that its description names."""

    async def found() -> dict[str, str | None]:
        parts = make_parts(read(ApiSettings, env.environ))
        application = make_application(parts)
        calls: dict[str, str | None] = {}
        for route in application.router.routes:
            path = "/" + re.sub(r"<[^>]*>", "*", route.path)
            operation = operation_of(route.handler)
            for method in route.methods - {"HEAD", "OPTIONS"}:
                described = operation.role if operation else "not described"
                calls[f"{method} {path}"] = described
        Sanic.unregister_app(application)  # its name is free for the next one
        parts.passwords.close()
        parts.uploads.close()
        return calls

    return asyncio.run(found())


@pytest.fixture
def gate(env: Ground, services: Services) -> Iterator[Gate]:
    """An API of its own."""
    opened = open_gate(env, services)
    yield opened
    opened.client.close()


def test_every_route_is_open_to_its_role_and_higher_ones_only(gate: Gate) -> None:
    """Lower ones get 403 that names the role needed, and nobody else gets anything but 401."""
    calls = registered(gate.env)
    assert len(calls) > 10
    tokens = {role: gate.add_token(f"a {role}", role)[1] for role in ROLES}
    for call, described in calls.items():
        needed = rule(call)
        assert described in ("not described", needed), call
        assert answers(gate, call, tokens) == expected(needed), call


def expected(needed: str | None) -> dict[str, bool]:
    """Who may, where this is the lowest role."""
    if needed is None:
        return dict.fromkeys(("nobody", *ROLES), True)
    lowest = ROLES.index(needed)
    return {"nobody": False} | {role: ROLES.index(role) >= lowest for role in ROLES}


def answers(gate: Gate, call: str, tokens: dict[str, str]) -> dict[str, bool]:
    """Who may make the call, by role; a refusal must be as the contract says it."""
    method, _, path = call.partition(" ")
    url = gate.client.url + path.replace("*", "5")
    found: dict[str, bool] = {}
    for role in ("nobody", *ROLES):
        headers = {"Authorization": f"Bearer {tokens[role]}"} if role in tokens else {}
        body = b"{}" if method in {"POST", "PUT"} else None
        json_type = {"Content-Type": "application/json"} if body else {}
        answer = httpx2.request(
            method,
            url,
            headers=headers | json_type,
            content=body,
            timeout=60,
            trust_env=False,
            verify=TLS,
        )
        found[role] = answer.status_code not in {401, 403}
        if answer.status_code == 401:
            assert answer.json() == UNAUTHORIZED, call
            assert "WWW-Authenticate" in answer.headers, call
        if answer.status_code == 403:
            needed = rule(call)
            message = f"The role {needed} is needed for this request"
            expected = {"message": message, "code": "ROLE_TOO_LOW"}
            assert answer.json() == expected, call
    return found


def test_no_route_reads_a_body_before_it_knows_who_sends_it(gate: Gate) -> None:
    """Strangers get their answer although the gigabyte that they announce never comes."""
    url = httpx2.URL(gate.client.url)
    for call in registered(gate.env):
        method, _, path = call.partition(" ")
        if method == "GET":
            continue
        head = [
            f"{method} {path.replace('*', '5')} HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/json",
            "Content-Length: 1000000000",
        ]
        with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
            connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
            status = b"413" if rule(call) is None else b"401"
            assert connection.recv(65536).startswith(b"HTTP/1.1 %b " % status), call


def test_what_a_mode_would_do_is_shown_to_whoever_imports(gate: Gate) -> None:
    """Of a delsert, too, wherever the upload says that it is a dry run; no role is asked for."""
    _, token = gate.add_token("who tries", "importer")
    url = f"{gate.client.url}{BASE}/audience/import"
    headers = {"Authorization": f"Bearer {token}"}
    file = ("uploadFile", ("f.csv", b"First Name,Last Name,Email,Country\na,b,a@b.co,India\n"))
    option = ("dryRun", (None, "true"))
    with httpx2.Client(headers=headers, timeout=60, trust_env=False, verify=TLS) as client:
        answers = [
            client.post(f"{url}?importType=delsert&dryRun=true", files=[file]),
            client.post(f"{url}?importType=delsert", files=[option, file]),
            client.post(f"{url}?importType=delsert", files=[file, option]),
        ]
    for answer in answers:  # nobody has made tables to compare with here
        assert answer.status_code == 503, answer.text
        assert "no processor has made its tables" in answer.json()["message"]


def test_a_manager_replaces_the_audience(gate: Gate) -> None:
    """Whether it is an account or a token."""
    _, token = gate.add_token("a manager of the audience", "manager")
    account = gate.add_account("manager", "manager")
    files = {"uploadFile": ("f.csv", b"First Name,Last Name,Email,Country\na,b,a@b.co,India\n")}
    url = f"{gate.client.url}{BASE}/audience/import?importType=delsert"
    bearer = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(timeout=60, trust_env=False, verify=TLS) as client:
        answers = [
            client.post(url, files=files, headers=bearer),
            client.post(url, files=files, auth=account),
        ]
    for answer in answers:
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("mode", "role"),
    [
        ("insert", "importer"),
        ("update", "importer"),
        ("ignore", "importer"),
        ("delsert", "manager"),
        ("delete", "manager"),
    ],
)
def test_a_mode_that_can_delete_needs_a_higher_role(gate: Gate, mode: str, role: str) -> None:
    """Wherever the upload says its mode."""
    _, token = gate.add_token("an importer", "importer")
    files = {"uploadFile": ("f.csv", b"First Name,Last Name,Email,Country\na,b,a@b.co,India\n")}
    url = f"{gate.client.url}{BASE}/audience/import"
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(headers=headers, timeout=60, trust_env=False, verify=TLS) as client:
        in_query = client.post(f"{url}?importType={mode}", files=files)
        in_form = client.post(url, files=files, data={"importType": mode})
    for answer in (in_query, in_form):
        if role == "importer":
            assert answer.status_code == 200
        else:
            assert (answer.status_code, answer.json()) == (
                403,
                {"message": f"The role {role} is needed for this request", "code": "ROLE_TOO_LOW"},
            )
