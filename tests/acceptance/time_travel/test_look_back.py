"""The audience as it was, and what changed since, by the real builder; the model decides."""

from __future__ import annotations

import csv
import hashlib
import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.support.clients.client import BASE
from tests.support.clients.shell import Shell
from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.data.log_reading import accepted_jobs
from tests.support.models.model import FIELDS
from tests.support.models.verdict import modelled
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from tests.support.clients.client import Client, Json
    from tests.support.models.model import User
    from tests.support.servers.rig import Rig

BUILD_TIMEOUT_S = 120
NAMES = {
    "first_name": "firstName",
    "last_name": "lastName",
    "mobile_number": "mobileNumber",
    "last_active_date": "lastActiveDateStr",
    "sms_subscription": "smsSubscription",
    "email_subscription": "emailSubscription",
    "voice_subscription": "voiceSubscription",
}


def now_text() -> str:
    """A time between what was done and what comes; the log's times are of milliseconds."""
    time.sleep(0.05)
    text = datetime.now(UTC).isoformat()
    time.sleep(0.05)
    return text


def models(rig: Rig) -> list[dict[str, User]]:
    """The audience before the first job and after each, as the model has it."""
    jobs = accepted_jobs(rig.env.settings)
    files = {hashlib.sha256(file).hexdigest(): file for file in rig.files}
    return [modelled(jobs[:count], files).users for count in range(len(jobs) + 1)]


def get(client: Client, path: str, **query: Any) -> Json:
    """The answer, once what was then is built."""

    def answer() -> Json | None:
        found = client.http.get(f"{BASE}{path}", params=query)
        if found.status_code == 503:
            assert "Retry-After" in found.headers
            return None
        assert found.status_code == 200, found.text
        return found.json()

    wait_until(lambda: answer() is not None, BUILD_TIMEOUT_S, saying=f"{path} {query} is built")
    found = answer()
    assert found is not None
    return found


def audience(client: Client, as_of: object) -> dict[str, Json]:
    """All users as of then, by their key, read page by page."""
    found: dict[str, Json] = {}
    after = "0"
    while True:
        page = get(client, "/audience", asOf=as_of, after=after, pageSize=1000)
        found |= {user["email"].lower(): user for user in page["audience"]}
        if not page["audience"]:
            assert page["total"] == len(found)
            return found
        after = page["audience"][-1]["id"]


def shown(user: User) -> Json:
    """The model's user by the names that users are shown with."""
    values = {NAMES.get(name, name): user.values[name] for name in FIELDS}
    day: date | None = user.values["last_active_date"]
    return values | {"lastActiveDateStr": day and f"{day:%m/%d/%Y} 12:00:00 AM GMT"}


def assert_audience(client: Client, as_of: object, expected: Mapping[str, User]) -> None:
    """Fail unless the audience as of then is the model's, times included."""
    found = audience(client, as_of)
    assert found.keys() == expected.keys()
    for key, user in expected.items():
        wanted = shown(user) | {
            "createdDateStr": f"{user.created_at:%m/%d/%Y %I:%M:%S %p} GMT",
            "lastModifiedDateStr": f"{user.modified_at:%m/%d/%Y %I:%M:%S %p} GMT",
        }
        assert {name: found[key][name] for name in wanted} == wanted


def expected_diff(old: Mapping[str, User], new: Mapping[str, User]) -> list[Json]:
    """What differs, by key, as the model has it."""
    found: list[Json] = []
    for key in sorted(old.keys() | new.keys(), key=lambda key: key.encode()):
        before = {} if key not in old else shown(old[key])
        after = {} if key not in new else shown(new[key])
        names = [name for name in before | after if before.get(name) != after.get(name)]
        if not names:
            continue
        kind = "added" if not before else "changed" if after else "removed"
        found.append(
            {
                "kind": kind,
                "key": key,
                "before": {name: before[name] for name in names} if before else None,
                "after": {name: after[name] for name in names} if after else None,
            }
        )
    return found


def without_nulls(entry: Json) -> Json:
    """Of a user that was added or removed the API shows what is set."""
    sides = {
        side: entry[side] and {k: v for k, v in entry[side].items() if v is not None}
        for side in ("before", "after")
    }
    return {"kind": entry["kind"], "key": entry["key"], **sides}


