"""`rollcall doctor` on an installation that is fine, and on what goes wrong in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import psycopg
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from schemas.clients.kafka import make_admin
from tests.support.clients.shell import Shell
from tests.support.data.files import tidy_csv
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig
    from tests.support.servers.surroundings import Ground

_ALL = {
    *("settings", "disk", "kafka", "topics", "retention", "message size", "replication"),
    *(
        "in sync",
        "log",
        "key",
        "digests",
        "postgres",
        "clock",
        "rights",
        "tables",
        "builds",
        "services",
    ),
    *("accounts", "publishing", "lag", "outbox", "jobs", "dead letters"),
}


def _found(shell: Shell, **environ: str) -> tuple[int, dict[str, Any]]:
    """The exit status, and each finding by its subject."""
    done = shell.run("doctor", "--json", **{**shell.rig.env.environ, **environ})
    answer = json.loads(done.stdout)
    assert answer["exitStatus"] == done.returncode, done.stderr
    return done.returncode, {each["subject"]: each for each in answer["findings"]}


def _keep_for(env: Ground, retention_ms: int) -> None:
    topic = env.settings.topics.user_events.name
    entry = ConfigEntry(
        "retention.ms", str(retention_ms), incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = make_admin(env.settings.kafka)
    for future in cast("dict[Any, Any]", admin.incremental_alter_configs([resource])).values():
        future.result()


def test_what_is_wrong_is_named_with_what_to_do(rig: Rig, tmp_path: Path) -> None:
    """All is fine at first; then one thing after another is not, and a server is away."""
    shell = Shell(rig, tmp_path)
    rig.services.builder()
    rig.run(tidy_csv(range(3)))
    wait_until(lambda: _found(shell)[0] == 0, 60, saying="the builder has connected")
    _assert_fine(shell)

    _keep_for(rig.env, 864_000_000)
    published = rig.published()
    rig.processors[0].kill()
    rig.submit(tidy_csv(range(3, 6)))
    rig.wait_published(published + 3)
    with psycopg.connect(rig.env.conninfo) as connection:
        connection.execute("DELETE FROM rollcall_api.account")
    _assert_named(shell)

    status, found = _found(shell, ROLLCALL_DATABASE_URL="host=127.0.0.1 port=1 user=a")
    assert (status, found["postgres"]["state"]) == (2, "unreachable")
    assert found["kafka"]["state"] == "fine"


def _assert_fine(shell: Shell) -> None:
    status, found = _found(shell)
    wrong = {each["subject"]: each["state"] for each in found.values() if each["state"] != "fine"}
    assert (status, wrong, set(found)) == (0, {"disk": "unseen"}, _ALL)
    assert "3 users" in found["tables"]["seen"]


def _assert_named(shell: Shell) -> None:
    status, found = _found(shell, ROLLCALL_PARTITIONS="5", ROLLCALL_PORTT="1", ROLLCALL_PORT="x")
    todo = {each["subject"]: each["remedy"] for each in found.values() if each["state"] == "todo"}
    assert status == 1
    assert "ROLLCALL_PORTT is no setting" in found["settings"]["seen"]
    assert "ROLLCALL_PORT is 'x'" in found["settings"]["seen"]
    assert "retention.ms=-1" in todo["retention"]
    assert "ROLLCALL_PARTITIONS" in todo["topics"]
    assert "rollcall process" in todo["services"]
    assert "reset-password" in todo["accounts"]
    assert "processors' logs" in todo["lag"]
