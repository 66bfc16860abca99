"""The modes from end to end, with exact counts."""

from __future__ import annotations

import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.clients.client import BASE, counts
from tests.support.data.files import dirty_csv, tidy_csv
from tests.support.servers.rig import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig


@pytest.fixture
def rig(emptied: Rig) -> Rig:
    """The installation of the module, without a user."""
    return emptied


def test_insert_then_upsert_then_delsert(rig: Rig) -> None:
    """Each mode does to the audience what it promises, and counts it."""
    inserted = rig.run(tidy_csv(range(1000)), "insert")
    assert (inserted["state"], counts(inserted)) == ("COMPLETED", (1000, 0, 0, 0))
    assert inserted["statusMessage"] == "Successfully uploaded requests of count :1000"
    again = rig.run(tidy_csv(range(500, 1500)), "insert")
    assert (again["state"], counts(again)) == ("COMPLETED_WITH_ERRORS", (500, 0, 0, 500))
    assert again["statusMessage"] == "Uploaded file has got errors"
    upserted = rig.run(tidy_csv(range(1400, 1600), word="b"), "upsert")
    assert counts(upserted) == (100, 100, 0, 0)
    same = rig.run(tidy_csv(range(1400, 1600), word="b"), "upsert")
    assert counts(same) == (0, 0, 200, 0)
    replaced = rig.run(tidy_csv(range(10), word="c"), "delsert")
    assert counts(replaced) == (10, 0, 0, 0)
    assert [job["deleted"] for job in (inserted, upserted, replaced)] == [0, 0, 1590]
    rig.assert_as_modelled()


def test_update_and_ignore_keep_to_their_half(rig: Rig) -> None:
    """An update makes nobody, an ignore changes nobody; only an update refuses lines for it."""
    rig.run(tidy_csv(range(100)))
    updated = rig.run(tidy_csv(range(60, 140), word="b"), "update")
    assert (updated["state"], updated["mode"]) == ("COMPLETED_WITH_ERRORS", "update")
    assert counts(updated) == (0, 40, 0, 40)
    (first, *_) = rig.client.errors(int(updated["id"]))
    assert (first["code"], first["column"], first["value"]) == (
        "NO_SUCH_USER",
        "Email",
        "user100@example.com",
    )
    ignored = rig.run(tidy_csv([*range(90, 110), 105], word="c"), "ignore")
    assert (ignored["state"], ignored["mode"]) == ("COMPLETED", "ignore")
    assert counts(ignored) == (10, 0, 11, 0)
    rig.assert_as_modelled()


def test_a_file_of_keys_deletes_its_users(rig: Rig) -> None:
    """Each once; a key that nobody has, or has any more, is an error of its line."""
    rig.run(tidy_csv(range(100)))
    keys = "".join(f"USER{key}@example.com,not a number\n" for key in [*range(90, 105), 95])
    deleted = rig.run(b"Email,Mobile Number\n" + keys.encode(), "delete")
    assert (deleted["state"], deleted["mode"]) == ("COMPLETED_WITH_ERRORS", "delete")
    assert (deleted["deleted"], counts(deleted)) == (10, (0, 0, 0, 6))
    errors = rig.client.errors(int(deleted["id"]))
    assert {error["code"] for error in errors} == {"NO_SUCH_USER"}
    assert [error["value"] for error in errors][-1] == "user95@example.com"
    rig.assert_as_modelled()


