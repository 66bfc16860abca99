"""Jobs cancelled while they wait or run: the audience is as if they had never been sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.clients.client import BASE, counts
from tests.support.clients.shell import Shell
from tests.support.data.files import tidy_csv
from tests.support.models.verdict import select
from tests.support.servers.rig import Reader
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig

TIMEOUT_S = 180
MANY = 100_000


@pytest.fixture
def rig(emptied_beside_builder: Rig) -> Rig:
    """The installation of the module, without a user."""
    return emptied_beside_builder


def instances(rig: Rig) -> int:
    """How many sets of tables were ever asked for."""
    return select(rig.env, "SELECT count(*) AS n FROM projection_instance")[0]["n"]


@pytest.mark.parametrize("mode", ["insert", "delsert"])
def test_a_job_that_waits_is_left_out_before_it_begins(rig: Rig, mode: str) -> None:
    """No tables are built for it, and what comes after it goes on as if it were not there."""
    rig.run(tidy_csv(range(20)))
    built = instances(rig)
    rig.publisher.freeze()
    job_id = rig.submit(tidy_csv(range(10, 40), word="b"), mode)
    later = rig.submit(tidy_csv([5, 50], word="c"), "upsert")
    answer = rig.client.change("cancel", job_id)
    assert answer.status_code == 200, answer.text
    status = rig.client.wait_state(job_id, "CANCELLED", timeout_s=TIMEOUT_S)
    rig.publisher.thaw()
    rig.wait_ended(later)
    assert rig.client.status(job_id)["state"] == "CANCELLED"
    assert (counts(status), status["deleted"], status["total"]) == ((0, 0, 0, 0), 0, 30)
    assert (status["cancelledBy"], status["statusMessage"]) == ("admin", "The import was cancelled")
    assert instances(rig) == built
    rig.assert_as_modelled()


@pytest.mark.parametrize("mode", ["upsert", "delsert"])
def test_a_job_that_runs_is_as_if_it_had_never_run(own_rig: Rig, mode: str) -> None:
    """Whatever of it was there already; a delsert is never seen."""
    rig = own_rig
    rig.services.builder()
    rig.run(tidy_csv(range(100)))
    with Reader(rig.env) as reader:
        job_id = rig.submit(tidy_csv(range(50, MANY), word="b"), mode)
        wait_until(lambda: rig.client.status(job_id)["inserted"] > 0, TIMEOUT_S, every_s=0.005)
        rig.processors[0].freeze()
        answer = rig.client.change("cancel", job_id)
        rig.processors[0].thaw()
        assert answer.status_code == 200, answer.text
        status = rig.client.wait_state(job_id, "CANCELLED", timeout_s=TIMEOUT_S)
    assert counts(status) == (0, 0, 0, 0)
    if mode == "delsert":
        assert set(reader.counts) == {100}
    rig.run(tidy_csv(range(90, 110), word="c"), "upsert")
    rig.assert_as_modelled()


def test_a_cancellation_survives_whatever_is_killed(own_rig: Rig) -> None:
    """The publisher in the middle of the pass, the processor behind it, the builder at work."""
    rig = own_rig
    builder = rig.services.builder()
    rig.run(tidy_csv(range(100)))
    with Reader(rig.env) as reader:
        job_id = rig.submit(tidy_csv(range(50, MANY), word="b"), "delsert")
        wait_until(lambda: rig.client.status(job_id)["inserted"] > 0, TIMEOUT_S, every_s=0.005)
        rig.publisher.kill()
        assert rig.client.change("cancel", job_id).status_code == 200
        rig.processors[0].kill()
        wait_until(lambda: instances(rig) == 2, TIMEOUT_S, saying="tables without it are asked for")
        builder.kill()
        later = rig.submit(tidy_csv(range(90, 110), word="c"), "upsert")
        rig.restart_publisher()
        rig.restart_processor()
        rig.services.builder()
        rig.client.wait_state(job_id, "CANCELLED", timeout_s=TIMEOUT_S)
    assert set(reader.counts) == {100}
    rig.wait_ended(later)
    rig.assert_as_modelled()


def test_of_a_cancelled_job_there_is_nothing_to_see(rig: Rig) -> None:
    """Neither while its turn is still to come, nor afterwards: no errors, users, or past."""
    rig.run(tidy_csv(range(20)))
    rig.publisher.freeze()
    job_id = rig.submit(tidy_csv(range(10, 40), word="b") + b"unfit\n", "delsert")
    later = rig.submit(tidy_csv(range(30, 35), word="c"), "upsert")
    assert rig.client.change("cancel", job_id).status_code == 200
    http, path = rig.client.http, f"{BASE}/batchinfo"
    with http.stream("GET", f"{path}/status/{job_id}/events", timeout=TIMEOUT_S) as events:
        states = [json.loads(line[5:])["state"] for line in events.iter_lines() if "data:" in line]
    assert (states[-1], set(states[:-1]) <= {"CANCELLING"}) == ("CANCELLED", True)
    for early in (f"{path}/proof/{job_id}", f"{BASE}/audience?asOf={job_id}"):
        answer = http.get(early)
        assert (answer.status_code, "has not ended" in answer.text) == (409, True)

    rig.publisher.thaw()
    rig.wait_ended(later)

    assert http.get(f"{path}/errors/{job_id}").json() == {"Errors": [], "total": 0}
    file = http.get(f"{path}/errors/{job_id}", headers={"Accept": "text/csv"})
    assert len(file.text.splitlines()) == 1
    proof = http.get(f"{path}/proof/{job_id}").json()
    assert (proof["state"], proof["isProven"], proof["usersLeft"]) == ("CANCELLED", True, 0)
    assert http.get(f"{BASE}/audience?asOf={job_id}", timeout=TIMEOUT_S).json()["total"] == 20
    diff = http.get(f"{BASE}/audience/diff?from={job_id}&to=now", timeout=TIMEOUT_S).json()
    assert (diff["added"], diff["changed"], diff["removed"]) == (5, 0, 0)


def test_an_undo_of_a_job_that_runs_is_queued(rig: Rig) -> None:
    """It begins when the job has ended, also over a restart of the API, and can be taken back."""
    rig.run(tidy_csv(range(20)))
    rig.processors[0].freeze()
    job_id = rig.submit(tidy_csv(range(10, 40), word="b"), "upsert")
    assert rig.client.change("undo", job_id).status_code == 200
    status = rig.client.status(job_id)
    assert (status["state"], status["statusMessage"], status["revertedBy"]) == (
        "REVERTING", "The import is to be undone once it has ended", "admin",
    )  # fmt: skip
    for change, words in (("undo", "being undone already"), ("redo", "is queued")):
        refused = rig.client.change(change, job_id)
        assert (refused.status_code, words in refused.text) == (409, True), refused.text
    rig.api.kill()
    rig.restart_api()
    rig.processors[0].thaw()
    status = rig.client.wait_state(job_id, "REVERTED", timeout_s=TIMEOUT_S)
    assert counts(status) == (20, 10, 0, 0)
    rig.assert_as_modelled()
    wait_until(lambda: rig.client.change("redo", job_id).status_code == 200, TIMEOUT_S)
    rig.client.wait_state(job_id, "COMPLETED", timeout_s=TIMEOUT_S)
    rig.assert_as_modelled()


def test_a_job_whose_undo_is_queued_can_be_cancelled(rig: Rig) -> None:
    """Then nothing is queued any more."""
    rig.processors[0].freeze()
    job_id = rig.submit(tidy_csv(range(10)))
    for change in ("undo", "cancel"):
        answer = rig.client.change(change, job_id)
        assert answer.status_code == 200, answer.text
    rig.processors[0].thaw()
    status = rig.client.wait_state(job_id, "CANCELLED", timeout_s=TIMEOUT_S)
    assert (status["revertedBy"], status["cancelledBy"]) == (None, "admin")
    rig.assert_as_modelled()


def test_what_has_ended_is_not_cancelled_and_what_is_cancelled_stays_so(
    rig: Rig, tmp_path: Path
) -> None:
    """409, with the way out; the command line follows it to its end."""
    shell = Shell(rig, tmp_path)
    done = int(rig.run(tidy_csv(range(5)))["id"])
    refused = rig.client.change("cancel", done)
    assert (refused.status_code, "it can be undone" in refused.text) == (409, True)
    rig.publisher.freeze()
    job_id = rig.submit(tidy_csv(range(5, 9)))
    waiting = shell.start("cancel", str(job_id))
    states = {"CANCELLING", "CANCELLED"}  # the second follows within moments
    wait_until(lambda: rig.client.status(job_id)["state"] in states, TIMEOUT_S)
    rig.publisher.thaw()
    said, told = waiting.communicate(timeout=TIMEOUT_S)
    assert waiting.returncode == 0, told
    assert f"Job {job_id}: CANCELLED, 4 lines" in said
    for change in ("cancel", "undo", "redo"):
        again = rig.client.change(change, job_id)
        assert again.status_code == 409
        assert "cancelled already" in again.text or "for good" in again.text
    rig.assert_as_modelled()
