"""The AsyncAPI description is valid, says all, and its bytes are real."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from functools import cache
from typing import Any, cast

import jsonschema_rs
import pytest
from click.testing import CliRunner

from deploy.cli.main import main
from schemas import events
from schemas.asyncapi.document import FILE, document, key_schema
from schemas.codec import codec, framing
from schemas.log import dead_letters
from schemas.log.topics import partition_of, topics
from schemas.rules.fields import FIELDS
from tests.support.checkout import CHECKOUT
from tests.support.data.asyncapi_file import SCHEMA_ID, body_from_json, renewed

Json = dict[str, Any]
_VENDORED = CHECKOUT / "tests" / "vendored"
_SHA256 = "d4571a420e6ffb7fcc7066c95a6db1202f299a3c51daa103d0706bf30f95e626"
_TOPICS = topics(prefix="eu-", partitions=12)


@cache
def _document() -> Json:
    return document(_TOPICS, "email")


@cache
def _official() -> jsonschema_rs.Draft7Validator:
    content = (_VENDORED / "asyncapi-3.0.0.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == _SHA256
    return jsonschema_rs.Draft7Validator(json.loads(content))


def _messages() -> Json:
    return _document()["components"]["messages"]


def _examples() -> list[tuple[str, str]]:
    """Each example of an event: the event type's name, and its own."""
    return [
        (name, example["name"])
        for name, message in _messages().items()
        if "payload" in message and "x-fingerprint" in message
        for example in message["examples"]
    ]


def test_the_file_says_what_the_code_says() -> None:
    """Schemas, bytes, bits, reasons and topics: the file is what would be made of the code now."""
    written = json.loads(FILE.read_text(encoding="utf-8"))
    assert written == renewed(document(topics(), "email"))


def test_the_document_is_valid() -> None:
    """By AsyncAPI's own schema, for each kind of reconciliation key."""
    for key in ("email", "mobileNumber", "customer number"):
        faults = [str(error) for error in _official().iter_errors(document(_TOPICS, key))]
        assert faults == [], key


def test_the_official_schema_finds_faults() -> None:
    """A misspelt part, or a setting of a topic in another type, is no AsyncAPI."""
    for change in ("chanels", "partitions"):
        wrong = copy.deepcopy(_document())
        if change == "partitions":
            wrong["channels"]["userEvents"]["bindings"]["kafka"]["partitions"] = "many"
        else:
            wrong[change] = wrong.pop("channels")
        assert not _official().is_valid(wrong)


def test_every_reference_leads_somewhere() -> None:
    """Of channels to messages, and of operations to both."""
    references = cast("list[str]", re.findall(r'"\$ref": "([^"]+)"', json.dumps(_document())))
    assert len(references) > 10
    for reference in references:
        found: Any = _document()
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def test_every_topic_is_a_channel_with_its_settings() -> None:
    """Names, partitions and settings are those with which the service makes the topics."""
    found = {
        channel["address"]: channel["bindings"]["kafka"]
        for channel in _document()["channels"].values()
    }
    assert set(found) == {topic.name for topic in _TOPICS.all()}
    for topic in _TOPICS.all():
        assert found[topic.name]["topic"] == topic.name
        assert found[topic.name]["partitions"] == topic.partitions
        shown = {
            name: str(value[0]) if name == "cleanup.policy" else str(value)
            for name, value in found[topic.name]["topicConfiguration"].items()
        }
        assert shown == topic.config


def test_every_event_type_stands_on_one_channel_with_its_schema() -> None:
    """And its payload is the file in ``avro/``, word for word."""
    placed = [name for channel in _document()["channels"].values() for name in channel["messages"]]
    names = [kind.__name__ for kind in framing.EVENT_TYPES]
    assert sorted(placed) == sorted([*names, "Chunk", "DeadLetter"])
    for event_type in framing.EVENT_TYPES:
        message = _messages()[event_type.__name__]
        assert message["payload"]["schema"] == framing.definition_of(event_type)
        example = next(iter(message["x-encoded-examples"].values()))
        event = codec.decode(bytes.fromhex(example["singleObject"]))
        assert message["x-fingerprint"] == codec.encode(event)[2:10].hex()


