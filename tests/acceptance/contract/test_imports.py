"""Contract, Import users."""

from __future__ import annotations

import gzip
import re
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.support.clients.speech import (
    BASE,
    ID,
    IMPORT,
    IN_PROGRESS,
    INVALID_FILE,
    Server,
    file,
    line,
)
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.servers.surroundings import ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.servers.surroundings import Surroundings

DELIMITERS = {"COMMA": ",", "SEMI_COLON": ";", "PIPE": "|", "HYPHEN": "-"}


def delimited(email: str, delimiter: str) -> str:
    """A file of one line with this between its cells."""
    return (
        delimiter.join(["First Name", "Last Name", "Email", "Country"])
        + "\n"
        + (delimiter.join(["Ada", "Lovelace", email, "India"]) + "\n")
    )


def counts(status: dict[str, Any]) -> tuple[int, ...]:
    """Total, inserted, updated, unchanged, rejected."""
    names = ("total", "inserted", "updated", "unchanged", "rejected")
    return tuple(status[name] for name in names)


def test_an_upload_is_answered_with_its_job(server: Server, name: str) -> None:
    """An id in a string and the message, nothing else; by default in mode insert."""
    answer = server.upload(file(line(f"{name}@example.org")))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    body = answer.json()
    assert body == {"id": body["id"], "message": IN_PROGRESS}
    assert isinstance(body["id"], str)
    assert ID.fullmatch(body["id"])
    assert int(body["id"]) < 2**63
    assert server.ended(body["id"])["mode"] == "insert"


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("where", ["headers", "query", "fields"])
def test_the_delimiter_may_stand_in_three_places(
    server: Server, name: str, where: str, delimiter: str
) -> None:
    """Header, query parameter, form field; each of the four."""
    email = f"{name.replace('-', '')}@example.org"
    content = delimited(email, DELIMITERS[delimiter])
    how: dict[str, Any] = {where: {"DELIMITER": delimiter}}
    assert counts(server.ended(server.job(content, **how))) == (1, 1, 0, 0, 0)
    found = server.user(email)
    assert found is not None
    assert (found["firstName"], found["country"]) == ("Ada", "India")


@pytest.mark.parametrize(
    "places",
    [
        {"headers": "PIPE", "query": "COMMA", "fields": "COMMA"},
        {"query": "PIPE", "fields": "COMMA"},
        {"headers": "PIPE", "fields": "HYPHEN"},
    ],
)
def test_the_header_counts_before_the_query_and_that_before_the_form(
    server: Server, name: str, places: dict[str, str]
) -> None:
    """Where they differ."""
    how: dict[str, Any] = {where: {"DELIMITER": value} for where, value in places.items()}
    status = server.ended(server.job(delimited(f"{name}@example.org", "|"), **how))
    assert counts(status) == (1, 1, 0, 0, 0)


@pytest.mark.parametrize("mode", ["insert", "upsert"])
@pytest.mark.parametrize("where", ["query", "fields"])
def test_the_mode_may_stand_in_two_places(server: Server, name: str, where: str, mode: str) -> None:
    """Query parameter and form field."""
    how: dict[str, Any] = {where: {"importType": mode}}
    job_id = server.job(file(line(f"{name}@example.org")), **how)
    assert server.status(job_id)["mode"] == mode


def test_the_query_counts_before_the_form(server: Server, name: str) -> None:
    """For the mode too."""
    job_id = server.job(
        file(line(f"{name}@example.org")),
        query={"importType": "upsert"},
        fields={"importType": "insert"},
    )
    assert server.status(job_id)["mode"] == "upsert"


def test_insert_refuses_a_key_that_exists(server: Server, name: str) -> None:
    """That row is an error, the others are added; case and spaces do not make another key."""
    email = f"{name}@example.org"
    server.imported(file(line(email)))
    again = server.imported(file(line(f"  {email.upper()} "), line(f"b{email}")))
    assert counts(again) == (2, 1, 0, 0, 1)
    assert again["statusMessage"] == "Uploaded file has got errors"
    assert server.errors(again["id"])["Errors"][0]["reason"] == (
        "Email is being used for one of the audience members."
    )


