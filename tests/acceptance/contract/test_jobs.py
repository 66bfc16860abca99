"""Contract, Status, Status of all, and Errors."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.clients.speech import (
    BASE,
    DATE,
    IN_PROGRESS,
    NO_SUCH_IDS,
    UNKNOWN_JOB,
    file,
    line,
)
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.clients.speech import Server
    from tests.support.servers.rig import Rig

STATUS = f"{BASE}/batchinfo/status"
ERRORS = f"{BASE}/batchinfo/errors"


def lines(name: str, number: int) -> list[str]:
    """So many lines, each with a key of its own."""
    return [line(f"{index}-{name}@example.org") for index in range(number)]


def test_a_status_says_how_far_a_job_is(server: Server, name: str) -> None:
    """The contract's names and texts, dates in its form, the id in a string."""
    content = file(*lines(name, 3))
    job_id = server.job(content)
    status = server.ended(job_id)
    old_names = {
        "dataType": "AUDIENCE_MEMBERS",
        "statusMessage": "Successfully uploaded requests of count :3",
        "importedBy": "admin",
        "id": job_id,
    }
    assert {key: status[key] for key in old_names} == old_names
    further = {
        "state": "COMPLETED",
        "mode": "insert",
        "fileName": "users.csv",
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
        "total": 3,
        "inserted": 3,
        "updated": 0,
        "unchanged": 0,
        "rejected": 0,
    }
    assert {key: status[key] for key in further} == further
    for key in ("importedDate", "startedDate", "finishedDate"):
        assert DATE.fullmatch(status[key]), key
    assert status["rowsPerSecond"] > 0
    assert status["estimatedFinishDate"] is None


def test_a_job_with_rejected_lines_says_so(server: Server, name: str) -> None:
    """In its message and its state."""
    status = server.imported(file(*lines(name, 2), line("no address")))
    assert status["statusMessage"] == "Uploaded file has got errors"
    assert (status["state"], status["rejected"]) == ("COMPLETED_WITH_ERRORS", 1)


def test_a_job_is_known_from_the_instant_of_its_answer(
    contract_rig: Rig, server: Server, name: str
) -> None:
    """On another instance of the API, and while no processor runs."""
    contract_rig.processors[0].terminate()
    _, other = contract_rig.services.api()
    with other:
        wait_until(other.is_ready, 30)
        job_id = server.job(file(*lines(name, 1)), fields={"importType": "upsert"})
        status = other.http.get(f"{STATUS}/{job_id}").json()
    contract_rig.restart_processor()
    expected = {"id": job_id, "statusMessage": IN_PROGRESS, "state": "ACCEPTED", "mode": "upsert"}
    assert {key: status[key] for key in expected} == expected
    assert server.ended(job_id)["state"] == "COMPLETED"


@pytest.mark.parametrize("job_id", NO_SUCH_IDS)
@pytest.mark.parametrize("path", [f"{STATUS}/{{}}", f"{ERRORS}/{{}}", f"{STATUS}/{{}}/events"])
def test_an_unknown_id_is_answered_in_the_contracts_words(
    server: Server, path: str, job_id: str
) -> None:
    """400, whatever its form."""
    answer = server.http.get(path.format(job_id))
    assert (answer.status_code, answer.json()) == (400, UNKNOWN_JOB)


@pytest.mark.parametrize("job_id", NO_SUCH_IDS)
@pytest.mark.parametrize("change", ["undo", "redo"])
def test_what_was_never_taken_cannot_be_undone(server: Server, change: str, job_id: str) -> None:
    """In the same words."""
    answer = server.http.post(f"{BASE}/batchinfo/{change}/{job_id}")
    assert (answer.status_code, answer.json()) == (400, UNKNOWN_JOB)