def test_every_event_type_has_an_example() -> None:
    """So that nobody adds a type without one."""
    shown = {name for name, _ in _examples()}
    assert [kind.__name__ for kind in framing.EVENT_TYPES if kind.__name__ not in shown] == []


@pytest.mark.parametrize(("name", "example"), _examples())
def test_the_bytes_of_an_example_are_its_event(name: str, example: str) -> None:
    """In both framings, and in Avro's JSON encoding as another implementation reads it."""
    shown = next(one for one in _messages()[name]["examples"] if one["name"] == example)
    encoded = _messages()[name]["x-encoded-examples"][example]
    value = bytes.fromhex(encoded["singleObject"])
    confluent = bytes.fromhex(encoded["confluent"])
    event = codec.decode(value)

    assert type(event).__name__ == name
    assert codec.encode(event) == value
    assert confluent == b"\0" + SCHEMA_ID.to_bytes(4, "big") + value[framing.FRAME_BYTES :]
    if isinstance(event, events.UserRow):
        assert bytes.fromhex(encoded["key"]).decode() == event.key == shown["payload"]["key"]
        assert encoded["partition"] == partition_of(event.key.encode(), 12)
    fields = [field["name"] for field in framing.definition_of(type(event))["fields"]]
    assert list(shown["payload"]) == fields
    assert body_from_json(shown["payload"], type(event)) == value[framing.FRAME_BYTES :]


def test_what_other_teams_may_do() -> None:
    """They send users; they receive user events, job statuses and dead letters; no more."""
    found = {
        (
            operation["action"],
            _document()["channels"][operation["channel"]["$ref"].rpartition("/")[2]]["address"],
        )
        for operation in _document()["operations"].values()
    }
    assert found == {
        ("send", "eu-user-events"),
        ("receive", "eu-user-events"),
        ("receive", "eu-job-status"),
        ("receive", "eu-user-events-dead"),
    }
    sent = _document()["operations"]["sendUserEvent"]["messages"]
    assert [message["$ref"].rpartition("/")[2] for message in sent] == ["UserRow"]


def test_the_bits_and_the_reasons_are_told() -> None:
    """Every field of ``present``, and every reason of a dead letter, also as values of a header."""
    told = _messages()["UserRow"]["description"]
    assert all(f"`{field.name}` {field.bit}" in told for field in FIELDS)
    letter = _messages()["DeadLetter"]
    assert letter["headers"]["properties"]["reason"]["enum"] == list(dead_letters.REASONS)
    assert all(f"`{code}`" in letter["description"] for code in dead_letters.REASONS)
    example = letter["examples"][0]["headers"]
    assert jsonschema_rs.is_valid(letter["headers"], example)


def test_the_key_is_told_as_the_log_is_set() -> None:
    """By email, by mobile number, or by a custom attribute's name."""
    assert "lower-cased" in key_schema("email")["description"]
    assert jsonschema_rs.is_valid(key_schema("mobileNumber"), "+14155550123")
    assert not jsonschema_rs.is_valid(key_schema("mobileNumber"), "0415 555")
    assert "`customer number`" in key_schema("customer number")["description"]
    bound = _messages()["UserRow"]["bindings"]["kafka"]["key"]
    assert bound == key_schema("email")


def test_the_command_prints_it_for_the_settings() -> None:
    """Without Kafka or Postgres; a wrong setting is named."""
    settings = {"ROLLCALL_TOPIC_PREFIX": "eu-", "ROLLCALL_PARTITIONS": "12"}
    printed = CliRunner().invoke(main, ["asyncapi"], env=settings)
    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.stdout) == _document()
    refused = CliRunner().invoke(main, ["asyncapi"], env={"ROLLCALL_PARTITIONS": "no"})
    assert refused.exit_code == 1
    assert "ROLLCALL_PARTITIONS is 'no'" in refused.stderr
