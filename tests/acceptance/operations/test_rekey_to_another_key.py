"""The log moved to another reconciliation key, and what becomes of its dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from deploy.log_migration import engine
from deploy.log_migration.rekey import rekey as moving
from processor.verification.verify import verify_active
from schemas.log.topics import partition_of
from tests.support.clients.single_users import ANA, added, define, modify
from tests.support.data.files import csv_of, tidy_csv
from tests.support.models.verdict import select
from tests.support.servers.moving import (
    JOBS,
    LETTERS,
    SOURCES,
    USERS,
    moved,
    producer_row,
    rekey,
    seen,
    send,
    start_with_key,
)
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.servers.surroundings import PARTITIONS, ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.surroundings import Ground, Surroundings


_KEYLESS = USERS.replace("SELECT key, ", "SELECT ").replace("ORDER BY key", "ORDER BY email")
_KEYLESS_LINES = """
SELECT job_id, record_number, line, code, raw FROM rejections ORDER BY job_id, record_number
"""


def seen_without_keys(env: Ground) -> list[list[dict[str, Any]]]:
    """What readers see of everything but ids, keys, and reasons that name the key."""
    return [select(env, query) for query in (_KEYLESS, JOBS, _KEYLESS_LINES, SOURCES)]


def history_of(rig: Rig) -> None:
    """Jobs of every mode, rejections, an undone job, and rows that do not say the new key."""
    rig.run(tidy_csv(range(100)))
    rig.run(tidy_csv(range(50, 120), word="b") + tidy_csv([60], word="c"), "upsert")
    undone = rig.run(tidy_csv(range(30, 130), word="u"), "upsert")
    rig.run(tidy_csv([1, 2, 200]))
    rig.run(b"Email,Country\nuser60@example.com,India\nnobody@example.com,India\n", "upsert")
    rig.run(tidy_csv([*range(20, 80), 30]), "delsert")
    send(rig.env, producer_row("user31@example.com", mode="delete"))
    user = added(rig.client, ANA | {"mobileNumber": "+919876543210"})
    assert modify(rig.client, user, {"state": "Goa"}).status_code == 200
    wait_until(lambda: rig.client.change("undo", int(undone["id"])).is_success, 60)
    rig.client.wait_state(int(undone["id"]), "REVERTED")


def test_a_log_gets_another_key(rig: Rig) -> None:
    """Every service ends until it is told the key; then users are told apart by it."""
    rig.services.builder()
    history_of(rig)
    before = seen_without_keys(rig.env)

    done = rekey(rig, "--key", "mobileNumber", "--partitions", "2")

    assert done.returncode == 0, done.stdout
    assert "Set ROLLCALL_RECONCILIATION_KEY=mobileNumber" in done.stdout
    assert seen_without_keys(rig.env) == before
    rig.env = moved(rig.env, 2)
    start_with_key(rig, "mobileNumber")
    assert verify_active(rig.env.settings).is_proven
    last = rig.run(csv_of({"Email": "new@example.org", "Mobile Number": "+14155550025"}), "upsert")
    assert (last["updated"], last["rejected"]) == (1, 0)
    (changed,) = select(rig.env, "SELECT email FROM users WHERE key = '+14155550025'")
    assert changed["email"] == "new@example.org"
    assert verify_active(rig.env.settings).is_proven


def test_a_move_to_another_key_killed_after_the_switch_is_completed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings that the log had; the same command says then what to set."""
    rig.run(tidy_csv(range(60)))
    before = seen_without_keys(rig.env)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(engine, "resume", die)
        with pytest.raises(KeyboardInterrupt):
            moving.rekey(
                rig.env.settings, moving.RekeyRequest("mobileNumber"), report=lambda _text: None
            )
    assert rig.client.upload(tidy_csv([1])).status_code == 503
    done = rekey(rig, "--key", "mobileNumber")
    assert (done.returncode, seen_without_keys(rig.env)) == (0, before), done.stdout
    assert "Set ROLLCALL_RECONCILIATION_KEY=mobileNumber" in done.stdout
    rig.env = moved(rig.env, PARTITIONS)
    start_with_key(rig, "mobileNumber")
    assert rig.run(tidy_csv(range(50, 70), word="b"), "upsert")["updated"] == 10


def test_an_attribute_is_left_as_the_key_and_taken_again(
    surroundings_of_session: Surroundings, tmp_path: Path
) -> None:
    """Its values are keys as they are; an email is one in lower case."""
    with (
        ground(surroundings_of_session, reconciliation_key="Card") as made,
        Services(made.environ, tmp_path) as services,
    ):
        rig = Rig.start(made, services)
        assert define(rig.client, "Card", isReconciliationKey=True).status_code == 200
        rig.run(_cards("A1,Ann@Example.org", "b2,bob@example.org", "b2,bob@example.org"))
        rig.run(b"Card,Country\nA1,India\nc3,India\n", "upsert")
        before = seen_without_keys(rig.env)
        for version, (key, expected) in enumerate(
            (
                ("email", ["ann@example.org", "bob@example.org"]),
                ("Card", ["A1", "b2"]),
            ),
            start=2,
        ):
            done = rekey(rig, "--key", key)
            assert done.returncode == 0, done.stdout
            assert [
                row["key"] for row in select(rig.env, "SELECT key FROM users ORDER BY key")
            ] == expected
            assert seen_without_keys(rig.env) == before
            rig.env = moved(rig.env, PARTITIONS, version)
            start_with_key(rig, key)
            assert verify_active(rig.env.settings).is_proven
        assert rig.run(_cards("A1,new@example.org"), "upsert")["updated"] == 1
        rig.close()


