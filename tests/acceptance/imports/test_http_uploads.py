"""The API process, spoken to over HTTP as clients and as attackers do; no processor runs."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import psutil
import psycopg
import pytest

from tests.support.clients.client import BASE
from tests.support.clients.raw_http import (
    CSV,
    IMPORT,
    INVALID,
    accounts_and_topics_are_there,
    authorization_of,
    body,
    curl_form,
    head,
    import_parts,
    jobs,
    part_of,
    raw,
    status_of,
)
from tests.support.clients.speech import UNAUTHORIZED, UNKNOWN_JOB
from tests.support.servers.services import free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.clients.client import Client
    from tests.support.servers.services import Service, Services
    from tests.support.servers.surroundings import Ground

PIPES = CSV.replace(b",", b"|")
IN_PROGRESS = "File uploaded successfully, import is in progress."


def answer_id(answer: httpx2.Response) -> str:
    """By which the service's log calls the request."""
    value: str = answer.headers["X-Request-Id"]
    return value


def test_an_upload_is_known_from_the_instant_of_its_answer(services: Services) -> None:
    """On every instance, before any processor has run, with all that the contract promises."""
    _, client = services.api()
    _, other = services.api()
    with client, other:
        wait_until(lambda: accounts_and_topics_are_there(client), 30)
        wait_until(lambda: accounts_and_topics_are_there(other), 30)
        answer = curl_form(client, importType="upsert")
        assert answer.status_code == 200
        assert answer.json() == {"id": answer.json()["id"], "message": IN_PROGRESS}
        status = other.status(int(answer.json()["id"]))
        assert status | {"importedDate": ""} == {
            "dataType": "AUDIENCE_MEMBERS",
            "statusMessage": IN_PROGRESS,
            "importedDate": "",
            "importedBy": "admin",
            "id": answer.json()["id"],
            "state": "ACCEPTED",
            "mode": "upsert",
            "fileName": "f.csv",
            "sha256": hashlib.sha256(CSV).hexdigest(),
            "delimiter": "COMMA",
            "charset": "utf-8",
            "total": 1,
            "inserted": 0,
            "updated": 0,
            "unchanged": 0,
            "rejected": 0,
            "deleted": 0,
            "notes": 0,
            "rowsPerSecond": None,
            "startedDate": None,
            "finishedDate": None,
            "estimatedFinishDate": None,
            "revertedDate": None,
            "revertedBy": None,
            "cancelledDate": None,
            "cancelledBy": None,
            "undoFailure": None,
        }
        assert time.strptime(status["importedDate"], "%m/%d/%Y %I:%M:%S %p GMT")


def test_the_list_is_newest_first_and_paged(client: Client) -> None:
    """Each page holds as many as there are, and beyond the end none."""
    before = jobs(client)
    ids = [curl_form(client).json()["id"] for _ in range(5)]
    page = client.http.get(f"{BASE}/batchinfo/status?start=1&pageSize=2").json()
    assert (page["total"], [job["id"] for job in page["statuses"]]) == (
        before + 5,
        [ids[3], ids[2]],
    )
    beyond = client.http.get(f"{BASE}/batchinfo/status?start=1000000000&pageSize=1").json()
    assert beyond == {"total": before + 5, "statuses": []}
    errors = client.http.get(f"{BASE}/batchinfo/errors/{ids[0]}").json()
    assert errors == {"total": 0, "Errors": []}
    assert client.http.get(f"{BASE}/audience").json() == {"total": 0, "audience": []}


@pytest.mark.parametrize("query", ["start=-1", "pageSize=0", "pageSize=1001", "start=x", "start="])
def test_a_page_that_cannot_be_is_refused(client: Client, query: str) -> None:
    """400, with what would be right."""
    answer = client.http.get(f"{BASE}/batchinfo/status?{query}")
    assert answer.status_code == 400
    assert answer.json()["details"][0]["code"] == "INVALID_PARAMETER"


@pytest.mark.parametrize("job_id", ["5", "abc", "18446744073709551616", "%D9%A5", "-1", "0"])
def test_an_id_of_no_job_is_answered_as_the_contract_says(client: Client, job_id: str) -> None:
    """Whatever its form."""
    for kind in ("status", "errors"):
        answer = client.http.get(f"{BASE}/batchinfo/{kind}/{job_id}")
        assert (answer.status_code, answer.json()) == (400, UNKNOWN_JOB)


def test_a_delimiter_counts_wherever_the_contract_lets_it_stand(client: Client) -> None:
    """In the header, the query, or a field before or after the file."""
    after = curl_form(client, PIPES, DELIMITER="PIPE")
    before = client.upload(PIPES, fields={"DELIMITER": "PIPE"})
    header = client.upload(PIPES, headers={"DELIMITER": "PIPE"}, fields={"DELIMITER": "COMMA"})
    url = f"{IMPORT}?DELIMITER=PIPE&importType=delsert"
    query = client.http.post(url, files={"uploadFile": ("f.csv", PIPES)})
    answers = [after, before, header, query]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert client.status(int(query.json()["id"]))["mode"] == "delsert"
    wrong = curl_form(client, PIPES)
    assert (wrong.status_code, wrong.json()["message"]) == (400, INVALID)


