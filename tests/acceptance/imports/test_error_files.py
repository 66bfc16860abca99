"""Rejected lines as a file: corrected and uploaded again; of any size, whoever reads it or not."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx2
import psutil
import psycopg
import pytest

from tests.support.clients.client import BASE
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.support.clients.client import Client
    from tests.support.servers.rig import Rig
    from tests.support.servers.services import Service

HEADER = "First Name;Last Name;Email;Mobile Number;Country;State"
MEGABYTE = 1_000_000
LINES = 100_000
MANY = """
INSERT INTO projection_1.rejection (job_id, record_number, line, code, reason, raw)
SELECT %s, n, n + 1, 'WRONG', 'It is wrong.', 'line ' || n || ';' || repeat('x', 490) || ';+49;;;'
FROM generate_series(2, %s) AS n
"""
BACKENDS = """
SELECT pid FROM pg_stat_activity
WHERE application_name = 'rollcall-api' AND datname = current_database()
"""


def error_file(client: Client, job_id: int) -> httpx2.Response:
    """The answer with the whole file."""
    return client.http.get(
        f"{BASE}/batchinfo/errors/{job_id}", headers={"Accept": "text/csv, */*;q=0.1"}
    )


def upload(rig: Rig, content: str | bytes) -> dict[str, Any]:
    """The last status of an upload with semicolons."""
    content = content if isinstance(content, bytes) else content.encode()
    answer = rig.client.upload(content, headers={"DELIMITER": "SEMI_COLON"})
    assert answer.status_code == 200, answer.text
    return rig.wait_ended(int(answer.json()["id"]))


def corrected(content: bytes, changes: dict[str, str]) -> bytes:
    """The file with these texts replaced, as an editor saves it."""
    text = content.decode("utf-8-sig")
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return b"\xef\xbb\xbf" + text.encode()


def test_rejected_lines_are_corrected_in_rounds(rig_of_module: Rig) -> None:
    """Until all are in: every cell as it was, phone numbers too, in the file's own delimiter."""
    rig = rig_of_module
    first = upload(
        rig,
        f"{HEADER}\r\n"
        "Ada;Lovelace;ada@example.org;+4915112345678;Germany;\r\n"
        'Zoë;"Smith; Jr";zoe at example.org;+4915112345679;Germany;\r\n'
        "=1+1;'@quoted;eve@example;+49 (151) 12345680;USA\r\n"
        "Bob;Brown;bob@example.org;+4915112345681;USA;;surplus\r\n",
    )
    assert (first["inserted"], first["rejected"]) == (1, 3)
    answer = error_file(rig.client, int(first["id"]))
    assert b";'+4915112345679;" in answer.content
    second = upload(rig, corrected(answer.content, {"zoe at": "zoe@at"}))
    assert (second["inserted"], second["rejected"]) == (0, 3)
    answer = error_file(rig.client, int(second["id"]))
    assert answer.content.count(b"Error Line") == 1
    changes = {"zoe@at example.org": "zoe@example.org", "eve@example": "eve@example.org"}
    third = upload(rig, corrected(answer.content, changes))
    assert (third["inserted"], third["rejected"]) == (1, 2)
    answer = error_file(rig.client, int(third["id"]))
    records = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))
    # A line with too few fields is refused until somebody has said which cell it lacks.
    assert [record[7] for record in records[1:]] == ["TOO_FEW_FIELDS", "TOO_MANY_FIELDS"]
    eve, bob = (";".join(record[:5]) for record in records[1:])
    changes = {f"{eve};(this cell is missing)": f"{eve};Texas"}
    changes |= {f"{bob};;": f"{bob};Ohio;", ";surplus": ""}
    last = upload(rig, corrected(answer.content, changes))
    assert (last["inserted"], last["rejected"]) == (2, 0)
    users = rig.client.http.get(f"{BASE}/audience").json()["audience"]
    found = {
        user["email"]: (user["firstName"], user["lastName"], user["mobileNumber"]) for user in users
    }
    assert found == {
        "ada@example.org": ("Ada", "Lovelace", "+4915112345678"),
        "zoe@example.org": ("Zoë", "Smith; Jr", "+4915112345679"),
        "eve@example.org": ("=1+1", "'@quoted", "+4915112345680"),
        "bob@example.org": ("Bob", "Brown", "+4915112345681"),
    }


def test_a_job_without_errors_has_a_file_without_lines(rig_of_module: Rig) -> None:
    """Only a header, after a head that says what it is; who takes anything gets JSON."""
    status = upload(rig_of_module, f"{HEADER}\nFay;Green;fay@example.org;;India;\n")
    answer = error_file(rig_of_module.client, int(status["id"]))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"].startswith(
        'attachment; filename="users-errors.csv";'
    )
    assert answer.headers["vary"] == "Accept"
    added = ";Error Line;Error Code;Error Reason\r\n"
    assert answer.content.decode() == f"\ufeff{HEADER}{added}"
    path = f"{BASE}/batchinfo/errors/{status['id']}"
    for accept in ("*/*", "application/json", "text/html", "text/csv;q=0.5, application/json"):
        answer = rig_of_module.client.http.get(path, headers={"Accept": accept})
        assert answer.json() == {"total": 0, "Errors": []}
        assert answer.headers["vary"] == "Accept"