def assert_diff(
    client: Client, points: tuple[object, object], old: Mapping[str, User], new: Mapping[str, User]
) -> None:
    """Fail unless all pages together are what the model says."""
    expected = expected_diff(old, new)
    found: list[Json] = []
    while True:
        query: dict[str, Any] = {"from": points[0], "to": points[1], "pageSize": 700}
        page = get(client, "/audience/diff", **query, after=found[-1]["key"] if found else "")
        if not found:
            kinds = [entry["kind"] for entry in expected]
            for kind in ("added", "changed", "removed"):
                assert page[kind] == kinds.count(kind)
        found += page["entries"]
        if not page["entries"]:
            break
    assert [without_nulls(entry) for entry in found] == [without_nulls(e) for e in expected]


def test_the_audience_is_as_it_was_after_each_job(rig: Rig) -> None:
    """By job and by time, a delsert among them; and what differs between any two is told."""
    rig.services.builder()
    rng = random.Random(8)
    before_all = now_text()
    first = rig.run(dirty_csv(rng, 2000, keys=3000))
    between = now_text()
    second = rig.run(dirty_csv(rng, 2000, keys=3000), "delsert")
    rig.run(dirty_csv(rng, 2000, keys=3000), "upsert")
    states = models(rig)

    assert_audience(rig.client, first["id"], states[1])
    assert_audience(rig.client, between, states[1])
    assert_audience(rig.client, second["id"], states[2])
    assert_audience(rig.client, before_all, {})

    assert_diff(rig.client, (first["id"], second["id"]), states[1], states[2])
    assert_diff(rig.client, (second["id"], "now"), states[2], states[3])
    assert_diff(rig.client, ("now", between), states[3], states[1])
    assert_diff(rig.client, (first["id"], between), states[1], states[1])
    rig.assert_as_modelled()


def test_a_job_undone_later_is_seen_until_then(rig: Rig) -> None:
    """By job and by time; a history leaves it out as the tables do."""
    rig.services.builder()
    rig.run(tidy_csv(range(10)))
    undone = rig.run(tidy_csv(range(10), word="b"), "upsert")["id"]
    user = get(rig.client, "/audience", email="user3@example.com")["audience"][0]
    before_undo = now_text()
    assert rig.client.http.post(f"{BASE}/batchinfo/undo/{undone}").status_code < 300
    wait_until(
        lambda: rig.client.status(int(undone))["state"] == "REVERTED",
        BUILD_TIMEOUT_S,
        saying="the job is undone",
    )
    after_undo = now_text()
    last = rig.run(tidy_csv(range(8, 12), word="c"), "upsert")["id"]

    names = {
        as_of: audience(rig.client, as_of)["user3@example.com"]["firstName"]
        for as_of in (undone, before_undo, after_undo, last)
    }
    assert list(names.values()) == ["Firstb3", "Firstb3", "Firsta3", "Firsta3"]
    diff = get(rig.client, "/audience/diff", **{"from": undone, "to": last})
    assert (diff["added"], diff["changed"], diff["removed"]) == (2, 10, 0)
    history = get(rig.client, f"/audience/{user['id']}/history")["history"]
    assert [entry["event"] for entry in history] == ["created"]


def test_imports_and_deletions_later_are_not_seen(rig: Rig) -> None:
    """Not by filter, not by id, not by page; and reads go on while another one is built."""
    rig.services.builder()
    job = rig.run(tidy_csv(range(50)))
    rig.run(tidy_csv(range(40, 60), word="b"), "upsert")
    now = get(rig.client, "/audience", email="user45@example.com")["audience"][0]
    path = f"/audience/{now['id']}"
    then = get(rig.client, path, asOf=job["id"])
    assert (now["firstName"], then["firstName"]) == ("Firstb45", "Firsta45")
    assert then["id"] == now["id"]
    assert rig.client.http.post(f"{BASE}{path}/delete").status_code == 200
    assert rig.client.http.get(f"{BASE}{path}").status_code == 400
    assert get(rig.client, path, asOf=job["id"]) == then
    found = get(rig.client, "/audience", asOf=job["id"], email="user45@example.com")
    assert found == {"total": 1, "audience": [then]}
    later = get(rig.client, "/audience", email="user55@example.com")["audience"][0]
    answer = rig.client.http.get(f"{BASE}/audience/{later['id']}", params={"asOf": job["id"]})
    assert answer.status_code == 400


