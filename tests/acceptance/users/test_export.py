"""The audience as a file: over HTTP and on the command line, and imported again."""

from __future__ import annotations

import csv
import io
import json
import socket
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
import pytest

from tests.support.clients.client import BASE, counts
from tests.support.clients.raw_http import authorization_of
from tests.support.clients.shell import Shell
from tests.support.clients.single_users import define
from tests.support.data.corpus.values import TIDY
from tests.support.data.files import csv_of, tidy_csv
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig

NASTY: tuple[dict[str, str], ...] = (
    {"First Name": "=1+1", "Last Name": "'=x", "plan": "'-1"},
    {"First Name": "@cmd", "Last Name": "O'Hara", "plan": 'a "b", c', "SMS Subscription": "no"},
    {"First Name": "two\nlines", "Last Name": "tab\there", "Last Active Date": "0987-01-31"},
    {"First Name": "a\u200bb", "Last Name": "+1", "plan": "  kept inside  ", "Points": "-0.50"},
    {"First Name": "Zoë 😀", "Last Name": "\\N", "Mobile Number": "", "Email Subscription": "no"},
)
USERS = [
    {**TIDY, "plan": "", "Points": "", **line, "Email": f"Ada.{number}@example.com"}
    for number, line in enumerate(NASTY)
]
_USERS = """
SELECT key, id, first_name, last_name, email, mobile_number, country, state, last_active_date,
       sms_subscription, email_subscription, voice_subscription, attributes, modified_at
FROM users ORDER BY id
"""


@pytest.fixture
def filled(rig: Rig) -> Rig:
    """An audience with cells that files and spreadsheets trip over."""
    assert define(rig.client, "plan").status_code == 200
    assert define(rig.client, "Points", "number").status_code == 200
    done = rig.run(csv_of(*USERS, headers=USERS[0]))
    assert counts(done) == (len(USERS), 0, 0, 0), done
    return rig


def get(rig: Rig, **query: Any) -> Any:
    """The answer to an export."""
    return rig.client.http.get(f"{BASE}/audience/export", params=query)


def test_an_export_that_is_imported_changes_nothing(filled: Rig) -> None:
    """Upserted, every line is unchanged; as a delsert it leaves the same users."""
    before = select(filled.env, _USERS)
    exported = get(filled)
    assert exported.headers["X-Total-Count"] == str(len(USERS))
    assert exported.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"

    upserted = filled.run(exported.content, "upsert")
    assert counts(upserted) == (0, 0, len(USERS), 0), upserted
    assert select(filled.env, _USERS) == before
    filled.run(exported.content, "delsert")
    assert sorted(get(filled).text.splitlines()) == sorted(exported.text.splitlines())
    assert get(filled, columns="plan,email").status_code == 200


def test_formats_filters_and_points_in_time(filled: Rig) -> None:
    """Chosen by `format` or `Accept`; filters are those of lists; what is wrong is refused."""
    filled.services.builder()
    first = filled.client.http.get(f"{BASE}/batchinfo/status").json()["statuses"][0]["id"]
    filled.run(tidy_csv(range(2)))
    accept = {"Accept": "application/x-ndjson"}
    by_accept = filled.client.http.get(f"{BASE}/audience/export", headers=accept)
    lines = [json.loads(line) for line in by_accept.text.split("\n")[:-1]]
    assert [line["firstName"] for line in lines].count("=1+1") == 1
    assert by_accept.headers["Content-Type"] == "application/x-ndjson"
    again = filled.client.http.post(
        f"{BASE}/audience/import?importType=upsert",
        content=by_accept.content,
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert again.status_code == 200, again.text
    imported = filled.wait_ended(int(again.json()["id"]))
    assert counts(imported) == (0, 0, len(lines), 0), imported
    table = pyarrow.parquet.read_table(io.BytesIO(get(filled, format="parquet").content))
    assert table.num_rows == len(lines) == len(USERS) + 2
    one = get(filled, email="ada.1@example.com", columns="Last Name,email")
    assert one.text == "Last Name,Email\nO'Hara,Ada.1@example.com\n"
    wait_until(
        lambda: get(filled, asOf=first).status_code == 200, 120, saying="what was then is built"
    )
    then = get(filled, asOf=first)
    assert then.headers["X-Total-Count"] == str(len(USERS))
    assert len(list(csv.reader(io.StringIO(then.text, newline="")))) == len(USERS) + 1
    for query in ({"format": "xml"}, {"columns": "nothing"}, {"country": ""}, {"asOf": "7"}):
        assert get(filled, **query).status_code == 400, query


def test_the_command_writes_a_whole_file_or_none(filled: Rig, tmp_path: Path) -> None:
    """Its format follows from the name; - is stdout; a refusal leaves what was there."""
    shell = Shell(filled, tmp_path)
    path = tmp_path / "all.parquet"
    done = shell.run("users", "export", str(path))
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"{len(USERS)} users are in {path}.\n"
    assert pyarrow.parquet.read_table(path).num_rows == len(USERS)
    piped = shell.run("users", "export", "-", "--columns", "email", "--attribute", "Points=-0.5")
    assert piped.stdout == "Email\nAda.3@example.com\n"
    refused = shell.run("users", "export", str(path), "--columns", "emial")
    assert refused.returncode == 2
    assert "is it Email?" in refused.stderr
    assert pyarrow.parquet.read_table(path).num_rows == len(USERS)


def test_a_client_that_leaves_ends_the_statement(rig: Rig) -> None:
    """However much Postgres still had to send."""
    rig.run(tidy_csv(range(100_000)))
    url = rig.client.http.base_url
    head = f"GET {BASE}/audience/export HTTP/1.1\r\nHost: x\r\n"
    signed = f"{head}Authorization: {authorization_of(rig.client)}\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect((url.host, url.port or 80))
        client.sendall(signed.encode())
        assert client.recv(12) == b"HTTP/1.1 200"
        wait_until(lambda: _copies(rig) == 1, 10, saying="Postgres waits for the client")
    wait_until(lambda: _copies(rig) == 0, 20, saying="nothing is read for it any more")
    rig.services.assert_running()


def _copies(rig: Rig) -> int:
    """How many exports Postgres works for."""
    query = """
        SELECT count(*) AS n FROM pg_stat_activity
        WHERE query LIKE '%COPY (SELECT first_name%' AND state = 'active'
          AND datname = current_database() AND pid <> pg_backend_pid()
    """
    return select(rig.env, query)[0]["n"]
