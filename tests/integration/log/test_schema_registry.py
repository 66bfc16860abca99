"""Our schemas at a real registry: registered, compatible with each other, known by their ids."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest

from processor.kafka.schema_cache import WriterSchemas
from schemas.clients.event_schemas import EventSchemas
from schemas.codec import codec, framing
from schemas.codec.registry_protocol import (
    RegistryRefusedError,
    RegistryUnreachableError,
    subject_of,
)
from schemas.config.registry import SchemaRegistry
from schemas.events import JobVoided
from schemas.log.topics import topics
from tests.support.data.schema_versions import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.log.topics import Topics
    from tests.support.servers.registry_server import RegistryServer

_VOIDED = JobVoided(job_id=7, attempt="a")


@pytest.fixture
def ours() -> Iterator[Topics]:
    """Topics of the test's own; what this process knows of ids is forgotten afterwards."""
    with framing.forgetting_ids():
        yield topics(prefix=f"t{secrets.token_hex(4)}-")


def _schemas(registry: RegistryServer) -> EventSchemas:
    return EventSchemas(SchemaRegistry(url=registry.url))


def test_every_type_is_registered_by_topic_and_name(registry: RegistryServer, ours: Topics) -> None:
    """Values are written by ids from then on, and registering again changes nothing."""
    _schemas(registry).register(ours)
    value = codec.encode(_VOIDED)
    expected = {subject_of(event_type, ours) for event_type in framing.EVENT_TYPES}
    assert expected <= registry.subjects()
    assert value[:1] == framing.CONFLUENT_MARKER
    WriterSchemas(SchemaRegistry(url=registry.url)).register(ours)
    assert codec.encode(_VOIDED) == value


def test_an_id_of_another_process_is_asked_for(registry: RegistryServer, ours: Topics) -> None:
    """Both sides decode what one has written, with nothing known before."""
    _schemas(registry).register(ours)
    value = codec.encode(_VOIDED)
    with framing.forgetting_ids():
        assert _schemas(registry).decode(value) == _VOIDED
    with framing.forgetting_ids():
        WriterSchemas(SchemaRegistry(url=registry.url)).learn([value])
        assert codec.decode(value) == _VOIDED


@pytest.mark.usefixtures("ours")
def test_an_id_that_the_registry_does_not_have_is_a_dead_letter(registry: RegistryServer) -> None:
    """It says so, and is not asked again."""
    with pytest.raises(codec.UndecodableError, match=r"UNKNOWN_SCHEMA.* does not have it"):
        _schemas(registry).decode(framing.confluent_frame(10**6) + b"x")
    assert framing.is_known(10**6)


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "record", "name": "Order", "namespace": "shop", "fields": []},
        {"type": "record", "name": "JobVoided", "namespace": "rollcall", "fields": []},
        "string",
    ],
)
def test_a_schema_that_is_none_of_ours_is_a_dead_letter(
    registry: RegistryServer, schema: object
) -> None:
    """Whatever the registry holds of other teams."""
    schema_id = registry.register(f"other-{secrets.token_hex(4)}", json.dumps(schema))
    with pytest.raises(codec.UndecodableError, match="INCOMPATIBLE_SCHEMA"):
        _schemas(registry).decode(framing.confluent_frame(schema_id) + b"x")


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("path", ["", "/apis/nothing-here", "/apis/ccompat/v7/subjects"])
def test_a_wrong_address_is_no_answer_about_an_id(registry: RegistryServer, path: str) -> None:
    """A 404 of the wrong server or path must not turn events into dead letters."""
    url = registry.url.replace("/apis/ccompat/v7", path)
    nowhere = EventSchemas(SchemaRegistry(url=url))
    with pytest.raises(RegistryUnreachableError):
        nowhere.decode(framing.confluent_frame(1) + b"x")
    assert not framing.is_known(1)


def test_a_schema_that_does_not_fit_is_refused_at_start(
    registry: RegistryServer, ours: Topics
) -> None:
    """Another schema stands under the name: a person must decide, so no service starts."""
    subject = subject_of(JobVoided, ours)
    registry.register(
        subject,
        json.dumps(
            {
                "type": "record",
                "name": "JobVoided",
                "namespace": "rollcall",
                "fields": [{"name": "other", "type": "string"}],
            }
        ),
    )
    registry.hold_to(subject, "FULL_TRANSITIVE")
    with pytest.raises(RegistryRefusedError, match="JobVoided"):
        _schemas(registry).register(ours)


@pytest.mark.parametrize("name", sorted(VERSIONS))
def test_every_version_is_compatible_with_each_other(registry: RegistryServer, name: str) -> None:
    """The registry takes them one after another under FULL_TRANSITIVE."""
    subject = f"gate-{secrets.token_hex(4)}-rollcall.{name}"
    first, *later = VERSIONS[name]
    registry.register(subject, json.dumps(first))
    registry.hold_to(subject, "FULL_TRANSITIVE")
    for version in later:
        answer = registry.offer(subject, json.dumps(version))
        assert answer.status_code == 200, answer.text


def test_the_registry_refuses_what_the_gate_is_for(registry: RegistryServer) -> None:
    """A field without a default, added to a released schema, is refused: the gate can fail."""
    subject = f"gate-{secrets.token_hex(4)}-rollcall.UserRow"
    current = VERSIONS["UserRow"][-1]
    registry.register(subject, json.dumps(current))
    registry.hold_to(subject, "FULL_TRANSITIVE")
    worse = current | {"fields": [*current["fields"], {"name": "new", "type": "string"}]}
    assert registry.offer(subject, json.dumps(worse)).status_code == 409
