"""Makes the AsyncAPI 3.0 document of one log: ``asyncapi.json`` with that log's topics and key.

Its operations are those of other teams: they send user events, and receive user
events, job statuses and dead letters.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from schemas import __version__
from schemas.log.topics import partition_of
from schemas.rules import fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.log.topics import Topic, Topics

    Json = dict[str, Any]

FILE: Final = resources.files("schemas.asyncapi").joinpath("asyncapi.json")
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


def document(topics: Topics, reconciliation_key: str) -> Json:
    """Read the document and fill in the names and settings of the topics, and the key's rule."""
    found: Json = json.loads(FILE.read_text(encoding="utf-8"))
    found["info"]["version"] = __version__
    for channel, topic in zip(found["channels"].values(), topics.all(), strict=True):
        channel["address"] = topic.name
        channel["bindings"]["kafka"] |= _binding(topic)
    messages = found["components"]["messages"]
    row, letter = messages["UserRow"], messages["DeadLetter"]
    row["bindings"]["kafka"]["key"] = key_schema(reconciliation_key)
    for encoded in row["x-encoded-examples"].values():
        key = bytes.fromhex(encoded["key"])
        encoded["partition"] = partition_of(key, topics.user_events.partitions)
    letter["examples"][0]["headers"]["source-topic"] = topics.user_events.name
    return found


def _binding(topic: Topic) -> Json:
    """Return the topic's partitions and settings in the types of AsyncAPI's Kafka binding."""
    return {
        "topic": topic.name,
        "partitions": topic.partitions,
        "topicConfiguration": {
            name: value.split(",") if name == "cleanup.policy" else int(value)
            for name, value in topic.config.items()
        },
    }


def key_schema(reconciliation_key: str) -> Json:
    """Return the JSON Schema of a user event's key."""
    rule = _KEY_RULES.get(reconciliation_key) or {
        "type": "string",
        "description": f"The custom attribute `{reconciliation_key}` in the canonical text of its"
        " type: a string trimmed, a number as its shortest decimal.",
    }
    limit = f" At most {fields.MAX_KEY_BYTES} bytes of UTF-8."
    return {**rule, "minLength": 1, "description": rule["description"] + limit}
