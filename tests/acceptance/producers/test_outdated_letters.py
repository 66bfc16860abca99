"""A retry never turns back time: letters whose key was changed after them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.producers.test_dead_letters import (
    API,
    dead_lettered,
    home,
    partitions,
    retry,
    row,
    send,
    user,
)
from tests.support.clients.shell import Shell
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from schemas.events import UserRow
    from tests.support.clients.client import Json
    from tests.support.servers.rig import Rig

LAST_NAME, COUNTRY = 0b10, 0b10000
HEADER = "First Name,Last Name,Email,Country"
_NUMBERS = itertools.count()


@pytest.fixture
def shell(rig_of_module: Rig, tmp_path: Path) -> Shell:
    """A shell with the address and the credentials set."""
    return Shell(rig_of_module, tmp_path)


@pytest.fixture
def key() -> str:
    """A key of the test's own."""
    return f"outdated-{next(_NUMBERS)}@example.com"


@pytest.fixture
def attribute() -> str:
    """The name of an attribute that nobody has defined yet."""
    return f"later {next(_NUMBERS)}"


def define(rig: Rig, name: str) -> None:
    """Define a text attribute."""
    answer = rig.client.http.post(
        f"{API}/admin/attributes", json={"name": name, "type": "string", "isIndexed": False}
    )
    assert answer.status_code == 200, answer.text


def upsert(key: str, event_id: str, **values: Any) -> UserRow:
    """An event that sets the last name of a user who is there, or what else is said."""
    whole: dict[str, Any] = {
        "mode": "upsert", "present": LAST_NAME, "first_name": None, "country": None,
        "last_active_date": None,
    }  # fmt: skip
    return replace(row(key, "outdated", **(whole | values)), email=None, event_id=event_id)


def letter_of(rig: Rig, event: UserRow) -> Json:
    """The letter of an event that is poison."""
    (letter,) = dead_lettered(rig, home(rig, event))
    return letter


def last_name(rig: Rig, key: str) -> str | None:
    """Of the user with this key, None where there is none."""
    found = user(rig, key)
    return found[0]["last_name"] if found else None


def upload(rig: Rig, key: str, name: str, mode: str = "upsert") -> Json:
    """A file of this one line."""
    return rig.run(f"{HEADER}\nKim,{name},{key},Japan\n".encode(), mode)


def applied(rig: Rig, event: UserRow) -> None:
    """Send an event, and wait until its last name is the user's."""
    send(rig, home(rig, event))
    wait_until(lambda: last_name(rig, event.key) == event.last_name, 20, saying="it is applied")


def test_a_letter_is_refused_where_its_key_was_changed_later(
    rig_of_module: Rig, key: str, attribute: str
) -> None:
    """By what, and what it would set, is shown; the user stays as it is."""
    rig = rig_of_module
    upload(rig, key, "First")
    old = upsert(key, "old", last_name="Old", attributes={attribute: "x"})
    letter = letter_of(rig, old)
    status = upload(rig, key, "Newer")
    define(rig, attribute)

    refused = retry(rig, letter["id"])
    assert refused["status"] == 409
    assert [each["code"] for each in refused["details"]] == ["KEY_CHANGED_LATER"]
    changed = refused["changedBy"]
    assert (changed["jobId"], changed["line"], changed["mode"]) == (status["id"], 2, "upsert")
    assert changed["fileName"] == status["fileName"]
    assert refused["wouldSet"] == {
        "lastName": {"now": "Newer", "wouldBe": "Old"},
        f"attributes.{attribute}": {"now": None, "wouldBe": "x"},
    }

    assert last_name(rig, key) == "Newer"


def test_the_command_shows_what_is_newer_and_goes_over_it_where_it_is_told_to(
    rig_of_module: Rig, shell: Shell, key: str, attribute: str
) -> None:
    """Field by field, what is and what would be."""
    rig = rig_of_module
    upload(rig, key, "First")
    old = upsert(key, "old", last_name="Old", attributes={attribute: "x"})
    letter = letter_of(rig, old)
    upload(rig, key, "Newer")
    define(rig, attribute)
    applied(rig, upsert(key, "newest", last_name="Newest"))
    changed = retry(rig, letter["id"])["changedBy"]
    assert (changed["source"], changed["jobId"]) == ("outdated", None)
    said = shell.run("dead-letters", "retry", letter["id"])
    assert said.returncode == 2
    assert "lastName: Newest → Old" in said.stderr
    assert "overNewer" in said.stderr
    assert last_name(rig, key) == "Newest"

    forced = shell.run("dead-letters", "retry", letter["id"], "--over-newer")
    assert forced.returncode == 0, forced.stderr
    wait_until(lambda: last_name(rig, key) == "Old", 20, saying="it went over what was newer")


