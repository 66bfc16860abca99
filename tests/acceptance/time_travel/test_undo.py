"""Jobs undone and done again: the audience is then that of a history without them, or with them.

``assert_as_modelled`` waits until readers see it, and compares every column, ids and times
included, with the model's; it reads from the log itself which jobs are reverted.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.clients.client import BASE, counts
from tests.support.clients.projections import assert_proven, request, wait_built
from tests.support.clients.shell import Shell
from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.models.verdict import select
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clients.client import Json
    from tests.support.servers.rig import Rig

SWITCH_TIMEOUT_S = 120
KEYS = 400


@pytest.fixture
def rig(emptied_beside_builder: Rig) -> Rig:
    """The installation of the module, without a user."""
    return emptied_beside_builder


def change(rig: Rig, word: str, job_id: int) -> Json:
    """The job's last status, once it is undone, or done again."""

    def is_taken() -> bool:
        answer = rig.client.change(word, job_id)
        assert answer.status_code in {200, 409}, answer.text
        # A build that is at work for what was asked before.
        assert answer.status_code == 200 or "is being built" in answer.text, answer.text
        return answer.status_code == 200

    wait_until(is_taken, SWITCH_TIMEOUT_S, saying=f"the {word} is taken", every_s=0.2)
    last = ("REVERTED",) if word == "undo" else ("COMPLETED", "COMPLETED_WITH_ERRORS")
    return rig.client.wait_state(job_id, *last, timeout_s=SWITCH_TIMEOUT_S)


def job(rig: Rig, keys: range, mode: str, word: str) -> int:
    """The id of a job that has ended."""
    return int(rig.run(tidy_csv(keys, word=word), mode)["id"])


def tables(rig: Rig) -> dict[str, list[Json]]:
    """All that readers see, but for what counts changes."""
    return {
        "users": select(rig.env, "SELECT * FROM users ORDER BY key"),
        "jobs": select(
            rig.env,
            "SELECT job_id, state, inserted, updated, unchanged, rejected, started_at, finished_at"
            " FROM jobs ORDER BY job_id",
        ),
        "rejections": select(rig.env, "SELECT * FROM rejections ORDER BY job_id, record_number"),
    }


def test_an_insert_undone_leaves_its_keys_to_later_jobs(rig: Rig) -> None:
    """What was rejected because of it went in; it keeps the counts that it had."""
    first = job(rig, range(50), "insert", "a")
    later = job(rig, range(30, 80), "insert", "b")
    assert counts(rig.client.status(later)) == (30, 0, 0, 20)

    status = change(rig, "undo", first)

    assert (status["state"], counts(status)) == ("REVERTED", (50, 0, 0, 0))
    assert status["statusMessage"] == "The import was undone"
    later_status = rig.client.status(later)
    assert (later_status["state"], counts(later_status)) == ("COMPLETED", (50, 0, 0, 0))
    rig.assert_as_modelled()


def test_an_upsert_undone_changes_back_what_nobody_changed_later(rig: Rig) -> None:
    """The users that it added are gone, unless a later job added them."""
    job(rig, range(60), "insert", "a")
    undone = job(rig, range(20, 90), "upsert", "b")
    job(rig, range(40, 70), "upsert", "c")

    change(rig, "undo", undone)

    model = rig.assert_as_modelled()
    assert len(model.users) == 70


def test_a_delsert_undone_brings_the_audience_back(rig: Rig) -> None:
    """With its ids and dates; what later jobs did is kept."""
    job(rig, range(50), "insert", "a")
    before = tables(rig)["users"]
    undone = job(rig, range(100, 110), "delsert", "b")
    assert change(rig, "undo", undone)["deleted"] == 50
    assert tables(rig)["users"] == before
    job(rig, range(45, 55), "upsert", "c")
    rig.assert_as_modelled()


