"""Readiness names the component that is frozen, full or missing, and answers meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.disks.small_disk import small_disk
from tests.support.servers.breaking import frozen
from tests.support.servers.services import Services
from tests.support.servers.surroundings import ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local_stack.stack import LocalStack
    from tests.support.clients.client import Client
    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Ground, Surroundings


def _reasons(client: Client) -> dict[str, list[str]]:
    """By component; the whole answer says the same."""
    answer = client.http.get("/health/ready")
    body = answer.json()
    found = {each["name"]: each["reasons"] for each in body["components"]}
    told = [reason for reasons in found.values() for reason in reasons]
    assert (body["reasons"], body["status"]) == (told, "waiting" if told else "ready")
    assert answer.status_code == (503 if told else 200)
    statuses = {each["name"]: each["status"] for each in body["components"]}
    assert statuses == {name: "waiting" if told else "ready" for name, told in found.items()}
    return found


def test_frozen_servers_are_named(rig: Rig, stack: LocalStack) -> None:
    """Each by its own component, while the other is ready."""
    assert not any(_reasons(rig.client).values())
    assert stack.postgres.child is not None
    assert stack.kafka.child is not None
    for pid, name, reason in (
        (stack.postgres.child.pid, "postgres", "Postgres doesn't answer."),
        (stack.kafka.child.pid, "kafka", "Kafka doesn't answer."),
    ):
        with frozen(pid):
            wait_until(lambda name=name: _reasons(rig.client)[name], 60)
            found = _reasons(rig.client)
            assert found.pop(name) == [reason]
            assert not any(found.values())
        wait_until(rig.client.is_ready, 60, saying=f"{name} has come back")


@pytest.mark.usefixtures("stack")
def test_a_full_disk_is_named(
    env: Ground, breakable_surroundings: Surroundings, tmp_path: Path
) -> None:
    """That of the folder which is watched; it is over once there is room."""
    with (
        small_disk(env) as disk,
        ground(breakable_surroundings, watched_folder=str(disk.folder)) as made,
        Services(made.environ, tmp_path) as services,
    ):
        _, client = services.api()
        with client:
            wait_until(lambda: _reasons(client)["disk"] == [], 30)
            disk.fill()
            words = f"The disk of {disk.folder} is full: 0 of "
            wait_until(lambda: "".join(_reasons(client)["disk"]).startswith(words), 30)
            disk.empty()
            wait_until(lambda: _reasons(client)["disk"] == [], 30)
