"""Contract, Authentication."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.support.clients.speech import BASE, IMPORT, UNAUTHORIZED, Server, file, line
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig

PATHS = [
    ("POST", IMPORT),
    ("GET", f"{BASE}/batchinfo/status/1"),
    ("GET", f"{BASE}/batchinfo/status/1/events"),
    ("GET", f"{BASE}/batchinfo/status"),
    ("GET", f"{BASE}/batchinfo/errors/1"),
    ("GET", f"{BASE}/audience"),
    ("POST", f"{BASE}/audience"),
    ("GET", f"{BASE}/audience/1"),
    ("PUT", f"{BASE}/audience/1"),
    ("POST", f"{BASE}/audience/1/delete"),
    ("GET", f"{BASE}/audience/1/history"),
    ("GET", f"{BASE}/admin/accounts"),
    ("GET", f"{BASE}/admin/tokens"),
    ("GET", f"{BASE}/admin/attributes"),
    ("GET", "/vpns"),
    ("DELETE", "/vpns/api/v2/anything"),
]


def assert_unauthorized(answer: httpx2.Response) -> None:
    """As the contract says it, to the letter."""
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
    assert answer.headers["WWW-Authenticate"].split()[0] in {"Basic", "Bearer"}
    assert answer.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_every_path_is_behind_the_filter(stranger: Server, method: str, path: str) -> None:
    """Also one that nothing answers."""
    assert_unauthorized(stranger.http.request(method, path))


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic !!!",
        "Basic YWRtaW4=",
        "Basic YWRtaW46d3Jvbmc=",
        "Basic bm9ib2R5Om5vYm9keQ==",
        "Basic " + "A" * 10_000,
        "Bearer",
        "Bearer not-a-token",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
        "Digest username=admin",
        "admin",
    ],
)
def test_credentials_that_are_none_are_refused(stranger: Server, authorization: str) -> None:
    """Wrong, cut off, garbled, of another scheme, of 10 KB."""
    headers = {"Authorization": authorization}
    assert_unauthorized(stranger.http.get(f"{BASE}/audience", headers=headers))


def test_the_body_of_a_strangers_upload_is_not_read(contract_rig: Rig) -> None:
    """The answer comes although the body never does, and the connection ends."""
    url = httpx2.URL(contract_rig.client.url)
    head = (
        f"POST {IMPORT} HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 1000000000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    answer = b""
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(head.encode())
        while received := connection.recv(65536):
            answer += received
    top, _, body = answer.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 401 ")
    assert json.loads(body) == UNAUTHORIZED


def token(server: Server, role: str, name: str) -> dict[str, Any]:
    """A new API token of this role."""
    answer = server.http.post(f"{BASE}/admin/tokens", json={"name": name, "role": role})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_token_is_as_good_as_a_password(server: Server, stranger: Server, name: str) -> None:
    """Within its role, until it is deleted: then it is refused within seconds."""
    made = token(server, "reader", name)
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert stranger.http.get(f"{BASE}/audience", headers=bearer).status_code == 200
    denied = stranger.http.get(f"{BASE}/admin/accounts", headers=bearer)
    assert denied.status_code == 403
    deleted = server.http.post(f"{BASE}/admin/tokens/{made['id']}/delete")
    assert (deleted.status_code, deleted.json()["id"]) == (200, made["id"])

    def is_refused() -> bool:
        return stranger.http.get(f"{BASE}/audience", headers=bearer).status_code == 401

    wait_until(is_refused, 10, saying="the deleted token is refused")
    assert_unauthorized(stranger.http.get(f"{BASE}/audience", headers=bearer))


def test_a_tokens_upload_is_by_its_name(server: Server, stranger: Server, name: str) -> None:
    """Not by that of who made it."""
    made = token(server, "importer", name)
    bearer = {"Authorization": f"Bearer {made['token']}"}
    job_id = stranger.job(file(line(f"{name}@example.org")), headers=bearer)
    assert server.status(job_id)["importedBy"] == f"token/{name}"


READS = [
    f"{BASE}/audience",
    f"{BASE}/batchinfo/status",
    f"{BASE}/admin/attributes",
]


@pytest.mark.parametrize("path", READS)
def test_a_reader_reads(reader: Server, path: str) -> None:
    """Whatever there is."""
    assert reader.http.get(path).status_code == 200


def assert_needs(answer: httpx2.Response, role: str) -> None:
    """403, and the message names the role that is needed."""
    assert answer.status_code == 403, answer.text
    assert role in answer.json()["message"]


USER = {"firstName": "A", "lastName": "B", "email": "role@example.org", "country": "India"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", f"{BASE}/audience", USER), ("PUT", f"{BASE}/audience/1", {"firstName": "C"})],
)
def test_a_reader_does_not_write(reader: Server, method: str, path: str, body: object) -> None:
    """An importer is needed."""
    assert_needs(reader.http.request(method, path, json=body), "importer")


@pytest.mark.parametrize("mode", ["insert", "upsert", "delsert"])
def test_a_reader_does_not_import(reader: Server, mode: str) -> None:
    """In no mode."""
    answer = reader.upload(file(line("role@example.org")), fields={"importType": mode})
    assert_needs(answer, "importer")


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_an_importer_imports(importer: Server, name: str, mode: str) -> None:
    """And reads how far it is."""
    status = importer.imported(file(line(f"{name}@example.org")), mode)
    assert (status["state"], status["inserted"]) == ("COMPLETED", 1)


@pytest.mark.parametrize("where", ["field", "query"])
def test_an_importer_does_not_replace_the_audience(importer: Server, where: str) -> None:
    """Wherever delsert is asked for."""
    mode = {"importType": "delsert"}
    how: dict[str, Any] = {"fields": mode} if where == "field" else {"query": mode}
    assert_needs(importer.upload(file(line("role@example.org")), **how), "manager")


ADMIN_ONLY = [
    ("POST", f"{BASE}/audience/1/delete", None),
    ("GET", f"{BASE}/admin/accounts", None),
    ("POST", f"{BASE}/admin/accounts", {"name": "x", "role": "admin"}),
    ("GET", f"{BASE}/admin/tokens", None),
    ("POST", f"{BASE}/admin/tokens", {"name": "x", "role": "admin"}),
    ("POST", f"{BASE}/admin/attributes", {"name": "x", "type": "string"}),
]


@pytest.mark.parametrize(("method", "path", "body"), ADMIN_ONLY)
def test_an_importer_is_no_administrator(
    importer: Server, method: str, path: str, body: object
) -> None:
    """Whatever is deleted or administered."""
    assert_needs(importer.http.request(method, path, json=body), "admin")


def test_an_importer_writes_users(importer: Server, name: str) -> None:
    """Creates and modifies."""
    user_id = importer.created(**USER | {"email": f"{name}@example.org"})
    answer = importer.http.put(f"{BASE}/audience/{user_id}", json={"firstName": "C"})
    assert answer.status_code == 200, answer.text


def test_a_changed_password_counts_at_once(server: Server, name: str) -> None:
    """And the one before no longer does, within seconds."""
    body = {"name": name, "role": "reader", "password": "the-first-one-1"}
    assert server.http.post(f"{BASE}/admin/accounts", json=body).status_code == 200
    url = str(server.http.base_url)
    with (
        Server(url, (name, "the-first-one-1")) as old,
        Server(url, (name, "another-one-22")) as new,
    ):
        assert old.http.get(f"{BASE}/audience").status_code == 200
        changed = server.http.put(
            f"{BASE}/admin/accounts/{name}", json={"password": "another-one-22"}
        )
        assert changed.status_code == 200, changed.text
        wait_until(lambda: old.http.get(f"{BASE}/audience").status_code == 401, 10)
        wait_until(lambda: new.http.get(f"{BASE}/audience").status_code == 200, 10)