def test_a_delete_undone_brings_its_users_back(rig: Rig) -> None:
    """With their ids and dates; an update that came after it finds them again."""
    job(rig, range(60), "insert", "a")
    undone = job(rig, range(30, 50), "delete", "b")
    later = job(rig, range(40, 70), "update", "c")
    assert counts(rig.client.status(later)) == (0, 10, 0, 20)

    change(rig, "undo", undone)

    assert counts(rig.client.status(later)) == (0, 20, 0, 10)
    assert len(rig.assert_as_modelled().users) == 60


def test_an_undo_is_undone(rig: Rig) -> None:
    """All is as it was, ids, times and counts too, with what came meanwhile; often."""
    job(rig, range(50), "insert", "a")
    undone = job(rig, range(25, 75), "upsert", "b")
    job(rig, range(200, 220), "delsert", "c")
    job(rig, range(10), "insert", "d")
    before = tables(rig)
    for _ in range(2):
        change(rig, "undo", undone)
        rig.assert_as_modelled()
        change(rig, "redo", undone)
        assert tables(rig) == before
    job(rig, range(5, 30), "upsert", "e")
    rig.assert_as_modelled()


def test_of_several_undone_jobs_any_is_done_again(rig: Rig) -> None:
    """In whatever order they were undone."""
    jobs = [job(rig, range(20 * n, 20 * n + 40), "upsert", f"w{n}") for n in range(4)]
    for undone in (jobs[2], jobs[0], jobs[3]):
        change(rig, "undo", undone)
    rig.assert_as_modelled()
    change(rig, "redo", jobs[0])
    rig.assert_as_modelled()


@pytest.mark.parametrize("mode", ["insert", "delsert"])
def test_the_errors_of_a_job_add_up_to_its_counts_in_each_state(
    rig: Rig, tmp_path: Path, mode: str
) -> None:
    """As JSON, as a file, and as the command prints them; an undone job lists what it can."""
    job(rig, range(10), "insert", "a")
    unfit = b"No,Body,no-at-sign,,USA,California,\n"
    twice = tidy_csv(range(5, 20), word="b") + tidy_csv(range(10, 12)).partition(b"\n")[2] + unfit
    undone = int(rig.run(twice, mode)["id"])
    shell = Shell(rig, tmp_path)
    before = _listed(rig, undone)
    assert before["unlisted"] == 0
    assert before["listed"] == (8 if mode == "insert" else 3)

    change(rig, "undo", undone)
    after = _listed(rig, undone)
    assert 0 < after["listed"] < before["listed"]
    told = f"It had rejected {after['unlisted']} more lines"
    assert told in shell.run("errors", str(undone)).stdout
    assert told in shell.run("errors", str(undone), "--csv", str(tmp_path / "e.csv")).stderr
    change(rig, "redo", undone)
    assert _listed(rig, undone) == before


def _listed(rig: Rig, job_id: int) -> Json:
    """How many errors the job lists and how many it doesn't: all that its status counts."""
    path = f"{BASE}/batchinfo/errors/{job_id}"
    answer = rig.client.http.get(path, params={"pageSize": 1000}).json()
    file = rig.client.http.get(path, headers={"Accept": "text/csv"})
    unlisted = answer.get("unlisted", 0)
    assert len(answer["Errors"]) == answer["total"] == len(file.text.splitlines()) - 1
    assert int(file.headers.get("Unlisted-Lines", "0")) == unlisted
    assert answer["total"] + unlisted == rig.client.status(job_id)["rejected"]
    return {"listed": answer["total"], "unlisted": unlisted}


def test_a_second_undo_of_a_job_is_refused(rig: Rig) -> None:
    """While it is being undone and afterwards."""
    undone = job(rig, range(50), "insert", "a")
    assert rig.client.change("undo", undone).status_code == 200
    assert rig.client.change("undo", undone).status_code == 409
    rig.client.wait_state(undone, "REVERTED")
    answer = rig.client.change("undo", undone)
    assert (answer.status_code, answer.json()["message"]) == (409, "The job was undone already")
    rig.assert_as_modelled()


