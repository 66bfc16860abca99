"""All that is wrong with a line is told at once, and how many lines each thing keeps out."""

from __future__ import annotations

import csv
import io
import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tests.support.clients.client import BASE, counts
from tests.support.clients.single_users import history

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig

CONTENT = (
    "First Name,Last Name,Email,Country,Mobile Number,Last Active Date\n"
    "Ada,Lovelace,ada@example.org,India,+91 98765 43210,2026-01-31T10:00:00Z\n"
    ",,bad,UK,12,foo\n"
    "Bob,Ray,bob@example.org,UK,12,\n"
    "Cy,Sun,cy@example.org,USA,,\n"
)
FAULTS = [
    [
        ("Email", "EMAIL_INVALID", "bad"),
        ("Mobile Number", "MOBILE_INVALID", "12"),
        ("Last Active Date", "DATE_INVALID", "foo"),
        ("First Name", "REQUIRED", ""),
        ("Last Name", "REQUIRED", ""),
    ],
    [("Mobile Number", "MOBILE_INVALID", "12")],
    [("State", "STATE_REQUIRED", None)],
]
COUNTS = [
    {"code": "MOBILE_INVALID", "column": "Mobile Number", "count": 2},
    {"code": "DATE_INVALID", "column": "Last Active Date", "count": 1},
    {"code": "EMAIL_INVALID", "column": "Email", "count": 1},
    {"code": "REQUIRED", "column": "First Name", "count": 1},
    {"code": "REQUIRED", "column": "Last Name", "count": 1},
    {"code": "STATE_REQUIRED", "column": "State", "count": 1},
]


def faults_in(errors: list[dict[str, Any]]) -> list[list[tuple[str, str, str | None]]]:
    """Column, code and value of each fault, by line."""
    return [
        [(fault["column"], fault["code"], fault["value"]) for fault in error["faults"]]
        for error in errors
    ]


def test_every_fault_is_told_everywhere(rig_of_module: Rig) -> None:
    """By a dry run, the errors, the error file and the job's status."""
    rig = rig_of_module
    dry_run = rig.client.upload(CONTENT.encode(), fields={"dryRun": "true"}).json()
    job_id = int(rig.client.upload(CONTENT.encode()).json()["id"])
    status = rig.wait_ended(job_id)
    errors = rig.client.errors(job_id)
    head = {"Accept": "text/csv"}
    file = rig.client.http.get(f"{BASE}/batchinfo/errors/{job_id}", headers=head)
    rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))

    assert faults_in(errors) == FAULTS
    for error in errors:
        assert all(error[name] == value for name, value in error["faults"][0].items())
    assert faults_in(dry_run["samples"]["reject"]) == FAULTS
    assert dry_run["rejectedBy"] == status["rejectedBy"] == COUNTS
    assert [row["Error Code"].split(", ") for row in rows] == [
        [code for _, code, _ in faults] for faults in FAULTS
    ]
    assert "Last Name is required." in rows[0]["Error Reason"]


def test_a_state_is_missed_for_the_country(rig_of_module: Rig) -> None:
    """Of an upsert that would add a user, the reason says so; the code stays."""
    content = b"First Name,Last Name,Email,Country\nDi,Poe,di@example.org,usa\n"
    answer = rig_of_module.client.upload(content, "upsert")
    job_id = int(answer.json()["id"])
    rig_of_module.wait_ended(job_id)

    (error,) = rig_of_module.client.errors(job_id)
    assert (error["column"], error["code"]) == ("State", "REQUIRED")
    assert error["reason"] == (
        "State is required where the country is USA, and no user with this key exists yet."
    )


