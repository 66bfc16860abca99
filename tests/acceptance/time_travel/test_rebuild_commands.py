"""`./rollcall rebuild` and `projections`, run as a user runs them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support.clients.projections import active, wait_built
from tests.support.clients.shell import TIMEOUT_S, Shell
from tests.support.data.files import tidy_csv

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig


@pytest.fixture
def shell(rig: Rig, tmp_path: Path) -> Shell:
    """A shell beside the installation."""
    return Shell(rig, tmp_path)


def test_tables_are_verified_and_rebuilt(rig: Rig, shell: Shell) -> None:
    """Exit status 0 where they are what the log makes; the new ones are live then."""
    rig.services.builder()
    rig.run(tidy_csv(range(50)))

    verified = shell.run("rebuild", "--verify-only")
    before = active(rig.env)["number"]
    rebuilt = shell.run("rebuild")
    listed = shell.json("projections")

    assert verified.returncode == 0, verified.stderr
    assert "Projection 2: the tables are what the log makes" in verified.stdout
    assert "Projection 2 (verify), " in verified.stderr
    assert before == 1
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "Projection 3: the tables were equal, and the new ones are live" in rebuilt.stdout
    assert active(rig.env)["number"] == 3
    shown = [(each["number"], each["purpose"]) for each in listed["projections"]]
    assert shown == [(3, "rebuild"), (2, "verify"), (1, "live")]
    assert listed["projections"][0]["recordsPerSecond"] > 0
    rig.run(tidy_csv(range(60), word="b"), "upsert")
    rig.assert_as_modelled()


def test_a_row_changed_by_hand_is_named_and_mended(rig: Rig, shell: Shell) -> None:
    """Exit status 1, with what to do; nothing is switched until --mend is said."""
    rig.services.builder()
    rig.run(tidy_csv(range(50)))
    with psycopg.connect(rig.env.conninfo) as connection:
        connection.execute(
            "UPDATE projection_1.user_row SET country = 'x' WHERE key = 'user7@example.com'"
        )

    verified = shell.run("rebuild", "--verify-only")
    rebuilt = shell.run("rebuild")
    was_active = active(rig.env)["number"]
    mended = shell.run("rebuild", "--mend")

    for done in (verified, rebuilt):
        assert done.returncode == 1, done.stdout + done.stderr
        assert "1 rows of users differ" in done.stdout
        assert "user7@example.com" in done.stdout
        assert "`rollcall rebuild --mend` puts" in done.stdout
    assert was_active == 1
    assert mended.returncode == 0, mended.stderr
    assert "the tables were mended, and the new ones are live" in mended.stdout
    rig.assert_as_modelled()


def test_a_request_waits_for_a_builder_and_stands_alone(rig: Rig, shell: Shell) -> None:
    """It says so where none takes it, goes on after Ctrl-C, and is followed later."""
    rig.run(tidy_csv(range(50)))
    nothing = shell.run("rebuild", "--follow")
    command = shell.start("rebuild")
    assert command.stderr is not None
    words = [command.stderr.readline()]
    while "No builder takes it" not in words[-1]:
        words.append(command.stderr.readline())
        assert words[-1], f"it has ended: {words}"
    command.send_signal(signal.SIGINT)
    _, rest = command.communicate(timeout=TIMEOUT_S)
    second = shell.run("rebuild", "--verify-only")
    rig.services.builder()
    followed = shell.run("rebuild", "--follow")

    assert (nothing.returncode, nothing.stderr.startswith("Error: no rebuild")) == (2, True)
    assert "Projection 2 (rebuild), requested" in words[0]
    assert "No builder takes it: is `rollcall process` running?" in words[-1]
    assert command.returncode == 130
    assert rest.endswith("Interrupted; projection 2 goes on: `rollcall rebuild --follow`.\n")
    assert second.returncode == 2
    assert "409: Projection 2 (rebuild) is at work, no builder has taken it yet" in second.stderr
    assert "`rollcall rebuild --follow` follows it." in second.stderr
    # It may have been built before the command could follow it.
    assert followed.returncode == 0 or "no rebuild" in followed.stderr
    assert wait_built(rig.env, 2)["state"] == "active"


def test_only_administrators_rebuild(rig: Rig, shell: Shell) -> None:
    """And a verification has nothing to mend."""
    added = shell.json("accounts", "add", "crm", "--role", "importer")
    crm = {"ROLLCALL_USER": "crm", "ROLLCALL_PASSWORD": added["password"]}
    for command in ("rebuild", "projections"):
        done = shell.run(command, **crm)
        assert (done.returncode, "403: The role admin is needed" in done.stderr) == (2, True)
    both = shell.run("rebuild", "--verify-only", "--mend")
    assert (both.returncode, "nothing to --mend" in both.stderr) == (2, True)
    body = {"purpose": "verify", "mend": True}
    answer = rig.client.http.post("/vpns/api/v1/admin/projections", json=body)
    assert (answer.status_code, answer.json()["details"][0]["column"]) == (400, "mend")
    assert rig.client.http.get("/vpns/api/v1/admin/projections/99").status_code == 404
