"""The AsyncAPI 3.0 description of the topics, made of what the code says of them.

Topics and their settings come from :mod:`schemas.log.topics`, payloads from ``avro/``,
bits and rules from :mod:`schemas.rules.fields`, reasons from :mod:`schemas.log.dead_letters`.
Written here is only which event stands on which topic, and who may do what there.
It describes what other teams may do, as operations of theirs: they send user
events, and receive user events, job statuses and dead letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from schemas import __version__, events
from schemas.asyncapi.examples import examples_of
from schemas.codec import codec
from schemas.codec.avro_json import avro_json
from schemas.log import dead_letters
from schemas.log.topics import partition_of
from schemas.rules import fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.asyncapi.examples import EventExample
    from schemas.events import Event
    from schemas.log.topics import Topic, Topics

    Json = dict[str, Any]

SCHEMA_ID: Final = 7
"""Of the examples in the Confluent wire format; a registry gives out its own."""
CONTENT_TYPE: Final = "avro/binary"
"""As the Avro specification calls it, in "HTTP as transport"."""
_AVRO: Final = "application/vnd.apache.avro;version=1.9.0"
_BINDING: Final = "0.5.0"

_JOB_ID_KEY: Final[Json] = {"type": "string", "description": "The job id, a decimal number."}
_KEY_RULES: Final[Mapping[str, Json]] = {
    "email": {
        "type": "string",
        "format": "email",
        "description": "The email without white space around it, lower-cased: Unicode's full"
        " mapping without a locale, as `str.lower()` and `toLowerCase(Locale.ROOT)` do it.",
    },
    "mobileNumber": {
        "type": "string",
        "pattern": fields.MOBILE_PATTERN,
        "description": "The mobile number in E.164.",
    },
}


def key_schema(reconciliation_key: str) -> Json:
    """What the key of a user event must be, as JSON Schema."""
    rule = _KEY_RULES.get(reconciliation_key) or {
        "type": "string",
        "description": f"The custom attribute `{reconciliation_key}` in the canonical text of its"
        " type: a string trimmed, a number as its shortest decimal.",
    }
    limit = f" At most {fields.MAX_KEY_BYTES} bytes of UTF-8."
    return {**rule, "minLength": 1, "description": rule["description"] + limit}


@dataclass(frozen=True, slots=True)
class _Channel:
    """A topic as it is described: its events, what their keys are, and what it is for."""

    name: str
    topic: Topic
    summary: str
    description: str
    event_types: tuple[type[Event], ...]
    key: Json


EVENTS_OF_CHANNEL: Final[Mapping[str, tuple[type[Event], ...]]] = {
    "uploads": (),
    "jobEvents": (
        events.LogConfigured,
        events.JobAccepted,
        events.JobVoided,
        events.JobReverted,
        events.JobRestored,
        events.LogMove,
    ),
    "userEvents": (
        events.UserRow,
        events.RowRejected,
        events.RowErased,
        events.JobOpened,
        events.JobSealed,
        events.AttributeDefined,
    ),
    "jobStatus": (events.JobStatus,),
    "deadLetters": (),
}
"""Which events stand on which topic; chunks of files and dead letters are no events."""

_INTRODUCTION: Final = """\
Rollcall keeps an audience of users. Every change of it is an event in Kafka; the table `users`
is made of them. Any team may send user events (`UserRow`), and has the same guarantees as an
upload: each is applied once, in the order of its partition, or becomes a dead letter with its
reason.