def test_columns_are_called_as_the_file_calls_them(rig_of_module: Rig) -> None:
    """Also where the users who are there decide: in a dry run and everywhere after the import."""
    client, head = rig_of_module.client, {"Accept": "text/csv"}
    content = (
        b"Given,Surname,Mail,Land\nEva,,eva@example.org,UK\nIda,Fox,ida@example.org,\n"
        b"Jon,Kit,jon@example.org,UK\nJon,Kit,jon@example.org,UK\n"
    )
    columns = {"Given": "First Name", "Surname": "lastName", "Mail": "Email", "Land": "Country"}
    fields = {"columns": json.dumps(columns)}
    told = {
        "upsert": ["REQUIRED Land", "REQUIRED Surname"],
        "insert": ["KEY_EXISTS Mail", "REQUIRED Land", "REQUIRED Surname"],
    }
    for mode, expected in told.items():
        options = fields | {"importType": mode}
        dry_run = client.upload(content, fields=options | {"dryRun": "true"}).json()
        job_id = int(client.upload(content, fields=options).json()["id"])
        status = rig_of_module.wait_ended(job_id)
        counted = dry_run["rejectedBy"]
        assert counted == status["rejectedBy"]
        assert sorted(f"{each['code']} {each['column']}" for each in counted) == expected
        if mode == "upsert":
            errors = client.errors(job_id)
            file = client.http.get(f"{BASE}/batchinfo/errors/{job_id}", headers=head).text
            path = f"{BASE}/batchinfo/results/{job_id}"
            results = client.http.get(path, params={"format": "csv"}).text
            reason = "Surname (Last Name) is required, because no user with this key exists yet."
            assert [errors[0]["column"], errors[0]["reason"]] == ["Surname", reason]
            assert errors[0] | {"id": 0} == dry_run["samples"]["reject"][0] | {"id": 0}
            assert reason in file
            assert reason in results


def test_an_invalid_optional_cell_may_be_left_out(rig_of_module: Rig) -> None:
    """The line counts, a note says what was left out; another choice is another content."""
    rig, client = rig_of_module, rig_of_module.client
    content = (
        b"First Name,Last Name,Email,Country,Mobile Number,Last Active Date\n"
        b"Flo,Gil,flo@example.org,UK,12,soon\nGus,Hay,gus@example,UK,12,\n"
    )
    drop = {"onInvalidOptional": "drop", "importType": "upsert"}
    dry_run = client.upload(content, fields=drop | {"dryRun": "true"}).json()
    key = {"Idempotency-Key": "left out"}
    job_id = int(client.upload(content, headers=key, fields=drop).json()["id"])
    other = client.upload(content, headers=key, fields=drop | {"onInvalidOptional": "reject"})
    status = rig.wait_ended(job_id)
    notes = client.http.get(f"{BASE}/batchinfo/notes/{job_id}").json()["notes"]
    results = client.http.get(f"{BASE}/batchinfo/results/{job_id}", params={"format": "csv"})
    (user,) = client.http.get(f"{BASE}/audience", params={"email": "flo@example.org"}).json()[
        "audience"
    ]
    (entry,) = history(client, user["id"])["history"]

    left_out = [
        ("Last Active Date", "DATE_INVALID", "soon"),
        ("Mobile Number", "MOBILE_INVALID", "12"),
    ]
    assert (counts(status), status["notes"], other.status_code) == ((1, 0, 0, 1), 2, 409)
    for told in (notes, sorted(entry["dropped"], key=itemgetter("column"))):
        assert [(each["column"], each["code"], each["value"]) for each in told] == left_out
    assert [(each["column"], each["count"]) for each in dry_run["notedBy"]] == [
        (column, 1) for column, *_ in left_out
    ]
    assert (dry_run["insert"], dry_run["reject"]) == (1, 1)
    assert results.text.splitlines()[1].endswith(
        ",Last Active Date: DATE_INVALID; Mobile Number: MOBILE_INVALID"
    )
    assert user["mobileNumber"] is None


def test_region_and_order_say_how_cells_are_meant(rig_of_module: Rig) -> None:
    """They are kept with the job; another order is other content for an idempotency key."""
    client = rig_of_module.client
    content = (
        b"First Name,Last Name,Email,Country,Mobile Number,Last Active Date\n"
        b"Ed,Yen,ed@example.org,UK,07700 900123,01/02/2026\n"
    )
    meant = {"phoneRegion": "GB", "dateOrder": "DMY"}
    key = {"Idempotency-Key": "region and order"}
    dry_run = client.upload(content, fields={"dryRun": "true"}).json()
    job_id = int(client.upload(content, headers=key, fields=meant).json()["id"])
    again = client.upload(content, headers=key, fields=meant)
    other = client.upload(content, headers=key, fields=meant | {"dateOrder": "MDY"})
    assert rig_of_module.wait_ended(job_id)["inserted"] == 1

    (user,) = client.http.get(f"{BASE}/audience", params={"email": "ed@example.org"}).json()[
        "audience"
    ]
    assert (user["mobileNumber"], user["lastActiveDateStr"]) == (
        "+447700900123",
        "02/01/2026 12:00:00 AM GMT",
    )
    assert (int(again.json()["id"]), other.status_code) == (job_id, 409)
    assert dry_run["reject"] == 1
    assert "read as MDY" in dry_run["notes"][0]
