"""All that is stored of one person, for whoever asks for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.clients.client import BASE
from tests.support.clients.shell import Shell
from tests.support.clients.single_users import delete
from tests.support.data.corpus.values import TIDY
from tests.support.data.files import csv_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig


def person(rig: Rig, key: str) -> Any:
    """The answer."""
    return rig.client.http.get(f"{BASE}/audience/person", params={"key": key})


def test_a_persons_data_are_told_with_history_and_jobs(rig: Rig, tmp_path: Path) -> None:
    """The user, what set it, the lines that were refused, and their jobs; of others nothing."""
    other = {**TIDY, "Email": "grace@example.com"}
    first = rig.run(csv_of(TIDY, other))["id"]
    again = rig.run(csv_of(TIDY))["id"]
    changed = rig.run(csv_of({**TIDY, "Country": "France"}), "upsert")["id"]
    found = person(rig, " ADA@example.com").json()
    assert found["key"] == found["user"]["email"] == "ada@example.com"
    assert [entry["jobId"] for entry in found["history"]] == [first, changed]
    assert [line["jobId"] for line in found["rejected"]] == [again]
    assert [job["id"] for job in found["jobs"]] == [first, changed, again]
    assert "grace" not in json.dumps(found)

    printed = Shell(rig, tmp_path).run("person", "ada@example.com")
    assert json.loads(printed.stdout) == found
    assert delete(rig.client, found["user"]["id"]).status_code == 200
    left = person(rig, "ada@example.com").json()
    assert (left["user"], left["history"], left["rejected"]) == (None, [], found["rejected"])


def test_nobody_is_refused(rig: Rig) -> None:
    """With the contract's words; a request without a key says what it lacks."""
    rig.run(csv_of(TIDY))
    answer = person(rig, "nobody@example.com")
    assert answer.status_code == 400
    assert "no audience member found" in answer.text
    assert rig.client.http.get(f"{BASE}/audience/person").status_code == 400
    unseen = {"key": "\u200b"}  # every line would hold it
    assert rig.client.http.get(f"{BASE}/audience/person", params=unseen).status_code == 400
    assert person(rig, " ").status_code == 400
