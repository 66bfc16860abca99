"""The requests to a schema registry and the meaning of its responses, without any I/O.

The API is Confluent's (``/schemas/ids/…``, ``/subjects/…``), which other registries speak too.

Our topics carry events of several types, so a subject is named by topic and record,
``user-events-rollcall.UserRow``: what Confluent's serialisers call TopicRecordNameStrategy.
One subject a topic (TopicNameStrategy) would hold each type to the compatibility of the others,
and the record's name alone (RecordNameStrategy) would hold several logs of one cluster together.
A schema is looked up first and registered only where it is missing, so read-only credentials
are enough once it is registered.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

from schemas import events
from schemas.codec import framing

if TYPE_CHECKING:
    from schemas.log.topics import Topics

MAX_ANSWER_BYTES: Final = 1 << 20
TIMEOUT_S: Final = 5.0
"""For one request, which takes milliseconds; a process must end within 15 s of SIGTERM."""
CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_OK: Final = 200
_USER_EVENTS: Final = (
    events.UserRow,
    events.RowRejected,
    events.JobOpened,
    events.JobSealed,
    events.AttributeDefined,
)
_REFUSALS: Final = (409, 422)
_SCHEMA_NOT_FOUND: Final = 40403
_NOT_FOUND: Final = (40401, 40402, _SCHEMA_NOT_FOUND)
"""The API's own error codes for an unknown subject, version and schema."""


class RegistryUnreachableError(Exception):
    """A registry did not respond, or not as a registry does; the request may succeed later."""


class RegistryRefusedError(Exception):
    """The registry rejects one of our schemas; an operator must decide."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request: ``path`` below the registry's URL; with a ``body``, a POST."""

    path: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP status and the body of a response."""

    status: int
    body: bytes

    def parsed(self) -> dict[str, Any]:
        """Return the body, empty where it is no JSON object."""
        try:
            found: Any = json.loads(self.body)
        except ValueError:
            return {}
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


Exchange = Generator[Question, Answer, None]
"""Yields requests and is sent their responses."""


def subject_of(event_type: type[events.Event], topics: Topics) -> str:
    """Return the subject that a type is registered under: its topic's name and its own."""
    topic = topics.job_events
    if event_type in _USER_EVENTS:
        topic = topics.user_events
    elif event_type is events.JobStatus:
        topic = topics.job_status
    return f"{topic.name}-rollcall.{event_type.__name__}"


def registering(topics: Topics) -> Exchange:
    """Give every event type an id; values are written with it from then on.

    Raises:
        RegistryRefusedError: a schema is not compatible with one that is there.
        RegistryUnreachableError: the registry did not respond as one.
    """
    ids: dict[type[events.Event], int] = {}
    for event_type in framing.EVENT_TYPES:
        subject = subject_of(event_type, topics)
        path = f"/subjects/{quote(subject, safe='')}"
        body = json.dumps({"schema": framing.text_of(event_type)}).encode()
        answer = yield Question(path, body)
        if answer.parsed().get("error_code") in _NOT_FOUND:
            answer = yield Question(f"{path}/versions", body)
        ids[event_type] = _id_in(answer, subject)
    framing.write_by_ids(ids)


def _id_in(answer: Answer, subject: str) -> int:
    found = answer.parsed().get("id")
    if answer.status == _OK and isinstance(found, int) and 0 <= found <= framing.LARGEST_ID:
        return found
    if answer.status in _REFUSALS:
        raise RegistryRefusedError(
            f"The schema registry refuses the schema of {subject}: {_reason(answer)}. Another"
            " schema stands under that name, or its compatibility level is stricter than"
            " FULL_TRANSITIVE."
        )
    raise RegistryUnreachableError(f"subject {subject}: {_reason(answer)}")


def learning(schema_id: int) -> Exchange:
    """Teach the codec the schema of this id, or why its values cannot be decoded.

    Raises:
        RegistryUnreachableError: the registry did not respond as one.
    """
    answer = yield Question(f"/schemas/ids/{schema_id}")
    found = answer.parsed()
    text = found.get("schema")
    # A 404 of a proxy or for a wrong path says nothing about the id.
    if found.get("error_code") == _SCHEMA_NOT_FOUND:
        framing.refuse(schema_id, "UNKNOWN_SCHEMA", "the schema registry does not have it")
    elif answer.status != _OK or not isinstance(text, str):
        raise RegistryUnreachableError(f"schema id {schema_id}: {_reason(answer)}")
    elif found.get("schemaType", "AVRO") != "AVRO" or found.get("references"):
        framing.refuse(schema_id, "INCOMPATIBLE_SCHEMA", "it is not Avro, or refers to others")
    else:
        framing.learn(schema_id, text)


def _reason(answer: Answer) -> str:
    message = answer.parsed().get("message")
    return f"HTTP status {answer.status}" + (f", {message}" if message else "")
