"""The services with a schema registry: what they write, what they read, and when it is away."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from schemas.clients.kafka import make_producer
from schemas.codec import codec, framing
from schemas.events import UserRow
from schemas.log.topics import partition_of
from tests.support.clients.other_producers import row_of
from tests.support.data.files import tidy_csv
from tests.support.data.log_reading import read_topic
from tests.support.data.schema_versions import VERSIONS
from tests.support.models.verdict import select
from tests.support.servers.registry_server import registry_server
from tests.support.servers.rig import Rig
from tests.support.servers.services import Services
from tests.support.servers.surroundings import ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from tests.support.servers.registry_server import RegistryServer
    from tests.support.servers.surroundings import Ground, Surroundings

_KEYS = [f"kim{number}@example.com" for number in range(40)]


@pytest.fixture(scope="module")
def own_registry() -> Iterator[RegistryServer]:
    """A registry that the last of these tests may stop."""
    with registry_server() as started:
        yield started


def _first_bytes(env: Ground) -> set[int]:
    """What the values of user-events begin with."""
    found = read_topic(env.settings, env.settings.topics.user_events)
    values = [record.value() for records in found for record in records]
    return {value[0] for value in values if value}


def _send(env: Ground, row: UserRow, frame: bytes) -> None:
    """Append a row of another producer, whose schema has the fields of ours."""
    producer = make_producer(env.settings.kafka)
    topic = env.settings.topics.user_events
    key = row.key.encode()
    value = frame + codec.encode(row)[framing.FRAME_BYTES :]
    producer.produce(topic.name, value, key, partition_of(key, topic.partitions))
    assert producer.flush(60) == 0


def _keys(env: Ground) -> set[str]:
    return {row["key"] for row in select(env, "SELECT key FROM users")}


def _keys_by_partition(env: Ground) -> dict[int, str]:
    partitions = env.settings.topics.user_events.partitions
    return {partition_of(key.encode(), partitions): key for key in _KEYS}


@contextlib.contextmanager
def _started(env: Ground, logs: Path, registry: RegistryServer | None = None) -> Generator[Rig]:
    """All services, with a registry or without; killed at the end."""
    environ = {**env.environ, **({"SCHEMA_REGISTRY_URL": registry.url} if registry else {})}
    with Services(environ, logs) as services:
        rig = Rig.start(env, services)
        yield rig
        rig.close()


def test_a_log_may_hold_both_framings(
    surroundings_of_session: Surroundings, own_registry: RegistryServer, tmp_path: Path
) -> None:
    """A registry is set in the middle of a log: jobs before and after it are whole and replayed."""
    with ground(surroundings_of_session) as env:
        with _started(env, tmp_path) as rig:
            assert rig.run(tidy_csv(range(500)))["inserted"] == 500
        assert _first_bytes(env) == {framing.MARKER[0]}
        with _started(env, tmp_path, own_registry) as rig:
            found = rig.run(tidy_csv(range(400, 1000)), "upsert")
            assert (found["inserted"], found["unchanged"]) == (500, 100)
            replaced = rig.run(tidy_csv(range(50)), "delsert")
            assert replaced["state"] == "COMPLETED"
        assert _first_bytes(env) == {framing.MARKER[0], 0}
        assert len(_keys(env)) == 50


def test_a_registry_that_is_set_amid_a_job_changes_no_row_of_it(
    surroundings_of_session: Surroundings, own_registry: RegistryServer, tmp_path: Path
) -> None:
    """The next publisher ends what the first began, with the bytes that the seals are of."""
    with ground(surroundings_of_session) as env:
        with _started(env, tmp_path) as rig:
            rig.publisher.freeze()
            job_id = rig.submit(tidy_csv(range(60_000)))
            rig.publish_in_part(2000)
            rig.publisher.kill()
        with _started(env, tmp_path, own_registry) as rig:
            assert rig.wait_ended(job_id)["inserted"] == 60_000
            assert rig.run(tidy_csv(range(10)), "upsert")["unchanged"] == 10


def test_a_registry_that_is_away_holds_up_one_partition(
    surroundings_of_session: Surroundings, own_registry: RegistryServer, tmp_path: Path
) -> None:
    """An id not known yet waits with an alarm; other partitions go on; then all is applied."""
    with (
        ground(surroundings_of_session, schema_registry_url=own_registry.url) as env,
        Services(env.environ, tmp_path) as services,
    ):
        rig = Rig.start(env, services)
        schema = VERSIONS["UserRow"][-1] | {"doc": "Of another team."}
        schema_ids = [
            own_registry.register(f"crm-{at}", json.dumps(schema | {"doc": f"Of team {at}."}))
            for at in range(2)
        ]
        own_registry.stop()
        waiting, other, *_ = _keys_by_partition(env).values()
        _send(env, row_of(waiting), framing.confluent_frame(schema_ids[0]))
        _send(env, row_of(other), framing.frame_of(UserRow))
        worker = rig.processors[0]
        wait_until(lambda: "partitions wait" in worker.log_text(), 30, saying="there is an alarm")
        wait_until(lambda: other in _keys(env), 30, saying="the other partition goes on")
        assert waiting not in _keys(env)
        own_registry.start()
        wait_until(lambda: waiting in _keys(env), 30, saying="it is applied")
        dead = read_topic(env.settings, env.settings.topics.dead_letters)
        assert not any(dead)
        own_registry.stop()
        _send(env, row_of(f"later-{waiting}"), framing.confluent_frame(schema_ids[1]))
        wait_until(
            lambda: worker.log_text().count("partition waits for a schema") == 2,
            30,
            saying="it waits again",
        )
        assert worker.terminate() == 0
        rig.close()