def test_fifty_retries_at_once_end_in_one_job(client: Client) -> None:
    """All are answered with its id; other content under the same key is a conflict."""
    before = jobs(client)
    key = {"Idempotency-Key": "night 1"}
    with ThreadPoolExecutor(50) as threads:
        under_way = [threads.submit(client.upload, CSV, headers=key) for _ in range(50)]
        answers = [upload.result() for upload in under_way]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert client.upload(CSV, headers=key).json()["id"] == answers[0].json()["id"]
    assert client.upload(CSV + b"\n", headers=key).status_code == 409
    assert client.upload(CSV, "upsert", headers=key).status_code == 409
    assert jobs(client) == before + 1


@pytest.mark.parametrize(
    ("authorization", "status"),
    [(None, 401), ("Basic !!", 401), ("Basic YWRtaW46eA==", 401), ("Basic " + "A" * 9000, 401)],
)
def test_without_valid_credentials_the_body_is_not_read(
    client: Client, authorization: str | None, status: int
) -> None:
    """The answer comes at once although the body never does, and the connection closes."""
    lines = [
        f"POST {IMPORT} HTTP/1.1",
        "Host: localhost",
        "Content-Type: multipart/form-data; boundary=XbX",
        "Content-Length: 1000000000",
        *([f"Authorization: {authorization}"] if authorization else []),
    ]
    answer = raw(client, "\r\n".join(lines) + "\r\n\r\n")
    top, _, content = answer.partition(b"\r\n\r\n")
    assert status_of(answer) == status
    assert json.loads(content) == UNAUTHORIZED
    assert b"www-authenticate: Basic" in top
    assert b"connection: close" in top


def test_every_path_but_health_and_the_page_is_behind_the_filter(client: Client) -> None:
    """Also one that no route knows, however it is written."""
    with httpx2.Client(base_url=client.url, trust_env=False) as stranger:
        for path in ("/vpns", f"{BASE}/nothing", "/%76pns/api/v1/audience", "//vpns/x", "/page/"):
            assert stranger.get(path).status_code == 401, path
        assert stranger.get("/health/live").status_code == 200
    assert client.http.get(f"{BASE}/nothing").status_code == 404