def test_a_file_that_only_fills_leaves_what_is_there(rig: Rig) -> None:
    """Where it says so, of all columns or of one; a dry run, the history and the proof agree."""
    header = "Email,First Name,Last Name,Country,Mobile Number\n"
    rig.run(f"{header}ada@x.io,Ada,L,UK,\nbob@x.io,Bob,M,UK,+14155550100\n".encode())
    content = f"{header}ada@x.io,Eve,L,UK,+14155550101\nbob@x.io,Bo,M,UK,+14155550102\n".encode()
    fields = {"overwrite": "blank,First Name=always"}
    dry = rig.client.upload(content, "upsert", fields=fields | {"dryRun": "true"}).json()
    assert [sample["after"] for sample in dry["samples"]["update"]] == [
        {"firstName": "Eve", "mobileNumber": "+14155550101"},
        {"firstName": "Bo"},
    ]
    rig.files.append(content)
    job_id = int(rig.client.upload(content, "upsert", fields=fields).json()["id"])
    assert counts(rig.wait_ended(job_id)) == (0, 2, 0, 0)
    assert rig.client.http.get(f"{BASE}/batchinfo/proof/{job_id}").json()["isProven"]
    (bob,) = rig.client.http.get(f"{BASE}/audience?email=bob@x.io").json()["audience"]
    history = rig.client.http.get(f"{BASE}/audience/{bob['id']}/history").json()["history"]
    assert [[*entry["changes"]] for entry in history if entry["event"] == "updated"] == [
        ["firstName"]
    ]
    rig.assert_as_modelled()


def test_dirty_files_come_to_the_model(own_rig: Rig) -> None:
    """Faults, repeats, blanks and odd headers: each line has its one outcome."""
    rig = own_rig
    rng = random.Random(1)
    for mode in ("insert", "upsert", "delsert", "upsert", "update", "ignore", "delete", "insert"):
        status = rig.run(dirty_csv(rng, 3000, keys=4000), mode)
        deleted = status["deleted"] if mode == "delete" else 0
        assert sum(counts(status)) + deleted == status["total"] == 3000
    model = rig.assert_as_modelled()
    assert all(outcome.rejections for outcome in model.outcomes.values())


def test_rejections_are_listed_in_the_order_of_lines(rig: Rig) -> None:
    """Each with its line as it was uploaded."""
    rig.run(tidy_csv([5]))
    content = tidy_csv([1, 5, 2, 1])
    job_id = rig.submit(content)
    rig.wait_ended(job_id)
    errors = rig.client.errors(job_id)
    lines = content.decode().splitlines()
    assert [error["errorMessage"] for error in errors] == [
        f"Line 2,{lines[2]},Email is being used for one of the audience members.",
        f"Line 4,{lines[4]},{errors[1]['reason']}",
    ]
    assert [error["code"] for error in errors] == ["KEY_EXISTS", "DUPLICATE_IN_FILE"]
    rig.assert_as_modelled()


def test_readers_of_a_delsert_see_the_old_users_or_the_new(rig_of_two: Rig) -> None:
    """Never an empty or half-filled audience."""
    rig = rig_of_two
    rig.run(tidy_csv(range(30_000)))
    with Reader(rig.env) as reader:
        rig.run(tidy_csv(range(20_000, 60_000), word="b"), "delsert")
        rig.run(tidy_csv(range(100), word="c"), "delsert")
    assert reader.counts == [30_000, 40_000, 100]
    rig.assert_as_modelled()


def test_jobs_are_applied_in_the_order_of_their_uploads(rig_of_two: Rig) -> None:
    """Ten jobs on the same users, uploaded without waiting, in every partition alike."""
    rig = rig_of_two
    for number in range(10):
        mode = ("upsert", "delsert", "insert")[number % 3]
        rig.submit(tidy_csv(range(number, 300 + number), word=f"w{number}"), mode)
    rig.assert_as_modelled()


def test_upload_with_curl_as_documented(rig: Rig, tmp_path: Path) -> None:
    """The command of the documentation works, with PIPE as delimiter."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    content = dirty_csv(random.Random(3), 50, keys=100, delimiter="|")
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    answer = subprocess.run(
        [
            *(curl, "--silent", "--show-error", "--fail-with-body"),
            *("-u", f"admin:{rig.env.password}"),
            *("-F", f"uploadFile=@{file}", "-F", "importType=upsert", "-H", "DELIMITER: PIPE"),
            f"{rig.client.url}{BASE}/audience/import",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert '"message": "File uploaded successfully, import is in progress."' in answer.replace(
        '":"', '": "'
    )
    rig.files.append(content)
    rig.assert_as_modelled()
