"""The parts of ``asyncapi.json`` that follow from the code, made anew.

``python -m tests.support.data.asyncapi_file`` writes them into the file; what else stands there is
written by hand: which event stands on which topic, the texts, the examples and their keys.
"""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import fastavro

from schemas.asyncapi.document import FILE, document
from schemas.codec import framing
from schemas.log import dead_letters
from schemas.log.topics import topics
from schemas.rules import fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas import events

Json = dict[str, Any]
SCHEMA_ID = 7
"""Of the examples in the Confluent wire format; a registry gives out its own."""


def renewed(written: Json) -> Json:
    """The document with all that follows from the code as the code has it."""
    found = copy.deepcopy(written)
    messages = found["components"]["messages"]
    for event_type in framing.EVENT_TYPES:
        message = messages[event_type.__name__]
        definition = framing.definition_of(event_type)
        message["summary"] = definition["doc"]
        message["payload"]["schema"] = definition
        message["x-fingerprint"] = framing.fingerprint_of(event_type).hex()
        encoded = message["x-encoded-examples"]
        for example in message["examples"]:
            encoded[example["name"]] |= _framed(example["payload"], event_type)
    messages["UserRow"]["description"] = f"{_bits()}\n\n{_values()}"
    letter = messages["DeadLetter"]
    reasons = "\n".join(f"- `{code}`: {text}" for code, text in dead_letters.REASONS.items())
    letter["description"] = f"Reasons:\n\n{reasons}"
    headers: Json = {
        name: {"type": "string", "description": text} for name, text in dead_letters.HEADERS.items()
    }
    headers["reason"] |= {"enum": list(dead_letters.REASONS)}
    letter["headers"] |= {"required": list(headers), "properties": headers}
    example = letter["examples"][0]["headers"]
    example["detail"] = dead_letters.REASONS[example["reason"]]
    return found


def body_from_json(record: Json, event_type: type[events.Event]) -> bytes:
    """The Avro body of a record in Avro's JSON encoding, by another implementation's reader."""
    schema = fastavro.parse_schema(framing.definition_of(event_type), named_schemas={})
    reader = cast("Iterator[Json]", fastavro.json_reader(io.StringIO(json.dumps(record)), schema))
    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, next(reader))
    return body.getvalue()


def _framed(payload: Json, event_type: type[events.Event]) -> Json:
    body = body_from_json(payload, event_type)
    return {
        "singleObject": (framing.MARKER + framing.fingerprint_of(event_type) + body).hex(),
        "confluent": (b"\0" + SCHEMA_ID.to_bytes(4, "big") + body).hex(),
    }


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


if __name__ == "__main__":
    text = json.dumps(renewed(document(topics(), "email")), indent=2, ensure_ascii=False)
    Path(str(FILE)).write_text(text + "\n", encoding="utf-8")
