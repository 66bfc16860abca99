"""Contract, Import users: what is refused, and with which answer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.support.clients.speech import (
    BASE,
    IMPORT,
    INVALID_FILE,
    Server,
    counts,
    file,
    line,
)
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.servers.surroundings import ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.surroundings import Surroundings


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n\n",
        b"\xef\xbb\xbf",
        file().encode(),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"PK\x03\x04" + bytes(40),
        b"First Name,Last Name,Country\nA,B,C\n",
        b"First Name,Last Name,Email,Country,Nonsense\nA,B,a@b.co,C,D\n",
        b"First Name,Last Name,Email,Country,email\nA,B,a@b.co,C,a@b.co\n",
        b'First Name,Last Name,Email,Country\nA,"B,a@b.co,C\n',
        b"First Name,Last Name,Email,Country\nA,B\xff,a@b.co,C\n",
        b"First Name;Last Name;Email;Country\nA;B;a@b.co;C\n",
    ],
    ids=[
        "empty",
        "blank",
        "BOM only",
        "header only",
        "picture",
        "archive",
        "no key",
        "unknown column",
        "column twice",
        "open quote",
        "no UTF-8",
        "other delimiter",
    ],
)
def test_what_is_no_valid_file_is_refused(server: Server, content: bytes) -> None:
    """With the contract's message, and what is wrong where."""
    before = server.http.get(f"{BASE}/batchinfo/status").json()["total"]
    answer = server.upload(content)
    assert (answer.status_code, answer.json()["message"]) == (400, INVALID_FILE["message"])
    assert set(answer.json()) == {"message", "code", "details"}
    assert answer.json()["details"]
    for detail in answer.json()["details"]:
        assert set(detail) == {"line", "column", "code", "message"}
    assert server.http.get(f"{BASE}/batchinfo/status").json()["total"] == before


WRONG_FORMS: list[dict[str, Any]] = [
    {"data": {"importType": "insert"}, "files": {"another": ("f.csv", b"x")}},
    {"files": [("uploadFile", ("a.csv", b"x")), ("uploadFile", ("b.csv", b"x"))]},
    {"data": {"importType": "replace"}, "files": {"uploadFile": ("f.csv", file(line("a@b.co")))}},
    {"data": {"DELIMITER": "TAB"}, "files": {"uploadFile": ("f.csv", file(line("a@b.co")))}},
    {"files": {"uploadFile": (None, file(line("a@b.co")))}},
]


@pytest.mark.parametrize(
    "form", WRONG_FORMS, ids=["no file", "two files", "mode", "delimiter", "text field"]
)
def test_what_is_no_upload_form_is_refused(server: Server, form: dict[str, Any]) -> None:
    """With the same message."""
    answer = server.http.post(IMPORT, **form)
    assert (answer.status_code, answer.json()["message"]) == (400, INVALID_FILE["message"])
    assert answer.json()["details"]


@pytest.mark.parametrize(
    "request_of",
    [
        {"content": file(line("a@b.co")), "headers": {"Content-Type": "text/html"}},
        {
            "content": file(line("a@b.co")),
            "headers": {"Content-Type": "text/csv", "Content-Encoding": "br"},
        },
        {"content": file(line("a@b.co"))},
        {"json": {"uploadFile": "x"}},
        {"data": {"uploadFile": "x"}},
    ],
    ids=["web page", "unknown coding", "nothing said", "json", "urlencoded"],
)
def test_what_is_not_multipart_is_refused(server: Server, request_of: dict[str, Any]) -> None:
    """415."""
    assert server.http.post(IMPORT, **request_of).status_code == 415


@pytest.fixture(scope="module")
def limited(contract_rig: Rig) -> Iterator[Server]:
    """Another instance of the API, with limits that a test can reach."""
    service, client = contract_rig.services.api(
        max_upload_bytes="10000", uploads_per_account="1", body_idle_timeout_s="2"
    )
    wait_until(client.is_ready, 30)
    with client, Server(client.url, ("admin", contract_rig.env.password)) as made:
        yield made
    service.terminate()