@pytest.mark.parametrize("change", ["undo", "redo"])
def test_only_an_administrator_undoes_what_others_imported(
    server: Server, importer: Server, reader: Server, name: str, change: str
) -> None:
    """And nothing has changed; a reader sees not even what it would do."""
    status = server.imported(file(*lines(name, 1)))
    path = f"{BASE}/batchinfo/{change}/{status['id']}"
    for caller, query, needed in (
        (importer, {}, "admin"),
        (reader, {}, "importer"),
        (reader, {"dryRun": "true"}, "importer"),
    ):
        answer = caller.http.post(path, params=query)
        assert answer.status_code == 403
        message = f"The role {needed} is needed for this request"
        assert answer.json() == {"message": message, "code": "ROLE_TOO_LOW"}
    assert server.ended(status["id"]) == status


def events_of(server: Server, job_id: str) -> list[dict[str, Any]]:
    """All events of the job, until the stream ends."""
    with server.http.stream("GET", f"{STATUS}/{job_id}/events") as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        found = [text.removeprefix("data:") for text in answer.iter_lines() if text[:5] == "data:"]
    return [json.loads(text) for text in found]


def test_a_job_can_be_followed_by_events(server: Server, name: str) -> None:
    """Each is a status; the stream ends when the job does."""
    job_id = server.job(file(*lines(name, 2000)))
    events = events_of(server, job_id)
    assert events[-1] == server.status(job_id)
    assert events[-1]["state"] == "COMPLETED"
    assert all(event["id"] == job_id for event in events)
    totals = [event["inserted"] for event in events]
    assert totals == sorted(totals)
    assert events_of(server, job_id) == events[-1:]


def test_all_jobs_are_listed_newest_first(server: Server, name: str) -> None:
    """`start` is an index from 0; each entry is as that of the one job."""
    ids = [server.ended(server.job(file(*lines(f"{n}{name}", 1))))["id"] for n in range(4)]
    page = server.http.get(STATUS, params={"start": 1, "pageSize": 2}).json()
    assert set(page) == {"total", "statuses"}
    assert [status["id"] for status in page["statuses"]] == [ids[2], ids[1]]
    assert page["statuses"][0] == server.status(ids[2])
    usual = server.http.get(STATUS).json()
    assert len(usual["statuses"]) == min(20, usual["total"])
    assert [status["id"] for status in usual["statuses"][:4]] == ids[::-1]
    rest = server.http.get(STATUS, params={"start": page["total"] - 1, "pageSize": 1000}).json()
    assert len(rest["statuses"]) == 1
    beyond = server.http.get(STATUS, params={"start": 10**9}).json()
    assert beyond == {"total": page["total"], "statuses": []}


def test_the_list_can_be_filtered(server: Server, importer: Server, name: str) -> None:
    """By state, mode and account; `total` counts what is listed."""
    mine = importer.imported(file(*lines(name, 1), line("no address")), "upsert")
    for filters in (
        {"importedBy": mine["importedBy"]},
        {"importedBy": mine["importedBy"], "mode": "upsert"},
        {"state": "COMPLETED_WITH_ERRORS", "mode": "upsert"},
    ):
        page = server.http.get(STATUS, params=filters | {"pageSize": 1000}).json()
        assert page["total"] == len(page["statuses"]) >= 1
        assert mine["id"] in {status["id"] for status in page["statuses"]}
        for status in page["statuses"]:
            assert filters.items() <= status.items()
    none = server.http.get(STATUS, params={"importedBy": "nobody at all"}).json()
    assert none == {"total": 0, "statuses": []}


PAGES = ["start=-1", "start=x", "start=1.5", "pageSize=0", "pageSize=1001", "pageSize=-1"]


@pytest.mark.parametrize("query", [*PAGES, "state=DONE", "mode=replace"])
def test_a_list_that_cannot_be_is_refused(server: Server, query: str) -> None:
    """400, with what would be right."""
    answer = server.http.get(f"{STATUS}?{query}")
    assert answer.status_code == 400
    assert query.split("=", maxsplit=1)[0] in answer.json()["details"][0]["message"]


def rejected(server: Server, name: str) -> tuple[str, str]:
    """A job with one rejected line, its second; and that line."""
    email = f"{name}@example.org"
    server.imported(file(line(email)))
    content = file(line(f"b{email}"), line(email), line(f"c{email}"))
    return server.imported(content)["id"], line(email)