@pytest.mark.parametrize(
    ("beginning", "headers"),
    [
        (b"First Name,Email,Nonsense\n", {"DELIMITER": "COMMA"}),
        (b"\x89PNG\r\n\x1a\n", {}),
        (b"First Name,Last Name,Email,Country\na,b,\xff,d\n", {}),
    ],
)
def test_a_fault_is_answered_while_the_rest_still_comes(
    api: tuple[Service, Client],
    refusing: Client,
    beginning: bytes,
    headers: dict[str, str],
) -> None:
    """Where no later field can mend it, the rest is not read; the client gets the answer."""

    def endless() -> Iterator[bytes]:
        yield beginning
        for _ in range(1000):
            yield b"a,b,a@b.co,c\n" * 10_000

    answer = refusing.upload(endless(), headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (400, INVALID)
    assert answer.json()["details"][0]["line"] in {1, 2}
    requests = [line for line in api[0].log_text().splitlines() if answer_id(answer) in line]
    assert json.loads(requests[-1])["received_bytes"] < 65_000_000


def test_the_size_limit_holds_by_declaration_and_by_count(services: Services) -> None:
    """413: before a body is read that says it is too long, or at its first byte over."""
    _, client = services.api(max_upload_bytes="10000")
    with client:
        wait_until(lambda: accounts_and_topics_are_there(client), 30)
        answer = raw(client, head(client, "Content-Length: 10001"))
        assert status_of(answer) == 413
        assert client.upload(b"x" * 200 for _ in range(1000)).status_code == 413
        parts = [part_of(client.http, letter * 9000) for letter in (b"x", b"y")]
        assert import_parts(client.http, *parts).status_code == 413
        assert curl_form(client).status_code == 200


def test_an_account_has_so_many_uploads_at_once(services: Services) -> None:
    """The next one is told to come again."""
    _, client = services.api(uploads_per_account="1")
    with client:
        wait_until(lambda: accounts_and_topics_are_there(client), 30)
        url = httpx2.URL(client.url)
        with socket.create_connection((url.host, url.port or 80)) as connection:
            declared = head(client, "Content-Length: 1000", "Expect: 100-continue")
            connection.sendall(declared.encode())
            # It says so when it begins to read the body: from then on the upload counts.
            assert connection.recv(1000).startswith(b"HTTP/1.1 100")
            assert curl_form(client).status_code == 429
            assert int(curl_form(client).headers["Retry-After"]) > 0
        wait_until(lambda: curl_form(client).status_code == 200, 10)


def test_memory_does_not_grow_with_the_file(services: Services) -> None:
    """Five million lines leave the process below 300 MB."""
    service, client = services.api()
    wait_until(lambda: accounts_and_topics_are_there(client), 30)

    def lines() -> Iterator[bytes]:
        yield b"First Name,Last Name,Email,Country\n"
        for start in range(0, 5_000_000, 20_000):
            yield b"".join(
                b"First,Last,user%d@example.org,India\n" % number
                for number in range(start, start + 20_000)
            )

    answer = client.upload(lines(), headers={"DELIMITER": "COMMA"})
    assert answer.status_code == 200
    assert client.status(int(answer.json()["id"]))["total"] == 5_000_000
    client.close()
    memory = Path(f"/proc/{service.pid}/status").read_text().splitlines()
    peak_kib = next(int(line.split()[1]) for line in memory if line.startswith("VmHWM"))
    assert peak_kib < 300 * 1024


def test_a_client_that_goes_away_leaves_nothing(api: tuple[Service, Client]) -> None:
    """No thread and no socket stays behind, and there is no job."""
    service, client = api
    url = httpx2.URL(client.url)
    before = jobs(client)
    process = psutil.Process(service.pid)
    connections = [socket.create_connection((url.host, url.port or 80)) for _ in range(20)]
    for connection in connections:
        connection.sendall(head(client, "Content-Length: 9000000").encode() + body()[:-20])
    wait_until(lambda: process.num_threads() >= 20, 10)
    for connection in connections:
        connection.close()
    wait_until(lambda: len(process.net_connections("tcp")) < 20, 3)
    assert jobs(client) == before


def test_sigterm_ends_the_process_in_time_whatever_is_under_way(
    services: Services,
) -> None:
    """It takes no more, tells whoever is still sending, and exits with 0."""
    service, client = services.api()
    wait_until(lambda: accounts_and_topics_are_there(client), 30)
    url = httpx2.URL(client.url)
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(head(client, "Content-Length: 9000000").encode() + body()[:-20])
        time.sleep(0.3)
        assert service.terminate() == 0
    with pytest.raises(httpx2.TransportError):
        client.http.get("/health/live")
    client.close()


def test_nothing_private_is_in_the_logs(api: tuple[Service, Client]) -> None:
    """Neither the password nor a cell nor a file's name."""
    service, client = api
    curl_form(client)
    curl_form(client, CSV + b'"\n')
    client.http.get(f"{BASE}/audience", auth=("admin", "another-secret"))
    text = service.log_text()
    password = base64.b64decode(authorization_of(client).split()[1]).decode().split(":")[1]
    for private in (password, "another-secret", "ada@example", "Lovelace", "f.csv"):
        assert private not in text
    assert '"route": "/vpns/api/v1/audience/import"' in text


def test_idle_connections_keep_nobody_out(client: Client) -> None:
    """Whoever opens some hundreds and sends nothing."""
    url = httpx2.URL(client.url)
    idle = [socket.create_connection((url.host, url.port or 80)) for _ in range(300)]
    try:
        assert client.is_live()
    finally:
        for connection in idle:
            connection.close()


def test_a_fault_that_no_repetition_mends_ends_the_process(env: Ground, services: Services) -> None:
    """With its reason, instead of being unready for ever."""
    with psycopg.connect(env.conninfo, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA rollcall_api")
        connection.execute("CREATE TABLE rollcall_api.account (role text PRIMARY KEY)")
    service = services.start("ingest_api", port=str(free_port()))
    wait_until(lambda: not service.is_running, 30)
    assert service.process.returncode == 1
    reason = json.loads(service.log_text().splitlines()[-1])["error"]
    assert reason.endswith('column "name" does not exist')
    services.started.clear()


def test_a_second_process_does_not_share_the_port(api: tuple[Service, Client]) -> None:
    """It says so and ends, instead of answering some of the requests."""
    service, client = api
    port = httpx2.URL(client.url).port
    environ = {**service.environ, "ROLLCALL_PORT": str(port)}
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "ingest_api"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert f"port {port}" in ended.stderr


def test_a_failure_of_the_service_shows_its_request_and_nothing_else(
    env: Ground, services: Services
) -> None:
    """500 with the contract's message and a request id; the reason is in the log."""
    service, client = services.api()
    with client, psycopg.connect(env.conninfo, autocommit=True) as connection:
        wait_until(lambda: accounts_and_topics_are_there(client), 30)
        connection.execute("DROP TABLE rollcall_api.account CASCADE")
        answer = client.http.get(f"{BASE}/audience")
    assert answer.status_code == 500
    assert answer.json() == {
        "message": "Server failure to process request",
        "code": "SERVER_FAILURE",
        "requestId": answer.headers["X-Request-Id"],
    }
    assert answer.headers["X-Request-Id"] in service.log_text()
