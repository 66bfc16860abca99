"""Contract, Import users."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.clients.speech import (
    BASE,
    ID,
    IMPORT,
    IN_PROGRESS,
    INVALID_FILE,
    counts,
    file,
    line,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.clients.speech import (
        Server,
    )


DELIMITERS = {"COMMA": ",", "SEMI_COLON": ";", "PIPE": "|", "HYPHEN": "-"}


def delimited(email: str, delimiter: str) -> str:
    """A file of one line with this between its cells."""
    return (
        delimiter.join(["First Name", "Last Name", "Email", "Country"])
        + "\n"
        + (delimiter.join(["Ada", "Lovelace", email, "India"]) + "\n")
    )


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
