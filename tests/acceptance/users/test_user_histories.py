"""What a user's history tells, against what the row says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.rules.fields import FIELDS
from tests.support.clients.client import BASE
from tests.support.clients.single_users import (
    ANA,
    added,
    create,
    define,
    history,
    modify,
    users,
)
from tests.support.clients.speech import UNKNOWN_USER
from tests.support.data.files import tidy_csv
from tests.support.models.verdict import select

if TYPE_CHECKING:
    from tests.support.clients.client import Json
    from tests.support.servers.rig import Rig


USERS = (
    b"First Name,Last Name,Email,Country\nBo,B,bo@example.org,India\nAna,S,ana@example.org,India\n"
)


def test_a_history_tells_what_set_each_field(rig: Rig) -> None:
    """From files and single writes; its last entry is what the row says of itself."""
    assert define(rig.client, "score", "number").status_code == 200
    job = rig.run(USERS)
    [user_id] = [str(user["id"]) for user in users(rig.env) if user["first_name"] == "Ana"]
    assert history(rig.client, user_id)["total"] == 1
    modify(rig.client, user_id, {"attributes": {"score": 7}, "lastActiveDate": "08/28/2017"})
    create(rig.client, ANA)
    rig.run(USERS)
    rig.run(b"Email,State\nana@example.org,Goa\n", "upsert")
    rig.run(b"Email,State\nana@example.org,Goa\n", "upsert")
    rig.run(tidy_csv(range(5000)))
    found = history(rig.client, user_id)
    assert (found["id"], found["total"]) == (user_id, 3)
    first, second, third = found["history"]
    told = [first[name] for name in ("event", "jobId", "fileName", "importedBy", "line", "source")]
    assert told == ["created", job["id"], "users.csv", "admin", 3, None]
    assert first["changes"]["firstName"] == {"before": None, "after": "Ana"}
    assert [second[name] for name in ("event", "jobId", "source")] == [
        "updated",
        None,
        "rollcall-api",
    ]
    assert second["changes"]["attributes.score"] == {"before": None, "after": 7}
    assert second["changes"]["lastActiveDate"]["after"] == "08/28/2017 12:00:00 AM GMT"
    assert third["changes"] == {"state": {"before": None, "after": "Goa"}}
    assert history(rig.client, user_id, start=1, pageSize=1)["history"] == [second]
    assert_history_ends_as_the_row(rig, user_id)


def test_nobody_has_no_history(rig: Rig) -> None:
    """The contract's answer for an id that is no user's."""
    for unknown in ("7", "seven"):
        answer = rig.client.http.get(f"{BASE}/audience/{unknown}/history")
        assert (answer.status_code, answer.json()) == (400, UNKNOWN_USER)


def assert_history_ends_as_the_row(rig: Rig, user_id: str) -> None:
    """All changes together make the row, and the last of them is where the row says it is."""
    [row] = select(rig.env, f"SELECT * FROM users WHERE id = {user_id}")
    found = history(rig.client, user_id)["history"]
    position = ((found[-1]["partition"] << 48) | found[-1]["offset"]) + 1
    assert position == (row["modified_position"] or row["id"])
    assert found[-1]["jobId"] == (row["job_id"] and str(row["job_id"]))
    assert found[-1]["recordNumber"] == row["record_number"]
    values: Json = {}
    for entry in found:
        for name, change in entry["changes"].items():
            assert values.get(name) == change["before"]
            values[name] = change["after"]
    for field in FIELDS:
        if field.kind != "date":
            assert values.get(field.json_name) == row[field.name], field.name
    attributes = {
        name.removeprefix("attributes."): value
        for name, value in values.items()
        if name.startswith("attributes.") and value is not None
    }
    assert attributes == row["attributes"]


def test_histories_hold_through_passes_that_come_again(rig: Rig) -> None:
    """A publisher killed in its pass leaves repeats, which no history counts."""
    ids = [added(rig.client, ANA | {"email": f"user{number}@example.com"}) for number in range(5)]
    for word in ("b", "c"):
        before = rig.published()
        rig.submit(tidy_csv(range(20_000), word=word), "upsert")
        rig.wait_published(before + 5000)
        rig.publisher.kill()
        for user_id in ids:
            modify(rig.client, user_id, {"lastName": f"between {word}"})
        rig.restart_publisher()
    rig.wait_ended(rig.submit(tidy_csv(range(10), word="d"), "upsert"))
    for user_id in ids:
        assert_history_ends_as_the_row(rig, user_id)