def test_upsert_changes_or_adds(server: Server, name: str) -> None:
    """And where nothing is new, nothing changes."""
    email = f"{name}@example.org"
    server.imported(file(line(email, last_active_date="01/02/2020")))
    content = file(
        line(email, first_name="Augusta", last_active_date="01/02/2020"), line(f"b{email}")
    )
    first = server.imported(content, "upsert")
    assert counts(first) == (2, 1, 1, 0, 0)
    found = server.user(email)
    assert found is not None
    assert (found["firstName"], found["lastName"]) == ("Augusta", "Lovelace")
    again = server.imported(
        file(line(email, first_name="Augusta", last_active_date="01/02/2020")), "upsert"
    )
    assert counts(again) == (1, 0, 0, 1, 0)


@pytest.mark.parametrize(
    ("blank_cells", "state"), [(None, "Goa"), ("keep", "Goa"), ("clear", None)]
)
def test_a_blank_cell_keeps_or_clears(
    server: Server, name: str, blank_cells: str | None, state: str | None
) -> None:
    """It keeps, unless `blankCells` says clear."""
    email = f"{name}@example.org"
    server.imported(file(line(email, state="Goa")))
    fields = {"importType": "upsert"} | ({"blankCells": blank_cells} if blank_cells else {})
    server.ended(server.job(file(line(email)), fields=fields))
    found = server.user(email)
    assert found is not None
    assert found["state"] == state


def test_delsert_replaces_the_audience(server: Server, name: str) -> None:
    """The file is the whole audience afterwards."""
    server.imported(file(line(f"before-{name}@example.org")))
    status = server.imported(
        file(*(line(f"{number}-{name}@example.org") for number in range(3))), "delsert"
    )
    assert (status["state"], status["total"]) == ("COMPLETED", 3)
    assert status["statusMessage"] == "Successfully uploaded requests of count :3"
    page = server.users()
    assert page["total"] == 3
    assert {user["email"] for user in page["audience"]} == {
        f"{number}-{name}@example.org" for number in range(3)
    }


def test_a_delsert_that_would_remove_too_much_is_refused(server: Server, name: str) -> None:
    """400 beyond `maxDeletePercent`, and the audience stays."""
    server.imported(file(*(line(f"{n}-{name}@example.org") for n in range(4))), "delsert")
    fields = {"importType": "delsert", "maxDeletePercent": "50"}
    answer = server.upload(file(line(f"0-{name}@example.org")), fields=fields)
    assert (answer.status_code, answer.json()["message"]) == (400, INVALID_FILE["message"])
    assert server.users()["total"] == 4


COLUMNS = {
    "firstName": "Zoë",
    "lastName": "Ōkafor-李",
    "email": "",
    "mobileNumber": "+14155550123",
    "country": "USA",
    "state": "Texas",
    "lastActiveDate": "08/28/2017",
    "smsSubscription": "true",
    "emailSubscription": "false",
    "voiceSubscription": "true",
}


SPELLINGS: dict[str, Callable[[str], str]] = {
    "JSON": str,
    "upper case": str.upper,
    "header": lambda name: re.sub("([A-Z])", r" \1", name).title(),
    "snake case": lambda name: re.sub("([A-Z])", r"_\1", name).lower(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_columns_match_by_their_names(server: Server, name: str, spelling: str) -> None:
    """Those of the contract and the JSON names, in any case; values may hold any Unicode."""
    email = f"{name}@exämple.org"
    cells = COLUMNS | {"email": email}
    content = ",".join(map(SPELLINGS[spelling], cells)) + "\n" + ",".join(cells.values()) + "\n"
    assert counts(server.imported(content)) == (1, 1, 0, 0, 0)
    found = server.user(email)
    assert found is not None
    expected: dict[str, Any] = {
        **cells,
        "smsSubscription": True,
        "emailSubscription": False,
        "voiceSubscription": True,
        "lastActiveDateStr": "08/28/2017 12:00:00 AM GMT",
    }
    del expected["lastActiveDate"]
    assert {key: found[key] for key in expected} == expected


def test_an_empty_last_active_date_means_the_day_of_the_upload(server: Server, name: str) -> None:
    """In UTC."""
    days = [datetime.now(UTC)]
    server.imported(file(line(f"{name}@example.org")))
    days.append(datetime.now(UTC))
    found = server.user(f"{name}@example.org")
    assert found is not None
    assert found["lastActiveDateStr"] in {day.strftime("%m/%d/%Y 12:00:00 AM GMT") for day in days}
    assert found["mobileNumber"] is None


REQUIRED = ["First Name", "Last Name", "Email", "Country"]


@pytest.mark.parametrize("column", REQUIRED)
def test_a_row_without_a_required_value_is_an_error(server: Server, name: str, column: str) -> None:
    """It alone; the error names the column."""
    broken = line(f"{name}@example.org", **{column: ""})
    status = server.imported(file(broken, line(f"b{name}@example.org")))
    assert counts(status) == (2, 1, 0, 0, 1)
    error = server.errors(status["id"])["Errors"][0]
    assert (error["line"], error["column"]) == (2, column)


def test_a_state_is_required_in_the_usa(server: Server, name: str) -> None:
    """And only there."""
    content = file(line(f"{name}@example.org", country="USA"), line(f"b{name}@example.org"))
    status = server.imported(content)
    assert counts(status) == (2, 1, 0, 0, 1)
    assert server.errors(status["id"])["Errors"][0]["column"] == "State"


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
    assert set(answer.json()) == {"message", "details"}
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
        {"content": file(line("a@b.co")), "headers": {"Content-Type": "text/csv"}},
        {"content": file(line("a@b.co"))},
        {"json": {"uploadFile": "x"}},
        {"data": {"uploadFile": "x"}},
    ],
    ids=["csv", "nothing said", "json", "urlencoded"],
)
def test_what_is_not_multipart_is_refused(server: Server, request_of: dict[str, Any]) -> None:
    """415."""
    assert server.http.post(IMPORT, **request_of).status_code == 415