def _cards(*lines: str) -> bytes:
    """A file of users by card and email."""
    header = "First Name,Last Name,Country,Last Active Date,Card,Email"
    return "\n".join([header, *(f"A,B,India,01/02/2024,{line}" for line in lines), ""]).encode()


def _dead_letters(rig: Rig) -> dict[str, dict[str, Any]]:
    """The dead letters by the event ids of their rows."""
    page = rig.client.http.get(LETTERS, params={"pageSize": "100"}).json()["deadLetters"]
    whole = [rig.client.http.get(f"{LETTERS}/{dead_letter['id']}").json() for dead_letter in page]
    return {dead_letter["event"]["event_id"]: dead_letter for dead_letter in whole}


def _retried(rig: Rig, dead_letter: dict[str, Any]) -> dict[str, Any]:
    """The answer to a retry, with its code."""
    answer = rig.client.http.post(f"{LETTERS}/{dead_letter['id']}/retry")
    return {"status": answer.status_code} | answer.json()


def test_dead_letters_are_retried_in_the_log_as_it_is_now(rig: Rig) -> None:
    """Where their keys belong, each once; those of a log by another key are refused."""
    rig.run(tidy_csv(range(10)))
    send(
        rig.env,
        *(producer_row(f"kim{at}@example.org", attributes={"tier": "gold"}) for at in range(6)),
        *(producer_row(f"user{at}@example.com", attributes={"tier": "tin"}) for at in range(2)),
    )
    wait_until(lambda: len(_dead_letters(rig)) == 8, 30, saying="no attribute is known yet")
    assert define(rig.client, "tier").status_code == 200
    before = _dead_letters(rig)
    names = [f"upsert Kim kim{at}@example.org" for at in range(6)]
    assert _retried(rig, before[names[0]])["status"] == 200
    send(rig.env, producer_row("kim0@example.org", mode="delete"))

    assert rekey(rig, "--partitions", "5").returncode == 0
    rig.env = moved(rig.env, 5)
    rig.wait_ready()
    dead_letters = _dead_letters(rig)
    assert dead_letters.keys() == before.keys()
    assert dead_letters[names[0]]["retried"] is not None
    assert _retried(rig, dead_letters[names[0]])["status"] == 409
    for at, name in enumerate(names[1:], start=1):
        done = _retried(rig, dead_letters[name])
        home = partition_of(f"kim{at}@example.org".encode(), 5)
        assert (done["status"], done["partition"]) == (200, home), done
    query = "SELECT key FROM users WHERE attributes ->> 'tier' = 'gold' ORDER BY key"
    wait_until(lambda: len(select(rig.env, query)) == 5, 20, saying="the letters are applied")
    assert verify_active(rig.env.settings).is_proven


def test_dead_letters_of_a_log_by_another_key_are_refused(rig: Rig) -> None:
    """Their keys mean nobody there; what to do is told."""
    rig.run(tidy_csv(range(10)))
    send(rig.env, producer_row("user1@example.com", attributes={"tier": "tin"}))
    wait_until(lambda: len(_dead_letters(rig)) == 1, 30, saying="no attribute is known")
    assert rekey(rig, "--key", "mobileNumber").returncode == 0
    rig.env = moved(rig.env, PARTITIONS)
    start_with_key(rig, "mobileNumber")
    (dead_letter,) = _dead_letters(rig).values()
    refused = _retried(rig, dead_letter)
    assert refused["status"] == 409
    assert "by email, and the log was moved to the key mobileNumber" in refused["message"]
    assert "with its user's mobileNumber as the key" in refused["message"]


def test_a_key_that_does_not_tell_users_apart_is_refused(rig: Rig) -> None:
    """Every row that stands against it is counted, the first are named, and nothing changes."""
    rig.run(tidy_csv(range(50)))
    rig.run(csv_of({"Email": "twin@example.org", "Mobile Number": "+14155550001"}), "upsert")
    rig.run(csv_of({"Email": "user2@example.com", "Mobile Number": "+14155559999"}), "upsert")
    job = rig.run(csv_of({"Email": "none@example.org", "Mobile Number": ""}))
    before = seen(rig.env)
    refused = rekey(rig, "--key", "mobileNumber")
    assert refused.returncode == 1
    assert "3 rows of the log do not fit a log whose key is mobileNumber" in refused.stdout
    for reason in (
        "key twin@example.org: the user with the key user1@example.com has the same mobileNumber",
        "key user2@example.com: its mobileNumber is another one than in an earlier row",
        f"job {job['id']}, line 2 (record 1), key none@example.org: it has no mobileNumber",
    ):
        assert reason in refused.stdout, refused.stdout
    unknown = rekey(rig, "--key", "tier")
    assert "tier cannot be the key; what can: email, mobileNumber." in unknown.stdout
    assert seen(rig.env) == before
    assert "Holding" not in refused.stdout
    rig.run(tidy_csv([100]))
    rig.assert_as_modelled()