def test_other_jobs_run_while_one_is_undone(own_rig: Rig) -> None:
    """They are taken, and in the audience before the switch and after it."""
    rig = own_rig
    rig.services.builder()
    undone = job(rig, range(20_000), "insert", "a")
    running = [
        rig.submit(tidy_csv(range(n * 4000, n * 4000 + 20_000), word=f"w{n}"), mode)
        for n, mode in enumerate(("upsert", "delsert", "upsert"))
    ]
    change(rig, "undo", undone)
    running.append(rig.submit(tidy_csv(range(100), word="x"), "upsert"))
    for job_id in running:
        rig.wait_ended(job_id)
    rig.assert_as_modelled()


def test_whoever_is_killed_meanwhile_an_undo_ends(own_rig: Rig) -> None:
    """The API after the answer, the builder in its work, a processor at the switch."""
    rig = own_rig
    builder = rig.services.builder()
    undone = job(rig, range(30_000), "insert", "a")
    job(rig, range(10_000, 40_000), "upsert", "b")
    assert rig.client.change("undo", undone).status_code == 200
    rig.api.kill()
    wait_until(
        lambda: (
            select(rig.env, "SELECT 1 FROM projection_instance WHERE state = 'building'")
            or len(select(rig.env, "SELECT 1 FROM projection_instance WHERE purpose = 'undo'"))
        ),
        60,
        saying="the builder is at work",
    )
    builder.kill()
    rig.services.builder()
    rig.processors[0].kill()
    rig.restart_processor()
    rig.restart_api()
    rig.client.wait_state(undone, "REVERTED", timeout_s=SWITCH_TIMEOUT_S)
    job(rig, range(100), "upsert", "c")
    rig.assert_as_modelled()


def test_the_events_of_a_job_go_on_until_it_is_undone(rig: Rig) -> None:
    """Whoever watches it sees its last state."""
    undone = job(rig, range(2000), "insert", "a")
    assert rig.client.change("undo", undone).status_code == 200
    path = f"{BASE}/batchinfo/status/{undone}/events"
    with rig.client.http.stream("GET", path, timeout=SWITCH_TIMEOUT_S) as events:
        states = [json.loads(line[5:])["state"] for line in events.iter_lines() if "data:" in line]
    assert states[-1] == "REVERTED"
    assert set(states[:-1]) <= {"REVERTING"}


@pytest.mark.parametrize("word", ["undo", "redo"])
def test_a_preview_says_what_the_change_then_does(rig: Rig, word: str) -> None:
    """Its counts are the differences of the tables; it changes nothing itself."""
    job(rig, range(60), "insert", "a")
    undone = job(rig, range(20, 90), "upsert", "b")
    later = job(rig, range(40, 100), "upsert", "c")
    if word == "redo":
        change(rig, "undo", undone)
    before = tables(rig)
    preview = previewed(rig, word, undone)
    assert tables(rig) == before
    change(rig, word, undone)
    after = tables(rig)

    assert_told(preview, before["users"], after["users"])
    if word == "undo":
        assert {each["changedBy"] for each in preview["samples"]["kept"]} == {str(later)}
        assert preview["kept"] == 50
    (changed,) = preview["laterJobs"]
    (row,) = (row for row in after["jobs"] if row["job_id"] == later)
    assert changed["id"] == str(later)
    assert changed["after"] == {name: row[name] for name in changed["after"]}


def assert_told(preview: Json, before: list[Json], after: list[Json]) -> None:
    """Fail unless the preview's counts and samples are the differences of these users."""
    old, new = ({row["key"]: row for row in rows} for rows in (before, after))
    samples = preview["samples"]
    assert (preview["usersBefore"], preview["usersAfter"]) == (len(old), len(new))
    assert preview["restored"] == len(new.keys() - old.keys())
    assert preview["removed"] == len(old.keys() - new.keys())
    assert preview["changedBack"] == sum(
        shown(old[key]) != shown(new[key]) for key in old.keys() & new.keys()
    )
    assert {each["key"] for each in samples["removed"]} <= old.keys() - new.keys()
    assert {each["key"] for each in samples["restored"]} <= new.keys() - old.keys()
    for each in samples["changedBack"]:
        assert each["before"] != each["after"]