def test_an_upload_over_the_limit_is_refused(limited: Server, server: Server) -> None:
    """413, by what it says and by what comes; by default there is no limit."""
    content = file(*(line(f"{number}@example.org") for number in range(1000)))
    assert limited.upload(content).status_code == 413

    def pieces() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="uploadFile"; filename="f"\r\n\r\n'
        for _ in range(100):
            yield b" " * 1000

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = limited.http.post(IMPORT, content=pieces(), headers=headers)
    assert (answer.status_code, set(answer.json())) == (413, {"message", "code"})
    assert server.upload(content, query={"importType": "upsert"}).status_code == 200


def test_too_many_uploads_of_an_account_are_told_to_come_again(
    limited: Server, contract_rig: Rig, name: str
) -> None:
    """429 with `Retry-After`, as long as one is under way."""
    url = limited.http.base_url
    request = limited.http.build_request("POST", IMPORT, content=b"")
    assert limited.http.auth is not None
    authorization = next(limited.http.auth.auth_flow(request)).headers["Authorization"]
    head = (
        f"POST {IMPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        answer = limited.upload(file(line(f"{name}@example.org")))
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["message"]
    contract_rig.services.assert_running()


@pytest.mark.parametrize(
    "without",
    [
        {"kafka_bootstrap_servers": "127.0.0.1:1"},
        {"database_url": "host=127.0.0.1 port=1 dbname=x"},
    ],
    ids=["Kafka", "Postgres"],
)
def test_without_kafka_or_postgres_nothing_is_kept(
    contract_rig: Rig, without: dict[str, str]
) -> None:
    """503 with `Retry-After`; the message says that it may be sent again."""
    service, client = contract_rig.services.api(None, **without)
    with client, Server(client.url, ("admin", contract_rig.env.password)) as cut_off:
        if "database_url" not in without:
            wait_until(lambda: "accounts" not in client.http.get("/health/ready").text, 30)
        answer = cut_off.upload(file(line("nobody@example.org")))
    service.terminate()
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert "try again" in answer.json()["message"]


def test_a_failure_shows_its_request_and_no_trace(
    services: Services,
) -> None:
    """500 with the contract's message and a request id."""
    service, client = services.api()
    with (
        client,
        Server(client.url, ("admin", services.environ["ROLLCALL_ADMIN_PASSWORD"])) as broken,
        psycopg.connect(services.environ["ROLLCALL_DATABASE_URL"], autocommit=True) as connection,
    ):
        wait_until(lambda: "accounts" not in client.http.get("/health/ready").text, 30)
        connection.execute("DROP TABLE rollcall_api.account CASCADE")
        answer = broken.upload(file(line("a@example.org")))
    assert answer.status_code == 500
    body = answer.json()
    assert set(body) == {"message", "code", "requestId"}
    assert body["message"] == "Server failure to process request"
    assert body["requestId"] == answer.headers["X-Request-Id"]
    assert body["requestId"] in service.log_text()


@pytest.fixture(scope="module")
def by_mobile(
    surroundings_of_session: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """An installation whose reconciliation key is the mobile number."""
    with (
        ground(surroundings_of_session, reconciliation_key="mobileNumber") as made,
        Services(made.environ, tmp_path_factory.mktemp("logs")) as services,
    ):
        rig = Rig.start(made, services)
        with Server(rig.client.url, ("admin", made.password)) as server:
            yield server
        rig.close()


def test_where_the_mobile_number_is_the_key_a_row_needs_one(by_mobile: Server) -> None:
    """It tells users apart in E.164, however it is written."""
    content = file(line("a@example.org", mobile_number="+1 (415) 555-0123"), line("b@example.org"))
    status = by_mobile.imported(content)
    assert counts(status) == (2, 1, 0, 0, 1)
    error = by_mobile.errors(status["id"])["Errors"][0]
    assert (error["line"], error["column"]) == (3, "Mobile Number")
    again = by_mobile.imported(file(line("c@example.org", mobile_number="+14155550123")))
    assert counts(again) == (1, 0, 0, 0, 1)
    assert by_mobile.users()["audience"][0]["mobileNumber"] == "+14155550123"
