"""Columns of other names are imported as their sender says, and left out where that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.clients.client import BASE
from tests.support.models.verdict import select

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig

EXPORT = (
    b"Email Address,First Name,Last Name,MEMBER_RATING,Phone Number,CC\n"
    b"ada@columns.example.com,Ada,Lovelace,3,+4915112345678,UK\n"
    b"bob@columns,Bob,Ross,2,,Italy\n"
)
COLUMNS = ["Email Address=Email", "Phone Number=mobileNumber", "CC=Country"]


def test_columns_hold_what_the_sender_says(rig_of_module: Rig) -> None:
    """All that is unknown is told at once; mapped, the file and its error file go in."""
    rig = rig_of_module
    refused = rig.client.upload(EXPORT)
    assert refused.status_code == 400
    told = [(each["code"], each["column"]) for each in refused.json()["details"]]
    assert told == [
        ("UNKNOWN_COLUMN", "Email Address"),
        ("UNKNOWN_COLUMN", "MEMBER_RATING"),
        ("UNKNOWN_COLUMN", "Phone Number"),
        ("UNKNOWN_COLUMN", "CC"),
        ("REQUIRED_COLUMN_MISSING", "Country"),
    ]
    query: dict[str, Any] = {"columns": COLUMNS, "unknownColumns": "ignore"}

    def imported(content: bytes) -> dict[str, Any]:
        answer = rig.client.http.post(
            f"{BASE}/audience/import",
            params=query,
            files={"uploadFile": ("export.csv", content, "text/csv")},
        )
        assert answer.status_code == 200, answer.text
        return rig.wait_ended(int(answer.json()["id"]))

    first = imported(EXPORT)
    assert (first["inserted"], first["rejected"]) == (1, 1)
    found = rig.client.http.get(f"{BASE}/audience", params={"email": "ada@columns.example.com"})
    (user,) = found.json()["audience"]
    assert (user["mobileNumber"], user["country"]) == ("+4915112345678", "UK")

    errors = rig.client.http.get(
        f"{BASE}/batchinfo/errors/{first['id']}", headers={"Accept": "text/csv"}
    ).content
    assert imported(errors)["rejected"] == 1
    last = imported(errors.replace(b"bob@columns,", b"bob@columns.example.com,"))
    assert (last["inserted"], last["rejected"]) == (1, 0)


def test_who_has_opted_out_elsewhere_is_left_in_peace(rig_of_module: Rig) -> None:
    """Under the name of another program, also in its error file, and whatever a later file says."""
    rig = rig_of_module
    export = (
        b"First Name,Last Name,Email,Country/Region,Unsubscribed from all email\n"
        b"Ada,L,ada@out.example.com,UK,true\nEve,L,eve@out.example.com,UK,false\n"
        b"Kim,L,kim@out.example.com,UK,2024-01-31\n"
    )

    def imported(content: bytes, mode: str = "insert") -> dict[str, Any]:
        query = {"columns": "auto", "importType": mode}
        files = {"uploadFile": ("contacts.csv", content, "text/csv")}
        answer = rig.client.http.post(f"{BASE}/audience/import", params=query, files=files)
        assert answer.status_code == 200, answer.text
        assert "notes" not in answer.json()
        return rig.wait_ended(int(answer.json()["id"]))

    def subscribed() -> dict[str, bool]:
        sql = "SELECT first_name, email_subscription FROM users WHERE key LIKE '%@out.example.com'"
        return {each["first_name"]: each["email_subscription"] for each in select(rig.env, sql)}

    for is_dry_run in ("true", "false"):
        answer = rig.client.http.post(
            f"{BASE}/audience/import",
            params={"unknownColumns": "ignore", "importType": "update", "dryRun": is_dry_run},
            files={"uploadFile": ("contacts.csv", export, "text/csv")},
        ).json()
        assert 'The column "Unsubscribed from all email" seems' in str(answer["notes"])
    rig.wait_ended(int(answer["id"]))

    first = imported(export)
    assert (first["inserted"], first["rejected"]) == (2, 1)
    errors = rig.client.http.get(
        f"{BASE}/batchinfo/errors/{first['id']}", headers={"Accept": "text/csv"}
    ).content
    assert b"Unsubscribed from all email is neither true nor false" in errors
    assert imported(errors.replace(b",2024-01-31", b",yes"))["inserted"] == 1
    assert subscribed() == {"Ada": False, "Eve": True, "Kim": False}

    later = export.replace(b"true", b"no").replace(b"2024-01-31", b"")
    assert imported(later, "upsert")["notes"] == 1
    assert subscribed() == {"Ada": False, "Eve": True, "Kim": False}


def test_what_is_said_of_columns_is_content(rig_of_module: Rig) -> None:
    """The same key with other columns is another upload."""
    headers = {"Idempotency-Key": "columns"}
    statuses: list[int] = []
    for columns in (["CC=Country"], ["CC=State"], ["CC=Country"]):
        answer = rig_of_module.client.http.post(
            f"{BASE}/audience/import",
            params={"columns": columns},
            files={"uploadFile": ("a.csv", b"Email,CC\na@columns.example.com,x\n", "text/csv")},
            headers=headers,
        )
        statuses.append(answer.status_code)
    assert statuses == [200, 409, 200]