def test_a_preview_names_only_what_came_later(rig: Rig) -> None:
    """Not the users that were there before and that the job rejected or left as they were."""
    job(rig, range(40), "insert", "a")
    undone = job(rig, range(30, 60), "insert", "b")
    later = job(rig, range(50, 60), "upsert", "b")
    preview = previewed(rig, "undo", undone)

    assert counts(rig.client.status(undone)) == (20, 0, 0, 10)
    assert preview["removed"] == 10
    assert (preview["restored"], preview["changedBack"], preview["kept"]) == (0, 0, 10)
    assert {each["changedBy"] for each in preview["samples"]["kept"]} == {str(later)}
    assert preview["laterJobs"] == [
        {
            "id": str(later),
            "before": {"inserted": 0, "updated": 0, "unchanged": 10, "rejected": 0},
            "after": {"inserted": 10, "updated": 0, "unchanged": 0, "rejected": 0},
        }
    ]


def shown(user: Json) -> dict[str, Any]:
    """A user's values, without what tells when and by whom they were set."""
    hidden = {"id", "created_at", "modified_at", "job_id", "record_number", "modified_position"}
    return {name: value for name, value in user.items() if name not in hidden}


def previewed(rig: Rig, word: str, job_id: int) -> Json:
    """The preview, asked for until it is there."""

    def answered() -> Json | None:
        answer = rig.client.change(word, job_id, dryRun="true")
        assert answer.status_code in {200, 202}, answer.text
        return answer.json() if answer.status_code == 200 else None

    found = wait_until(answered, SWITCH_TIMEOUT_S, saying="the preview is ready", every_s=0.2)
    assert found is not None, "it waits until there is one"
    return found


def test_a_rebuild_asked_for_before_an_undo_was_built_is_proved_equal(own_rig: Rig) -> None:
    """It is compared with the tables as they are, and the undo comes after it."""
    rig = own_rig
    kept, undone = job(rig, range(20), "insert", "a"), job(rig, range(10, 30), "upsert", "b")
    assert rig.client.change("undo", undone).status_code == 200
    number = request(rig.env, "rebuild")
    rig.services.builder()
    rebuilt = wait_built(rig.env, number)
    assert (rebuilt["failure"], rebuilt["result"]["isEqual"]) == (None, True)
    rig.client.wait_state(undone, "REVERTED", timeout_s=SWITCH_TIMEOUT_S)
    assert rig.client.status(kept)["state"] == "COMPLETED"
    rig.assert_as_modelled()


@pytest.mark.parametrize("seed", [1, 2])
def test_random_histories_of_jobs_and_undos(own_rig: Rig, seed: int) -> None:
    """Whatever is undone, done again and killed in whatever order, the tables are the model's."""
    rig = own_rig
    rig.services.builder()
    rng = random.Random(seed)
    jobs: list[int] = []
    undone: set[int] = set()
    for step in range(10):
        if jobs and rng.random() < 0.5:
            job_id = rng.choice(jobs)
            word = "redo" if job_id in undone else "undo"
            change(rig, word, job_id)
            undone ^= {job_id}
        else:
            mode = rng.choice(["insert", "upsert", "upsert", "delsert"])
            content = dirty_csv(rng, rng.randrange(50, 600), keys=KEYS)
            jobs.append(int(rig.run(content, mode)["id"]))
        if rng.random() < 0.3:
            rig.processors[0].kill()
            rig.restart_processor()
        if step % 3 == 2:
            rig.assert_as_modelled()
    rig.assert_as_modelled()
    assert_proven(rig.env)
