"""Attributes are shown under other names, and retired, while their values stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.clients.client import BASE
from tests.support.clients.shell import Shell
from tests.support.clients.single_users import define
from tests.support.models.verdict import select

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig

HEADER = "First Name,Last Name,Email,Country"
ATTRIBUTES = f"{BASE}/admin/attributes"


def changed(rig: Rig, name: str, **change: Any) -> Any:
    """The answer to this change of an attribute."""
    return rig.client.http.put(f"{ATTRIBUTES}/{name}", json=change)


def file_with(column: str, value: str) -> bytes:
    """A file of one user with one attribute."""
    return f"{HEADER},{column}\nAda,Lovelace,ada@change.example.com,UK,{value}\n".encode()


def shown(rig: Rig) -> list[tuple[str, str | None, bool]]:
    """Name, label and whether it is retired, of each attribute."""
    found = rig.client.http.get(ATTRIBUTES).json()["attributes"]
    return [(each["name"], each["label"], each["isRetired"]) for each in found]


def exported(rig: Rig, **query: str) -> list[str]:
    """The lines of an export."""
    found = rig.client.http.get(f"{BASE}/audience/export", params=query)
    return found.text.splitlines()


def values(rig: Rig) -> dict[str, Any]:
    """The attributes of the one user."""
    (user,) = select(rig.env, "SELECT attributes FROM users")
    found: dict[str, Any] = user["attributes"]
    return found


def test_an_attribute_is_renamed_and_retired(rig: Rig, tmp_path: Path) -> None:
    """Columns may have either name; a retired one is no column, and is found and shown."""
    for name in ("plan", "note"):
        assert define(rig.client, name, "string").status_code == 200
    shell = Shell(rig, tmp_path)
    renamed = shell.run("attributes", "rename", "plan", "Membership (old)")
    assert renamed.returncode == 0, renamed.stderr
    key = {"Idempotency-Key": "once"}
    ids = [
        rig.client.upload(file_with("MEMBERSHIP (old)", "gold"), headers=key).json()["id"]
        for _ in range(2)
    ]
    assert ids[0] == ids[1]
    assert rig.wait_ended(int(ids[0]))["inserted"] == 1
    assert rig.run(file_with("plan", "basic"), "upsert")["updated"] == 1
    assert rig.run(file_with("note", "x"), "upsert")["updated"] == 1

    assert changed(rig, "note", isRetired=True).json()["isRetired"] is True
    rig.api.kill()
    rig.restart_api()
    assert shown(rig) == [("plan", "Membership (old)", False), ("note", None, True)]
    refused = rig.client.upload(file_with("note", "y"), "upsert")
    assert refused.json()["details"][0]["code"] == "UNKNOWN_COLUMN"
    assert values(rig) == {"plan": "basic", "note": "x"}
    found = rig.client.http.get(f"{BASE}/audience", params={"attributes.note": "x"})
    assert found.json()["total"] == 1
    assert exported(rig)[0].endswith(",plan")
    assert exported(rig, columns="email,note")[1] == "ada@change.example.com,x"

    assert shell.run("attributes", "restore", "note").returncode == 0
    assert rig.run(file_with("note", "y"), "upsert")["updated"] == 1


def test_a_change_that_can_not_be_is_refused(rig_of_module: Rig) -> None:
    """A name that headers can't tell from another, a label that nobody sees, no such attribute."""
    rig = rig_of_module
    for name in ("tier", "shoe size"):
        assert define(rig.client, name, "string").status_code == 200
    assert changed(rig, "tier", label="Level").status_code == 200
    for label in ("E-mail", "Shoe_Size", "  -  ", "x" * 65, "a\u200bb"):
        assert changed(rig, "tier", label=label).status_code == 400, label
    assert changed(rig, "shoe size", label="level").status_code == 400
    assert changed(rig, "nothing", label="x").status_code == 404
    assert changed(rig, "tier", lable="x").json()["details"][0]["message"].endswith("label?")
    assert changed(rig, "tier", label=None).json()["label"] is None