@pytest.fixture(scope="module")
def big_job(rig_of_module: Rig) -> int:
    """A job with 50 MB of rejected lines."""
    status = upload(rig_of_module, f"{HEADER}\nGus;Hill;gus;;India;\n")
    with psycopg.connect(rig_of_module.env.conninfo) as connection:
        connection.execute(MANY, (int(status["id"]), LINES))
    return int(status["id"])


@contextlib.contextmanager
def begun(rig: Rig, job_id: int) -> Generator[Iterator[bytes]]:
    """The pieces of the file, to a client of its own; the first has come."""
    path = f"{rig.client.url}{BASE}/batchinfo/errors/{job_id}"
    account = ("admin", rig.env.password)
    with (
        httpx2.Client(auth=account, timeout=60, trust_env=False) as client,
        client.stream("GET", path, headers={"Accept": "text/csv"}) as answer,
    ):
        pieces = answer.iter_raw()
        assert next(pieces).startswith(b"\xef\xbb\xbf")
        yield pieces


def file_requests(api: Service) -> list[dict[str, Any]]:
    """The log lines of requests for errors that have been answered or given up."""
    lines = api.log_text().splitlines()
    return [json.loads(line) for line in lines if '"/vpns/api/v1/batchinfo/errors/' in line]


def test_a_file_of_any_size_takes_little_memory(rig_of_module: Rig, big_job: int) -> None:
    """All of its lines come, in order, while other requests are answered."""
    api = psutil.Process(rig_of_module.api.pid)
    before = api.memory_info().rss
    size, lines, peak = 0, 0, before
    cut = b""  # a line end may come in two pieces
    with begun(rig_of_module, big_job) as pieces, httpx2.Client() as other:
        for number, piece in enumerate(pieces):
            size += len(piece)
            lines += (cut + piece).count(b"\r\n")
            cut = piece[-1:].replace(b"\n", b"")
            peak = max(peak, api.memory_info().rss)
            if number % 100 == 0:
                assert other.get(f"{rig_of_module.client.url}/health/live").status_code == 200
    assert lines >= LINES
    assert size > 50 * MEGABYTE
    assert peak - before < 30 * MEGABYTE


def test_a_reader_who_goes_away_frees_everything(rig_of_module: Rig, big_job: int) -> None:
    """The log says that the file was cut off."""
    count = len(file_requests(rig_of_module.api))
    with begun(rig_of_module, big_job):
        pass
    wait_until(lambda: len(file_requests(rig_of_module.api)) > count, 30)
    assert file_requests(rig_of_module.api)[-1]["is_cut_off"] is True


def test_a_reader_who_stops_reading_holds_no_connection_to_postgres(
    rig_of_module: Rig, big_job: int
) -> None:
    """However many do, others are answered; after half a minute they get no more."""
    count = len(file_requests(rig_of_module.api))
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(begun(rig_of_module, big_job)) for _ in range(12)]
        time.sleep(1)
        for _ in range(20):
            assert rig_of_module.client.status(big_job)["rejected"] == 1
        wait_until(lambda: len(file_requests(rig_of_module.api)) == count + 12, 120)
        with pytest.raises(httpx2.TransportError):
            for _ in readers[0]:
                pass


def test_who_searches_much_holds_up_only_himself(rig_of_module: Rig) -> None:
    """While no search of users ends, others' statuses are answered, and readiness is as it was."""
    rig = rig_of_module
    job_id = int(upload(rig, f"{HEADER}\nHal;Ives;hal@example.org;;India;\n")["id"])
    accounts = f"{BASE}/admin/accounts"
    other = rig.client.http.post(accounts, json={"name": "other", "role": "reader"}).json()
    with (
        ThreadPoolExecutor(80) as threads,
        httpx2.Client(base_url=rig.client.url, timeout=60, trust_env=False) as http,
    ):
        with psycopg.connect(rig.env.conninfo) as connection:
            connection.execute("LOCK TABLE projection_1.user_row")
            searching = [threads.submit(rig.client.http.get, f"{BASE}/audience") for _ in range(80)]
            for _ in range(20):
                path = f"{BASE}/batchinfo/status/{job_id}"
                assert http.get(path, auth=("other", other["password"])).status_code == 200
                assert http.get("/health/ready").status_code == 200
        answers = [each.result() for each in searching]
    refused = [each for each in answers if each.status_code == 429]
    assert {each.status_code for each in answers} == {200, 429}
    assert all("Retry-After" in each.headers for each in refused)


def test_a_file_is_never_taken_for_whole_that_is_not(rig_of_module: Rig, big_job: int) -> None:
    """Postgres stops answering in its middle: the connection is broken."""
    with begun(rig_of_module, big_job) as pieces:
        with psycopg.connect(rig_of_module.env.conninfo) as connection:
            backends = [pid for (pid,) in connection.execute(BACKENDS)]
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(httpx2.RemoteProtocolError, match="incomplete chunked read"):
                for _ in pieces:
                    pass
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
    wait_until(lambda: error_file(rig_of_module.client, big_job).status_code == 200, 30)
