"""Columns of which nothing is known become custom attributes, where whoever may says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.clients.client import BASE
from tests.support.clients.shell import Shell
from tests.support.data.log_reading import accepted_jobs
from tests.support.models.verdict import select

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig

FILE = (
    "First Name,Last Name,Email,Country,Lead Status,Größe\n"
    "Ada,Lovelace,ada@new.example.com,UK,Open,007\n"
).encode()


def sent(rig: Rig, *, auth: tuple[str, str] | None = None, **said: str) -> Any:
    """The answer to the file, its unknown columns taken as attributes."""
    as_other: dict[str, Any] = {"auth": auth} if auth else {}
    return rig.client.http.post(
        f"{BASE}/audience/import",
        params={"unknownColumns": "attribute", **said},
        files={"uploadFile": ("a.csv", FILE, "text/csv")},
        headers={"Idempotency-Key": "new attributes"},
        **as_other,
    )


def defined(rig: Rig) -> dict[str, str]:
    """The type of each attribute."""
    found = rig.client.http.get(f"{BASE}/admin/attributes").json()["attributes"]
    return {each["name"]: each["type"] for each in found}


def test_unknown_columns_become_attributes(rig: Rig, tmp_path: Path) -> None:
    """A dry run tells which; only an administrator may; a retry is the same upload."""
    account = rig.client.http.post(
        f"{BASE}/admin/accounts", json={"name": "importer", "role": "importer"}
    ).json()
    importer = (account["name"], account["password"])

    tried = sent(rig, auth=importer, dryRun="true").json()
    assert (tried["insert"], tried["newAttributes"]) == (1, ["Lead Status", "Grosse"])
    refused = sent(rig, auth=importer)
    assert (refused.status_code, defined(rig)) == (403, {})
    assert "admin" in refused.json()["message"]

    ids = [sent(rig).json()["id"] for _ in range(2)]
    assert ids[0] == ids[1]
    assert rig.wait_ended(int(ids[0]))["inserted"] == 1
    assert defined(rig) == {"Lead Status": "string", "Grosse": "string"}
    (user,) = select(rig.env, "SELECT attributes FROM users")
    assert user["attributes"] == {"Lead Status": "Open", "Grosse": "007"}

    # Now that they are there, whoever imports may use them.
    path = tmp_path / "more.csv"
    path.write_bytes(FILE)
    again = Shell(rig, tmp_path).run("import", str(path), "--mode", "upsert", "--add-unknown")
    assert again.returncode == 0, again.stderr
    assert "1 unchanged" in again.stdout
    first, second = accepted_jobs(rig.env.settings)
    assert (first.columns, {*first.attributes}) == (second.columns, {*second.attributes})


def test_there_may_be_no_more_than_so_many(rig_of_module: Rig) -> None:
    """Nothing is defined where not all can be."""
    names = [f"Column {number}" for number in range(201)]
    content = ("Email," + ",".join(names) + "\na@b.example.com" + "," * 201 + "\n").encode()

    answer = rig_of_module.client.http.post(
        f"{BASE}/audience/import",
        params={"unknownColumns": "attribute"},
        files={"uploadFile": ("a.csv", content, "text/csv")},
    )

    assert answer.status_code == 400
    assert answer.json()["details"][0]["code"] == "TOO_MANY_ATTRIBUTES"
    assert defined(rig_of_module) == {}