**Wire format.** Values are Avro. Two framings are read: Avro single-object encoding (`C3 01`,
the CRC-64-AVRO fingerprint of the writer's schema, little-endian, then the body), which needs
no server, and the Confluent wire format (`00`, the schema's id in a registry as four bytes,
big-endian, then the body).

**Keys and partitions.** The record's key is the normalised reconciliation key in UTF-8, the
same as the row's `key`. It goes to partition `(murmur2(key) & 0x7fffffff) % partitions`: the
default of Java's producer, `partitioner=murmur2` of librdkafka, whose own default is another.

**Durability.** Send with `acks=all` and an idempotent producer.
"""


def document(topics: Topics, reconciliation_key: str) -> Json:
    """The AsyncAPI document of one log, as JSON values."""
    channels = _channels(topics, reconciliation_key)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Rollcall",
            "version": __version__,
            "description": _INTRODUCTION,
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"kafka": _server()},
        "channels": {channel.name: _described(channel) for channel in channels},
        "operations": _operations(),
        "components": {
            "messages": {
                "Chunk": _chunk(),
                "DeadLetter": _dead_letter(channels),
                **{
                    event_type.__name__: _message(event_type, channel)
                    for channel in channels
                    for event_type in channel.event_types
                },
            }
        },
    }


def _channels(topics: Topics, reconciliation_key: str) -> tuple[_Channel, ...]:
    texts = (
        (
            "uploads",
            topics.uploads,
            "Internal: uploaded files, in chunks.",
            "No other service reads or writes it.",
            _JOB_ID_KEY,
        ),
        (
            "jobEvents",
            topics.job_events,
            "Internal: uploads accepted, undone and restored; its order is the order of jobs.",
            "Only the API writes it.",
            {"type": "string", "description": "The job id; `log` of `LogConfigured`, `LogMove`."},
        ),
        (
            "userEvents",
            topics.user_events,
            "Every change of the audience.",
            (
                "Other services send `UserRow` without a `job_id`; all else here is written by"
                " Rollcall alone, and a row with a `job_id` that is not its publisher's is refused."
            ),
            key_schema(reconciliation_key),
        ),
        (
            "jobStatus",
            topics.job_status,
            "How far each job has come.",
            (
                "Each is a full snapshot. They come at least once; of two with one `job_id` the one"
                " with the higher `version` is the later."
            ),
            _JOB_ID_KEY,
        ),
        (
            "deadLetters",
            topics.dead_letters,
            "Records of user-events that were not applied, each with its reason.",
            (
                "Key and value are those of the record, byte for byte. They come at least once;"
                " source topic, partition and offset tell repeats."
            ),
            {"type": ["string", "null"], "description": "As read."},
        ),
    )
    return tuple(
        _Channel(name, topic, summary, description, EVENTS_OF_CHANNEL[name], key)
        for name, topic, summary, description, key in texts
    )


def _server() -> Json:
    return {
        "host": "{bootstrapServer}",
        "protocol": "kafka",
        "description": "The brokers are named by whoever runs this installation.",
        "variables": {
            "bootstrapServer": {
                "default": "localhost:9092",
                "description": "host:port of a broker.",
            }
        },
    }


def _described(channel: _Channel) -> Json:
    return {
        "address": channel.topic.name,
        "summary": channel.summary,
        "description": channel.description,
        "messages": {name: _to("components", "messages", name) for name in _names(channel)},
        "bindings": {
            "kafka": {
                "topic": channel.topic.name,
                "partitions": channel.topic.partitions,
                "topicConfiguration": {
                    name: _setting(name, value) for name, value in channel.topic.config.items()
                },
                "bindingVersion": _BINDING,
            }
        },
    }


def _names(channel: _Channel) -> list[str]:
    not_events = {"uploads": ["Chunk"], "deadLetters": ["DeadLetter"]}
    named = [event_type.__name__ for event_type in channel.event_types]
    return named or not_events[channel.name]


def _setting(name: str, value: str) -> list[str] | int:
    """A topic's setting in the type that the binding wants."""
    return value.split(",") if name == "cleanup.policy" else int(value)


def _operations() -> Json:
    texts = (
        ("sendUserEvent", "send", "userEvents", "Add, change or remove a user.", ["UserRow"]),
        (
            "receiveUserEvents",
            "receive",
            "userEvents",
            "Follow every change as it is asked for; what is refused is among them.",
            [event_type.__name__ for event_type in EVENTS_OF_CHANNEL["userEvents"]],
        ),
        ("receiveJobStatus", "receive", "jobStatus", "Follow jobs.", ["JobStatus"]),
        (
            "receiveDeadLetters",
            "receive",
            "deadLetters",
            "Learn which of your events were not applied, and why.",
            ["DeadLetter"],
        ),
    )
    return {
        name: {
            "action": action,
            "channel": _to("channels", channel),
            "summary": summary,
            "messages": [_to("channels", channel, "messages", message) for message in messages],
        }
        for name, action, channel, summary, messages in texts
    }


def _message(event_type: type[Event], channel: _Channel) -> Json:
    definition = codec.definition_of(event_type)
    examples = examples_of(event_type)
    return {
        "name": event_type.__name__,
        "title": event_type.__name__,
        "summary": definition["doc"],
        **({"description": f"{_bits()}\n\n{_values()}"} if event_type is events.UserRow else {}),
        "contentType": CONTENT_TYPE,
        "payload": {"schemaFormat": _AVRO, "schema": definition},
        "bindings": {
            "kafka": {
                "key": channel.key if event_type is events.UserRow else _key_of(event_type),
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "Avro single-object encoding, or confluent",
                "schemaLookupStrategy": "TopicRecordNameStrategy",
                "bindingVersion": _BINDING,
            }
        },
        "examples": [
            {
                "name": example.name,
                "summary": example.summary,
                "payload": avro_json(example.event),
            }
            for example in examples
        ],
        "x-fingerprint": codec.fingerprint_of(event_type).hex(),
        "x-encoded-examples": {example.name: _encoded(example, channel) for example in examples},
    }


def _key_of(event_type: type[Event]) -> Json:
    own: Mapping[type[Event], str] = {
        events.RowRejected: "The job id and the number of the line among the file's records,"
        " as `id/number`: a refused line often has no valid key.",
        events.AttributeDefined: "The attribute's name; a definition goes to every partition.",
        events.LogConfigured: "`log`.",
        events.LogMove: "`log`.",
        events.RowErased: "As of `RowRejected`; `erased` where it was no job's line.",
    }
    return {"type": "string", "description": own.get(event_type, _JOB_ID_KEY["description"])}


def _bits() -> str:
    bits = ", ".join(f"`{field.name}` {field.bit}" for field in fields.FIELDS)
    return f"An upsert changes only the fields whose bit is in `present`: {bits}."


def _values() -> str:
    limits = ", ".join(
        f"`{field.name}` {field.max_characters}"
        for field in fields.FIELDS
        if field.kind in ("text", "email", "mobile")
    )
    return (
        "Values are not corrected: each is what an upload would make of it. A text is never empty"
        " and has no white space around it; an `email` is an address, a `mobile_number` is in"
        f" E.164. Characters at most: {limits}. An `event_id` is required, the `job_id` is null."
    )


def _encoded(example: EventExample, channel: _Channel) -> Json:
    """The record of an example, its bytes in hexadecimal."""
    event_type = type(example.event)
    body = codec.encode(example.event).removeprefix(codec.frame_of(event_type))
    single_object = codec.MARKER + codec.fingerprint_of(event_type) + body
    confluent = b"\0" + SCHEMA_ID.to_bytes(4, "big") + body
    key = example.key.encode()
    is_row = isinstance(example.event, events.UserRow)
    return {
        "key": key.hex(),
        # Where all other events go does not follow from their keys.
        **({"partition": partition_of(key, channel.topic.partitions)} if is_row else {}),
        "singleObject": single_object.hex(),
        "confluent": confluent.hex(),
    }


def _chunk() -> Json:
    return {
        "name": "Chunk",
        "summary": "A piece of an uploaded file, as it was sent.",
        "contentType": "application/octet-stream",
        "headers": _headers(
            {
                "attempt": "Tells uploads with one job id apart.",
                "index": "The chunk's place in its file, a decimal number from 0.",
            }
        ),
        "payload": {"type": "string", "format": "binary"},
        "bindings": {"kafka": {"key": _JOB_ID_KEY, "bindingVersion": _BINDING}},
    }


def _dead_letter(channels: Iterable[_Channel]) -> Json:
    source = next(channel for channel in channels if channel.name == "userEvents")
    reasons = "\n".join(f"- `{code}`: {text}" for code, text in dead_letters.REASONS.items())
    code = "MISROUTED"
    return {
        "name": "DeadLetter",
        "summary": "A record that was not applied, as it came.",
        "description": f"Reasons:\n\n{reasons}",
        "contentType": "application/octet-stream",
        "headers": _headers(dead_letters.HEADERS, reason=list(dead_letters.REASONS)),
        "payload": {"type": ["string", "null"], "format": "binary"},
        "bindings": {
            "kafka": {
                "key": {"type": ["string", "null"], "description": "As read."},
                "bindingVersion": _BINDING,
            }
        },
        "examples": [
            {
                "name": "misrouted",
                "summary": "Its producer placed it by CRC-32, librdkafka's default.",
                "headers": {
                    "reason": code,
                    "detail": dead_letters.REASONS[code],
                    "source-topic": source.topic.name,
                    "source-partition": "0",
                    "source-offset": "412",
                },
            }
        ],
    }


def _headers(texts: Mapping[str, str], **choices: list[str]) -> Json:
    """A schema of headers that are all texts and all there."""
    return {
        "type": "object",
        "required": list(texts),
        "properties": {
            name: {
                "type": "string",
                "description": text,
                **({"enum": choices[name]} if name in choices else {}),
            }
            for name, text in texts.items()
        },
    }


def _to(*path: str) -> Json:
    return {"$ref": "#/" + "/".join(path)}