def test_one_that_was_dropped_is_built_again(rig: Rig) -> None:
    """Whoever drops it: nobody is shown less than there was."""
    rig.services.builder()
    job = rig.run(tidy_csv(range(50)))
    assert get(rig.client, "/audience", asOf=job["id"])["total"] == 50
    with psycopg.connect(rig.env.conninfo) as connection:
        connection.execute(
            "UPDATE projection_instance SET last_used_at = to_timestamp(0) WHERE purpose = 'as_of'"
        )
    assert get(rig.client, "/audience", asOf=job["id"])["total"] == 50


def test_what_cannot_be_looked_at_is_refused(rig: Rig) -> None:
    """An unknown job, one that runs, the future, and what is no time; without a builder, too."""
    known = rig.run(tidy_csv(range(5)))
    rig.processors[0].freeze()
    running = rig.submit(tidy_csv(range(3)), "upsert")
    for as_of, status, words in (
        ("7", 400, "Invalid request ID. No request found with the provided ID"),
        (str(running), 409, "has not ended"),
        ("2999-01-01", 400, "in the future"),
        ("yesterday", 400, "is the id of a job, or a time"),
    ):
        for path in ("/audience", "/audience/7", "/audience/diff"):
            query = {"from": as_of, "to": "now"} if path.endswith("diff") else {"asOf": as_of}
            answer = rig.client.http.get(f"{BASE}{path}", params=query)
            assert (answer.status_code, words in answer.text) == (status, True), answer.text
    rig.processors[0].thaw()
    answer = rig.client.http.get(f"{BASE}/audience", params={"asOf": known["id"]})
    assert answer.status_code == 503
    assert "waits for a builder to take it: is a processor running?" in answer.text
    for path in ("/audience/diff", "/audience/diff?from=now", "/audience/diff?from=now&to="):
        assert rig.client.http.get(f"{BASE}{path}").status_code == 400


@pytest.fixture
def shell(rig: Rig, tmp_path: Path) -> Shell:
    """A shell beside the installation."""
    return Shell(rig, tmp_path)


def test_commands_look_back(rig: Rig, shell: Shell) -> None:
    """They wait until it is built; --csv and --json tell all, the table a page."""
    rig.services.builder()
    first = rig.run(tidy_csv(range(1500)))["id"]
    rig.run(tidy_csv(range(300, 1700), word="b"), "upsert")

    users = shell.json("users", "--as-of", first, "--page-size", "3")
    one = shell.json("users", "get", users["audience"][0]["id"], "--as-of", first)
    table = shell.run("diff", first, "now", "--page-size", "2", "--kind", "changed")
    whole = shell.json("diff", first, "now")
    path = shell.folder / "changes.csv"
    written = shell.run("diff", first, "now", "--csv", str(path))
    none = shell.run("diff", "now", "now")
    wrong = shell.run("users", "--as-of", "tomorrow")

    assert (users["total"], one) == (1500, users["audience"][0])
    assert table.returncode == 0, table.stderr
    assert f"From {first} to now: 200 added, 1200 changed, 0 removed (the next" in table.stdout
    assert table.stdout.count("firstName") == 2
    assert [whole[kind] for kind in ("added", "changed", "removed")] == [200, 1200, 0]
    assert len(whole["entries"]) == 1400
    assert written.returncode == 0, written.stderr
    rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    assert {row["key"] for row in rows} == {entry["key"] for entry in whole["entries"]}
    assert written.stderr.endswith(f"{len(rows) + 1:,} lines are in {path}.\n")
    assert none.stdout == "From now to now: 0 added, 0 changed, 0 removed\n"
    assert (wrong.returncode, "asOf is the id of a job, or a time" in wrong.stderr) == (2, True)


def test_a_history_tells_job_file_line_and_log_position(rig: Rig, shell: Shell) -> None:
    """Of each change, as the log has it."""
    job = rig.run(tidy_csv(range(5)))["id"]
    user = shell.json("users", "--email", "user3@example.com")["audience"][0]
    history = shell.run("users", "history", user["id"])
    assert history.returncode == 0, history.stderr
    words = history.stdout.split()
    assert {job, "users.csv", "5"} <= set(words)
    partition, offset = divmod(int(user["id"]) - 1, 1 << 48)
    assert f"{partition}:{offset}" in words