def test_an_error_says_which_line_and_why(server: Server, name: str) -> None:
    """In the contract's form: a capital E, `Line n` of data from 1, the row as uploaded."""
    job_id, row = rejected(server, name)
    page = server.errors(job_id)
    assert set(page) == {"total", "Errors"}
    reason = "Email is being used for one of the audience members."
    expected = {
        "errorMessage": f"Line 2,{row},{reason}",
        "line": 3,
        "column": "Email",
        "value": f"{name}@example.org",
        "reason": reason,
    }
    assert page["total"] == 1
    error = page["Errors"][0]
    assert {key: error[key] for key in expected} == expected
    assert isinstance(error["id"], int)
    assert error["code"]


def test_errors_are_paged_in_the_order_of_the_file(server: Server, name: str) -> None:
    """By index, and by the line after which to go on."""
    broken = [line(f"no address {number}") for number in range(45)]
    job_id = server.imported(file(*lines(name, 1), *broken))["id"]
    assert [len(server.errors(job_id, start=at)["Errors"]) for at in (0, 20, 40, 60)] == [
        20,
        20,
        5,
        0,
    ]
    page = server.errors(job_id, start=3, pageSize=2)
    assert (page["total"], [error["line"] for error in page["Errors"]]) == (45, [6, 7])
    whole = server.errors(job_id, pageSize=1000)["Errors"]
    assert [error["line"] for error in whole] == list(range(3, 48))
    assert len({error["id"] for error in whole}) == 45
    after = server.errors(job_id, after=40, pageSize=3)
    assert [error["errorMessage"].split(",")[0] for error in after["Errors"]] == [
        "Line 41",
        "Line 42",
        "Line 43",
    ]


@pytest.mark.parametrize("query", PAGES)
def test_a_page_of_errors_that_cannot_be_is_refused(server: Server, name: str, query: str) -> None:
    """400."""
    job_id = server.imported(file(*lines(name, 1)))["id"]
    assert server.http.get(f"{ERRORS}/{job_id}?{query}").status_code == 400


def error_file(server: Server, job_id: str) -> str:
    """The rejected lines as a file."""
    answer = server.http.get(f"{ERRORS}/{job_id}", headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    return answer.content.decode("utf-8-sig")


def test_rejected_lines_come_as_a_file_that_can_be_uploaded_again(
    server: Server, name: str
) -> None:
    """As they were, with three columns that say why; those are ignored on import."""
    content = file(
        line(f"a{name}@example.org"),
        line("no address", first_name='"Ada, Countess"'),
        line(f"b{name}@example.org", country="USA"),
    )
    job_id = server.imported(content)["id"]
    records = list(csv.DictReader(io.StringIO(error_file(server, job_id))))
    assert list(records[0])[-3:] == ["Error Line", "Error Code", "Error Reason"]
    assert [record["Error Line"] for record in records] == ["3", "4"]
    assert (records[0]["First Name"], records[0]["Email"]) == ("Ada, Countess", "no address")
    errors = server.errors(job_id)["Errors"]
    assert [record["Error Reason"] for record in records] == [error["reason"] for error in errors]
    assert [record["Error Code"] for record in records] == [error["code"] for error in errors]
    records[0]["Email"], records[1]["State"] = f"c{name}@example.org", "Texas"
    mended = io.StringIO()
    writer = csv.DictWriter(mended, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    again = server.imported(mended.getvalue())
    assert (again["state"], again["inserted"]) == ("COMPLETED", 2)
    first = server.user(f"c{name}@example.org")
    assert first is not None
    assert first["firstName"] == "Ada, Countess"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless(
    server: Server, name: str, cell: str
) -> None:
    """In the file; uploaded again it is the cell that it was."""
    content = file(line("no address", first_name=cell))
    job_id = server.imported(content)["id"]
    text = error_file(server, job_id)
    shown = next(csv.DictReader(io.StringIO(text)))["First Name"]
    assert shown.lstrip("'\"")[:1] == cell[0]
    assert shown[0] not in "=+-@\t\r"
    mended = server.imported(text.replace("no address", f"{name}@example.org"))
    assert mended["inserted"] == 1
    found = server.user(f"{name}@example.org")
    assert found is not None
    assert found["firstName"] == cell
