"""Limits of what an upload may reject and remove: beyond them nothing of it is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.clients.client import BASE
from tests.support.clients.shell import Shell
from tests.support.data.files import tidy_csv
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

    from tests.support.clients.client import Client
    from tests.support.servers.rig import Rig

INVALID_FILE = "Please upload a valid CSV file"
OF_PRODUCTION = {"delsert_max_rejected_percent": "10", "delsert_max_delete_percent": "50"}


@pytest.fixture
def rig(emptied: Rig) -> Rig:
    """The installation of the module, without a user."""
    return emptied


@pytest.fixture(scope="module")
def careful(rig_of_module: Rig) -> Iterator[Client]:
    """A client of an API process with the limits that delserts have unless set otherwise."""
    _, client = rig_of_module.services.api(None, **OF_PRODUCTION)
    wait_until(client.is_ready, 40)
    with client:
        yield client


def bad(content: bytes, *numbers: int) -> bytes:
    """The file with the emails of these users spoilt."""
    for number in numbers:
        content = content.replace(f"user{number}@".encode(), f"user{number}-at-".encode())
    return content


def codes(answer: httpx2.Response) -> list[str]:
    """Why an upload was refused, as the contract says it."""
    assert (answer.status_code, answer.json()["message"]) == (400, INVALID_FILE)
    return [detail["code"] for detail in answer.json()["details"]]


def test_nothing_is_imported_where_more_would_be_rejected(rig: Rig) -> None:
    """Whatever rejects a line: itself, another line, or a user who is there; each mode."""
    rig.run(tidy_csv(range(3)))
    jobs = rig.client.statuses()["total"]
    nothing = {"maxRejected": "0"}
    incomplete = tidy_csv([0, 9]).replace(b"Firsta9", b"")
    for mode, content in (
        ("insert", bad(tidy_csv([5, 6]), 6)),
        ("insert", tidy_csv([5, 5])),
        ("insert", tidy_csv([2, 5])),
        ("upsert", bad(tidy_csv([1, 6]), 6)),
        ("upsert", incomplete),
        ("delsert", tidy_csv([0, 1, 2, 2])),
        ("update", tidy_csv([1, 6])),
        ("ignore", bad(tidy_csv([5, 6]), 6)),
        ("delete", tidy_csv([1, 6])),
    ):
        for fields in (nothing, {"maxRejectedPercent": "10"}, nothing | {"dryRun": "true"}):
            assert codes(rig.client.upload(content, mode, fields=fields)), (mode, fields)
    assert rig.client.statuses()["total"] == jobs
    allowed = rig.client.upload(tidy_csv([2, 5]), "insert", fields={"maxRejectedPercent": "50"})
    rig.files.append(tidy_csv([2, 5]))
    assert rig.wait_ended(int(allowed.json()["id"]))["rejected"] == 1
    clean = rig.client.upload(tidy_csv([0, 7]), "upsert", fields=nothing)
    rig.files.append(tidy_csv([0, 7]))
    assert rig.wait_ended(int(clean.json()["id"]))["rejected"] == 0
    rig.assert_as_modelled()


def test_a_delsert_has_limits_that_a_parameter_lifts(rig: Rig, careful: Client) -> None:
    """The answer says which one it is and how to lift it; a dry run says it, too."""
    rig.run(tidy_csv(range(120)))
    dirty = bad(tidy_csv(range(120)), *range(100, 113))
    small = tidy_csv(range(59))
    for content, code, setting in (
        (dirty, "MAX_REJECTED_PERCENT", "ROLLCALL_DELSERT_MAX_REJECTED_PERCENT"),
        (small, "MAX_DELETE_PERCENT", "ROLLCALL_DELSERT_MAX_DELETE_PERCENT"),
    ):
        refused = careful.upload(content, "delsert")
        assert codes(refused) == [code]
        assert f"the setting {setting} allows" in refused.json()["details"][0]["message"]
        assert "100 lifts the limit" in refused.json()["details"][0]["message"]
        dry = careful.upload(content, "delsert", fields={"dryRun": "true"}).json()
        assert [each["code"] for each in dry["refusedFor"]] == [code]
    assert careful.http.get(f"{BASE}/audience").json()["total"] == 120
    repeated = tidy_csv([*range(105), *range(15)])
    assert codes(careful.upload(repeated, "delsert")) == ["MAX_REJECTED_PERCENT"]
    lifted = careful.upload(small, "delsert", fields={"maxDeletePercent": "100"})
    rig.files.append(small)
    assert rig.wait_ended(int(lifted.json()["id"]))["deleted"] == 61
    fewer = careful.upload(tidy_csv([1]), "delsert")
    rig.files.append(tidy_csv([1]))
    assert rig.wait_ended(int(fewer.json()["id"]))["deleted"] == 58, "few users are no audience"
    rig.assert_as_modelled()


def test_a_delete_has_the_limit_of_a_delsert(rig: Rig, careful: Client) -> None:
    """Of the users who would go: by a setting, or a parameter; a dry run says it, too."""
    rig.run(tidy_csv(range(120)))
    many, few = tidy_csv(range(61)), tidy_csv(range(60, 130))
    refused = careful.upload(many, "delete")
    assert codes(refused) == ["MAX_DELETE_PERCENT"]
    assert "61 of the 120 users" in refused.json()["details"][0]["message"]
    dry = careful.upload(many, "delete", fields={"dryRun": "true"}).json()
    assert [each["code"] for each in dry["refusedFor"]] == ["MAX_DELETE_PERCENT"]
    assert codes(careful.upload(few, "delete", fields={"maxDeletePercent": "49"}))
    deleted = careful.upload(few, "delete", fields={"maxDeletePercent": "50"})
    rig.files.append(few)
    status = rig.wait_ended(int(deleted.json()["id"]))
    assert (status["deleted"], status["rejected"]) == (60, 10)
    rig.assert_as_modelled()


def test_a_delete_on_a_terminal_is_asked_about(rig: Rig, tmp_path: Path) -> None:
    """With the number of users who go."""
    shell = Shell(rig, tmp_path)
    rig.run(tidy_csv(range(5)))
    jobs = rig.client.statuses()["total"]
    file = shell.file(tidy_csv(range(4, 7)))
    asked = shell.answered("n", "import", file, "--mode", "delete")
    assert asked.returncode == 1, asked.stderr
    assert "1 users will be removed (2 lines would be rejected)" in asked.stderr
    assert rig.client.statuses()["total"] == jobs
    sure = shell.answered("y", "import", file, "--mode", "delete")
    rig.files.append(tidy_csv(range(4, 7)))
    assert sure.returncode == 1, sure.stderr
    assert "1 user deleted" in sure.stdout
    rig.assert_as_modelled()


def test_a_delsert_on_a_terminal_is_asked_about(rig: Rig, tmp_path: Path) -> None:
    """With both numbers; nothing is asked of a script, nor with --yes."""
    shell = Shell(rig, tmp_path)
    rig.run(tidy_csv(range(5)))
    jobs = rig.client.statuses()["total"]
    file = shell.file(tidy_csv(range(4, 7)))
    asked = shell.answered("n", "import", file, "--mode", "delsert")
    assert asked.returncode == 1, asked.stderr
    assert "3 users are in the file, 4 users will be removed" in asked.stderr
    assert rig.client.statuses()["total"] == jobs
    sure = shell.answered("y", "import", file, "--mode", "delsert")
    rig.files.append(tidy_csv(range(4, 7)))
    assert sure.returncode == 0, sure.stderr
    assert "4 users deleted" in sure.stdout
    for flags in ((), ("--yes",)):
        unasked = shell.run("import", file, "--mode", "delsert", *flags)
        assert unasked.returncode == 0, unasked.stderr
    rig.assert_as_modelled()