def test_what_is_said_again_later_is_newer_though_it_changed_nothing(
    rig_of_module: Rig, key: str, attribute: str
) -> None:
    """The source has said so after what the letter says."""
    rig = rig_of_module
    upload(rig, key, "Same")
    letter = letter_of(
        rig, upsert(key, "between", last_name="Between", attributes={attribute: "x"})
    )
    status = upload(rig, key, "Same")
    assert status["unchanged"] == 1
    define(rig, attribute)
    refused = retry(rig, letter["id"])
    assert (refused["status"], refused["changedBy"]["jobId"]) == (409, status["id"])


def test_letters_of_one_key_are_retried_in_the_order_of_the_log(
    rig_of_module: Rig, shell: Shell, key: str, attribute: str
) -> None:
    """None is in another's way, also where one was retried before and failed; the last one wins."""
    rig = rig_of_module
    first = row(key, "outdated", last_name="One", attributes={attribute: "1"})
    letters = [
        letter_of(rig, first),
        letter_of(rig, upsert(key, "two", last_name="Two", attributes={attribute: "2"})),
        letter_of(rig, upsert(key, "three", last_name="Three", attributes={attribute: "3"})),
    ]
    early = retry(rig, letters[0]["id"])  # fails again, and is a letter behind the others then
    assert early["status"] == 200
    define(rig, attribute)
    done = shell.run("dead-letters", "retry", "--reason", "ATTRIBUTE_UNKNOWN")
    assert f"{letters[2]['id']}:" not in done.stdout, done.stdout
    wait_until(lambda: last_name(rig, key) == "Three", 20, saying="the last one is applied")
    assert user(rig, key)[0]["attributes"] == {attribute: "3"}

    late = retry(rig, letters[0]["id"], again="true")
    assert (late["status"], late["changedBy"]["source"]) == (409, "outdated")


def deleted_by_event(rig: Rig, key: str) -> None:
    """Another producer deletes the user."""
    send(rig, home(rig, replace(upsert(key, "delete"), mode="delete", present=0)))


def deleted_by_the_api(rig: Rig, key: str) -> None:
    """An operator deletes the user."""
    number = user(rig, key)[0]["id"]
    assert rig.client.http.post(f"{API}/audience/{number}/delete").status_code == 200


def left_out_of_a_delsert(rig: Rig, key: str) -> None:
    """An upload replaces everybody."""
    upload(rig, f"not-{key}", "Else", "delsert")


@pytest.mark.parametrize("delete", [deleted_by_event, deleted_by_the_api, left_out_of_a_delsert])
def test_a_deleted_user_does_not_come_back(
    rig_of_module: Rig, key: str, attribute: str, delete: Callable[[Rig, str], None]
) -> None:
    """Whoever deleted it after the letter, and though nobody has the key now."""
    rig = rig_of_module
    upload(rig, key, "First")
    whole = row(key, "outdated", mode="upsert", last_name="Old", attributes={attribute: "x"})
    letter = letter_of(rig, whole)
    delete(rig, key)
    wait_until(lambda: not user(rig, key), 20, saying="the user is gone")
    define(rig, attribute)
    refused = retry(rig, letter["id"])
    assert refused["status"] == 409
    assert refused["changedBy"]["mode"] in {"delete", "delsert"}
    assert refused["wouldSet"]["lastName"] == {"now": None, "wouldBe": "Old"}


def test_what_came_before_the_letter_or_counts_for_nothing_is_in_no_ones_way(
    rig_of_module: Rig, key: str, attribute: str
) -> None:
    """Nor are other keys, rejected inserts, and a job that was undone."""
    rig = rig_of_module
    upload(rig, key, "First")
    old = upsert(key, "old", last_name="Old", attributes={attribute: "x"})
    letter = letter_of(rig, old)
    upload(rig, f"other-{key}", "Other")
    assert upload(rig, key, "Refused", "insert")["rejected"] == 1
    dead_lettered(rig, home(rig, row(key, "outdated", last_name="Refused")))
    define(rig, attribute)
    done = retry(rig, letter["id"])
    assert (done["status"], done["overtaken"]) == (200, None)
    wait_until(lambda: last_name(rig, key) == "Old", 20, saying="it is applied")


def test_a_misrouted_letter_is_as_old_as_its_record(rig_of_module: Rig, key: str) -> None:
    """Places in other partitions are compared by time."""
    rig = rig_of_module
    upload(rig, key, "First")
    for name, is_refused in (("Lost", False), ("Late", True)):
        record_key, value, partition = home(rig, upsert(key, name, last_name=name))
        (letter,) = dead_lettered(rig, (record_key, value, (partition + 1) % partitions(rig)))
        if is_refused:
            upload(rig, key, "Newer")
        assert retry(rig, letter["id"])["status"] == (409 if is_refused else 200)
    assert last_name(rig, key) == "Newer"