def test_an_idempotency_key_makes_one_job(server: Server, name: str) -> None:
    """Other content under it is 409, whatever is other about it."""
    key = {"Idempotency-Key": f"key {name}"}
    content = file(line(f"{name}@example.org"))
    first = server.upload(content, headers=key)
    again = server.upload(content, headers=key)
    assert (again.status_code, again.json()) == (200, first.json())
    other = server.upload(content + "\n", headers=key)
    assert other.status_code == 409
    assert other.json()["message"]
    assert server.upload(content, headers=key, fields={"importType": "upsert"}).status_code == 409
    assert server.upload(content).json()["id"] != first.json()["id"]


@pytest.mark.parametrize("mode", ["insert", "upsert", "delsert"])
@pytest.mark.parametrize("where", ["query", "fields"])
def test_a_dry_run_changes_nothing(server: Server, name: str, where: str, mode: str) -> None:
    """It says what would happen; there is no job and no other audience."""
    email = f"{name}@example.org"
    server.imported(file(line(email, last_active_date="01/02/2020")))
    before = server.users()
    jobs = server.http.get(f"{BASE}/batchinfo/status").json()["total"]
    content = file(
        line(email, first_name="Augusta", last_active_date="01/02/2020"),
        line(f"new-{email}"),
        line("no address"),
    )
    options = {"dryRun": "true", "importType": mode}
    how: dict[str, Any] = {where: options}
    answer = server.upload(content, **how)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["dryRun"], found["mode"], found["total"]) == (True, mode, 3)
    if mode == "insert":
        assert [found[each] for each in ("insert", "update", "reject")] == [1, 0, 2]
    if mode == "upsert":
        assert [found[each] for each in ("insert", "update", "reject")] == [1, 1, 1]
        change = found["samples"]["update"][0]
        assert (change["before"], change["after"]) == (
            {"firstName": "Ada"},
            {"firstName": "Augusta"},
        )
    if mode == "delsert":
        assert found["reject"] == 1
    assert server.users() == before
    assert server.http.get(f"{BASE}/batchinfo/status").json()["total"] == jobs


@pytest.mark.parametrize("how", ["name", "part"])
def test_a_file_may_be_packed(server: Server, name: str, how: str) -> None:
    """By a name in `.gz`, or by `Content-Encoding: gzip` of its part."""
    packed = gzip.compress(file(line(f"{name}@example.org")).encode())
    part: Any = ("f.csv.gz", packed)
    if how == "part":
        part = ("f.csv", packed, "text/csv", {"Content-Encoding": "gzip"})
    answer = server.http.post(IMPORT, files={"uploadFile": part})
    assert answer.status_code == 200, answer.text
    assert counts(server.ended(answer.json()["id"])) == (1, 1, 0, 0, 0)


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
    assert (answer.status_code, set(answer.json())) == (413, {"message"})
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
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
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
    assert set(body) == {"message", "requestId"}
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
