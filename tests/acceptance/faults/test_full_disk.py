"""Postgres' disk filled to the last byte while tables are built beside the live ones.

Only the build ends: its tables are dropped, which gives the room back, whoever asked is told
what is full and how much is needed, and live work goes on as soon as there is room.

The servers are the tests' own: a checkpoint for any other database fails as long as this disk is
full.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support.clients.client import BASE
from tests.support.clients.projections import active, instance, request, wait_built
from tests.support.clients.shell import Shell
from tests.support.data.files import tidy_csv
from tests.support.disks.small_disk import database_on, small_disk
from tests.support.models.verdict import select
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.clients.client import Json
    from tests.support.disks.small_disk import SmallDisk
    from tests.support.servers.surroundings import Ground

pytestmark = pytest.mark.usefixtures("stack")
_ROWS = 30_000
_LEFT_BYTES = 3 << 20
"""Less than a second set of tables of so many rows, and enough for live work to go on."""
_BUILD_TIMEOUT_S = 120
_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'projection_')"


pytestmark = pytest.mark.usefixtures("stack")
"""A checkpoint fails where a disk is full, and with it whatever other tests wait for."""


@pytest.fixture
def disk(env: Ground) -> Iterator[SmallDisk]:
    """A small disk, empty."""
    with small_disk(env) as made:
        yield made


@pytest.fixture
def rig(env: Ground, disk: SmallDisk, tmp_path: Path) -> Iterator[Rig]:
    """An installation with a builder and some users, whose database is on the small disk."""
    with (
        database_on(env, disk) as ground,
        Services(ground.environ, tmp_path) as services,
    ):
        started = Rig.start(ground, services)
        try:
            services.builder()
            started.run(tidy_csv(range(_ROWS)))
            yield started
        finally:
            started.close()


def assert_given_back(rig: Rig, disk: SmallDisk) -> None:
    """Fail unless only the live tables are there, their room alone is taken, and they go on."""
    wait_until(lambda: _is_only_live(rig), _BUILD_TIMEOUT_S, saying="other tables are dropped")
    # Postgres removes a table's files just after the commit that drops it.
    wait_until(lambda: disk.free_bytes > _LEFT_BYTES // 2, _BUILD_TIMEOUT_S)
    page = rig.client.http.get(f"{BASE}/audience?pageSize=1").json()
    assert page["total"] >= _ROWS
    rig.run(tidy_csv(range(20), word="meanwhile"), "upsert")


def _is_only_live(rig: Rig) -> bool:
    with contextlib.suppress(psycopg.OperationalError):  # a new session may need room itself
        live = f"projection_{active(rig.env)['number']}"
        return select(rig.env, _SCHEMAS) == [{"nspname": live}]
    return False


def assert_tells(failure: str) -> None:
    """Fail unless it says what is full, and what to do."""
    assert failure.startswith("DISK_FULL: "), failure
    assert "No space left on device" in failure
    assert "make room for at least as much again" in failure


@pytest.mark.parametrize("purpose", ["rebuild", "verify"])
def test_a_build_on_a_full_disk_fails_and_gives_its_room_back(
    rig: Rig, disk: SmallDisk, purpose: str
) -> None:
    """Imports go on, and the same is done as soon as there is room."""
    running = rig.submit(tidy_csv(range(1000), word="b"), "upsert")
    disk.fill(leaving_bytes=_LEFT_BYTES)
    failed = wait_built(rig.env, request(rig.env, purpose))

    assert failed["state"] == "failed"
    assert_tells(failed["failure"])
    rig.wait_ended(running)
    assert_given_back(rig, disk)
    disk.empty()
    done = wait_built(rig.env, request(rig.env, purpose))
    assert (done["failure"], done["result"]["isEqual"]) == (None, True)
    rig.assert_as_modelled()


def test_the_audience_as_it_was_needs_room(rig: Rig, disk: SmallDisk) -> None:
    """Whoever asks is told so; nothing of it is left."""
    (job_id,) = [int(each["id"]) for each in rig.client.statuses()["statuses"]]
    rig.run(tidy_csv(range(10), word="b"), "upsert")
    disk.fill(leaving_bytes=_LEFT_BYTES)
    answers: list[Json] = []

    def is_told() -> bool:
        answer = rig.client.http.get(f"{BASE}/audience?asOf={job_id}")
        assert answer.status_code in {409, 503}
        answers.append(answer.json())
        return "could not be built" in answers[-1]["message"]

    wait_until(is_told, _BUILD_TIMEOUT_S, saying="whoever asks is told")
    assert_tells(answers[-1]["message"].partition("could not be built: ")[2])
    assert_given_back(rig, disk)
    rig.assert_as_modelled()


def test_an_undo_waits_for_room(rig: Rig, disk: SmallDisk, tmp_path: Path) -> None:
    """Its status and the commands say why, and when it is tried again; then it is done."""
    undone = int(rig.run(tidy_csv(range(50), word="b"), "upsert")["id"])
    shell = Shell(rig, tmp_path)
    disk.fill(leaving_bytes=_LEFT_BYTES)
    preview = shell.run("undo", str(undone), "--dry-run")
    assert preview.returncode != 0
    assert "DISK_FULL" in preview.stderr
    command = shell.start("undo", str(undone), "--yes")
    failed = wait_until(
        lambda: rig.client.status(undone)["undoFailure"],
        _BUILD_TIMEOUT_S,
        saying="the status says that it failed",
    )
    assert_tells(failed["reason"])
    assert_given_back(rig, disk)
    disk.empty()
    output, told = command.communicate(timeout=_BUILD_TIMEOUT_S)
    assert command.returncode == 0, output + told
    assert "DISK_FULL" in told
    assert "It is tried again at " in told
    status = rig.client.status(undone)
    assert (status["state"], status["undoFailure"]) == ("REVERTED", None)
    assert instance(rig.env, active(rig.env)["number"])["purpose"] == "undo"
    rig.assert_as_modelled()
