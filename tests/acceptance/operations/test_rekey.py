"""The log moved to one with another number of partitions, and everybody goes on in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.log_migration import engine
from deploy.log_migration.rekey import rekey as moving
from processor.verification.verify import verify_active
from tests.support.clients.command import ended, started
from tests.support.clients.single_users import ANA, added, modify
from tests.support.data.files import csv_of, tidy_csv
from tests.support.models.verdict import select
from tests.support.servers.moving import (
    jobs_of,
    moved,
    partitions_of_tables,
    producer_row,
    rekey,
    seen,
    send,
    singles_of,
    start_all_again,
)
from tests.support.servers.surroundings import PARTITIONS
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.servers.rig import Rig


def test_a_log_gets_more_partitions_while_the_services_run(rig: Rig) -> None:
    """Jobs of all modes, an undone one: all is as modelled, then and after further jobs."""
    rig.services.builder()
    jobs_of(rig)
    rig.assert_as_modelled()
    before = seen(rig.env)
    done = rekey(rig, "--partitions", "5")
    assert done.returncode == 0, done.stdout
    assert "in its topics of version 2, in 5 partitions" in done.stdout
    assert seen(rig.env) == before
    assert partitions_of_tables(rig.env) == 5
    rig.env = moved(rig.env, 5)
    assert verify_active(rig.env.settings).is_proven
    rig.wait_ready()
    rig.run(tidy_csv(range(200, 500), word="x"), "upsert")
    rig.run(tidy_csv([*range(50), 7]), "delsert")
    rig.run(tidy_csv(range(40, 60)))
    rig.assert_as_modelled()
    undone = select(rig.env, "SELECT job_id FROM jobs WHERE state = 'REVERTED'")[0]["job_id"]
    wait_until(lambda: rig.client.change("redo", undone).is_success, 60)
    rig.client.wait_state(undone, "COMPLETED", "COMPLETED_WITH_ERRORS")
    start_all_again(rig)
    rig.run(tidy_csv(range(30, 70), word="y"), "upsert")
    assert verify_active(rig.env.settings).is_proven
    rig.services.assert_running()


def test_single_writes_and_other_producers_stay_what_they_were(rig: Rig) -> None:
    """What was dead stays dead; who has kept an id finds another one, and goes on by that."""
    rig.run(tidy_csv(range(50)))
    dead = singles_of(rig)
    rig.run(csv_of({"Email": "kim8@example.org"}, {"Email": "kim3@example.org"}), "upsert")
    send(rig.env, producer_row("kim9@example.org", mode="delete"))

    def is_read() -> bool:
        (crm,) = select(rig.env, "SELECT dead, deleted FROM sources WHERE source = 'crm'")
        (none,) = select(rig.env, "SELECT dead FROM sources WHERE source IS NULL") or [{"dead": 0}]
        return crm["dead"] + none["dead"] == dead and crm["deleted"] == 2

    wait_until(is_read, 30, saying="all records have been read")
    before = seen(rig.env)
    for number, partitions in enumerate(("1", "4")):
        done = rekey(rig, "--partitions", partitions)
        assert done.returncode == 0, done.stdout
        assert seen(rig.env) == before
        assert verify_active(rig.env.settings).is_proven
        assert f"topics of version {number + 2}" in done.stdout
    rig.wait_ready()
    query = "SELECT id FROM users WHERE key = 'ana0@example.org'"
    (user,) = select(rig.env, query)
    assert modify(rig.client, str(user["id"]), {"state": "Kerala"}).status_code == 200
    assert added(rig.client, ANA | {"email": "new@example.org", "attributes": {"tier": "tin"}})
    assert verify_active(rig.env.settings).is_proven
    rig.services.assert_running()


def test_a_killed_move_changes_nothing_and_is_started_over(rig: Rig) -> None:
    """Killed while it copies, while the log is held, and while it compares."""
    rig.run(tidy_csv(range(100)))
    rig.run(tidy_csv(range(50, 150), word="b"), "upsert")
    before = seen(rig.env)
    for stage in ("Copying", "Holding", "Comparing"):
        with started(rig.env.environ, "rekey", "--yes", "--partitions", "5") as command:
            assert any(line.startswith(stage) for line in command.lines)
        assert seen(rig.env) == before
        assert partitions_of_tables(rig.env) == PARTITIONS
    wait_until(lambda: rig.client.upload(tidy_csv([1])).status_code == 503, 20)
    same = rekey(rig, "--partitions", str(PARTITIONS))
    assert (same.returncode, "and 3 partitions already" in same.stdout) == (1, True), same.stdout
    wait_until(rig.client.is_ready, 20)
    rig.run(tidy_csv([200]))
    before = seen(rig.env)
    done = rekey(rig, "--partitions", "2")
    assert (done.returncode, seen(rig.env)) == (0, before), done.stdout
    rig.wait_ready()
    rig.run(tidy_csv([500]))
    rig.env = moved(rig.env, 2)
    rig.assert_as_modelled()


def test_a_move_killed_after_the_switch_is_completed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same command alone, whatever it is asked for then; the log goes on afterwards."""
    rig.run(tidy_csv(range(100)))
    before = seen(rig.env)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "resume", die)
    with pytest.raises(KeyboardInterrupt):
        moving.rekey(rig.env.settings, moving.RekeyRequest(partitions=5), report=lambda _text: None)
    assert seen(rig.env) == before
    rig.processors[0].kill()
    rig.restart_processor()
    assert rig.client.upload(tidy_csv([1])).status_code == 503
    other = ended(rig.env.environ, "erase", "user1@example.com", "--yes")
    assert (other.returncode, "`rollcall rekey`" in other.stdout) == (1, True), other.stdout
    done = rekey(rig, "--partitions", "4")
    assert (done.returncode, seen(rig.env)) == (0, before), done.stdout
    assert "in its topics of version 2, in 5 partitions" in done.stdout
    assert "was not done" in done.stdout
    rig.wait_ready()
    rig.run(tidy_csv([500]))
    rig.env = moved(rig.env, 5)
    rig.assert_as_modelled()


def test_a_log_with_a_job_that_runs_is_not_moved(rig: Rig) -> None:
    """It is refused before anything is copied, and the job ends as ever."""
    rig.run(tidy_csv(range(10)))
    rig.processors[0].kill()
    job_id = rig.submit(tidy_csv(range(20)))
    refused = rekey(rig, "--partitions", "5")
    assert (refused.returncode, "1 jobs have not ended" in refused.stdout) == (1, True)
    rig.restart_processor()
    rig.wait_ended(job_id)
    rig.assert_as_modelled()
