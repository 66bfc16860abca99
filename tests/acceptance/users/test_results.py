"""The result file of a job: each line's outcome, id and key, whatever has happened since."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
import pytest

from tests.acceptance.time_travel.test_undo import change
from tests.support.clients.client import BASE, counts
from tests.support.clients.shell import Shell
from tests.support.data.files import csv_of, dirty_csv, tidy_csv
from tests.support.models.verdict import select

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig


@pytest.fixture
def rig(emptied: Rig) -> Rig:
    """The installation of the module, without a user."""
    return emptied


def answer(rig: Rig, job_id: object, **query: Any) -> Any:
    """The answer to the job's results."""
    return rig.client.http.get(f"{BASE}/batchinfo/results/{job_id}", params=query)


def results(rig: Rig, job_id: object) -> list[dict[str, Any]]:
    """The job's results, a dict each line."""
    found = answer(rig, job_id, format="ndjson")
    assert found.status_code == 200, found.text
    return [json.loads(line) for line in found.text.splitlines()]


def line(key: int, name: str = "Ada") -> dict[str, str]:
    """A line of a user."""
    return {"Email": f"user{key}@example.com", "First Name": name}


def test_each_line_has_its_outcome_whatever_came_later(rig: Rig) -> None:
    """Repeated keys, too, and lines of users who were changed or deleted since."""
    rig.run(csv_of(*map(line, range(10))))
    ids = {row["key"]: row["id"] for row in select(rig.env, "SELECT key, id FROM users")}
    lines = [
        line(3), line(3, "B"), line(3, "B"), line(50), line(50, "C"), {"Email": "none"},
        line(4, "D"), line(3, "=E"),
    ]  # fmt: skip
    status = rig.run(csv_of(*lines), "upsert")
    assert counts(status) == (1, 4, 2, 1)

    found = results(rig, status["id"])
    assert [each["outcome"] for each in found] == [
        "unchanged", "updated", "unchanged", "inserted", "updated", "rejected", "updated",
        "updated",
    ]  # fmt: skip
    assert [each["line"] for each in found] == list(range(2, 10))
    made = found[3]["id"]
    assert select(rig.env, "SELECT key FROM users WHERE id = " + made) == [
        {"key": "user50@example.com"}
    ]
    third, fourth = (str(ids[f"user{key}@example.com"]) for key in (3, 4))
    assert [each["id"] for each in found] == [third] * 3 + [made] * 2 + [None, fourth, third]
    assert [each["key"] for each in found[:2]] == ["user3@example.com"] * 2
    assert (found[5]["key"], found[5]["column"], found[5]["code"]) == (
        None, "Email", "EMAIL_INVALID",
    )  # fmt: skip

    rig.run(csv_of(line(3, "later"), line(4, "later")), "upsert")
    assert rig.client.http.post(f"{BASE}/audience/{made}/delete").status_code == 200
    later = results(rig, status["id"])
    assert [each.pop("id") for each in later] == [third] * 3 + [made, None, None, fourth, third]
    assert later == [{k: v for k, v in each.items() if k != "id"} for each in found]


def test_results_add_up_in_every_mode(rig: Rig) -> None:
    """To the counts, and those rejected are those that `errors` lists; of a delsert, too."""
    rng = random.Random(7)
    for mode in ("insert", "upsert", "insert", "delsert", "update", "ignore"):
        status = rig.run(dirty_csv(rng, 400, keys=150), mode)
        found = results(rig, status["id"])
        assert [each["line"] for each in found] == sorted(each["line"] for each in found)
        counted = Counter(each["outcome"] for each in found)
        names = ("inserted", "updated", "unchanged", "rejected")
        assert tuple(counted[name] for name in names) == counts(status)
        rejected = [each for each in found if each["outcome"] == "rejected"]
        errors = rig.client.errors(int(status["id"]))
        for name in ("line", "column", "code", "reason"):
            assert [each[name] for each in rejected] == [each[name] for each in errors]
        by_key = {
            row["key"]: str(row["id"]) for row in select(rig.env, "SELECT key, id FROM users")
        }
        assert all(
            each["id"] == by_key[each["key"]] for each in found if each["outcome"] != "rejected"
        )


def test_lines_that_delete_users(rig: Rig) -> None:
    """Have no id, because nobody is there any more; unknown keys are rejected."""
    rig.run(csv_of(*map(line, range(4))))
    status = rig.run(csv_of(line(1), line(9), line(3), headers=["Email"]), "delete")
    found = results(rig, status["id"])
    assert [each["outcome"] for each in found] == ["deleted", "rejected", "deleted"]
    assert [each["key"] for each in found] == [f"user{key}@example.com" for key in (1, 9, 3)]
    assert not any(each["id"] for each in found)


def test_formats_and_the_command(rig: Rig, tmp_path: Path) -> None:
    """CSV, NDJSON and Parquet say the same; the command's format follows from the name."""
    status = rig.run(csv_of(line(1), {"Email": "=1+1"}, line(2)))
    expected = results(rig, status["id"])
    whole = answer(rig, status["id"])
    assert whole.headers["X-Total-Count"] == "3"
    assert whole.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    rows = list(csv.DictReader(io.StringIO(whole.text, newline="")))
    texts = [{k: "" if v is None else str(v) for k, v in each.items()} for each in expected]
    assert rows == texts
    shell = Shell(rig, tmp_path)
    path = tmp_path / "results.parquet"
    done = shell.run("results", status["id"], "--output", str(path))
    assert (done.returncode, done.stderr) == (0, f"3 lines are in {path}.\n")
    assert pyarrow.parquet.read_table(path).to_pylist() == expected
    assert shell.run("results", status["id"]).stdout == whole.text.replace("\r\n", "\n")
    assert answer(rig, status["id"], format="xml").status_code == 400
    assert answer(rig, 5).status_code == 400


def test_a_job_that_runs_or_is_undone_has_no_results(own_rig: Rig) -> None:
    """409, with what to do; once it is done again, it has them as before."""
    rig = own_rig
    rig.services.builder()
    first = int(rig.run(tidy_csv(range(5)))["id"])
    before = results(rig, first)
    change(rig, "undo", first)
    undone = answer(rig, first)
    assert undone.status_code == 409
    assert "redo" in undone.json()["message"]
    change(rig, "redo", first)
    assert results(rig, first) == before
    for processor in rig.processors:
        processor.kill()
    running = answer(rig, rig.client.submit(tidy_csv(range(3))))
    assert running.status_code == 409
    assert "batchinfo/status" in running.json()["message"]
