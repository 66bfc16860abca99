"""What is asked of a schema registry, and what its answers mean; the asking itself is each side's.

The API is Confluent's (``/schemas/ids/…``, ``/subjects/…``), which other registries speak too.

Our topics carry events of several types, so a subject is named by topic and record,
``user-events-rollcall.UserRow``: what Confluent's serialisers call TopicRecordNameStrategy.
One subject a topic (TopicNameStrategy) would hold each type to the compatibility of the others,
and the record's name alone (RecordNameStrategy) would hold several logs of one cluster together.
A schema is looked up first and registered only where it is missing, so credentials that may only
read are enough once it is there.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

from schemas import events
from schemas.codec import codec

if TYPE_CHECKING:
    from schemas.log.topics import Topics

MAX_ANSWER_BYTES: Final = 1 << 20
TIMEOUT_S: Final = 5.0
"""Of one question: an answer takes milliseconds, and a process must end within 15 s of SIGTERM."""
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
"""The API's own codes for a subject, a version and a schema that it does not have."""


class RegistryUnreachableError(Exception):
    """A registry did not answer, or not as one does; the same question may be answered later."""


class RegistryRefusedError(Exception):
    """The registry will not take one of our schemas; a person must decide."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request: ``path`` below the registry's URL; with a ``body``, a POST."""

    path: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP status and the body."""

    status: int
    body: bytes

    def parsed(self) -> dict[str, Any]:
        """The body, an empty one where it is no JSON object."""
        try:
            found: Any = json.loads(self.body)
        except ValueError:
            return {}
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


Exchange = Generator[Question, Answer, None]
"""Questions out, answers in."""


def subject_of(event_type: type[events.Event], topics: Topics) -> str:
    """The subject that a type is registered under: its topic's name and its own."""
    topic = topics.job_events
    if event_type in _USER_EVENTS:
        topic = topics.user_events
    elif event_type is events.JobStatus:
        topic = topics.job_status
    return f"{topic.name}-rollcall.{event_type.__name__}"


def registering(topics: Topics) -> Exchange:
    """Every type has an id on return, and values are written by it from then on.

    Raises:
        RegistryRefusedError: a schema is not compatible with one that is there.
        RegistryUnreachableError: an answer is none.
    """
    ids: dict[type[events.Event], int] = {}
    for event_type in codec.EVENT_TYPES:
        subject = subject_of(event_type, topics)
        path = f"/subjects/{quote(subject, safe='')}"
        body = json.dumps({"schema": codec.text_of(event_type)}).encode()
        answer = yield Question(path, body)
        if answer.parsed().get("error_code") in _NOT_FOUND:
            answer = yield Question(f"{path}/versions", body)
        ids[event_type] = _id_in(answer, subject)
    codec.write_by_ids(ids)


def _id_in(answer: Answer, subject: str) -> int:
    found = answer.parsed().get("id")
    if answer.status == _OK and isinstance(found, int) and 0 <= found <= codec.LARGEST_ID:
        return found
    if answer.status in _REFUSALS:
        raise RegistryRefusedError(
            f"The schema registry refuses the schema of {subject}: {_told(answer)}. Another"
            " schema stands under that name, or its compatibility level is stricter than"
            " FULL_TRANSITIVE."
        )
    raise RegistryUnreachableError(f"subject {subject}: {_told(answer)}")


def learning(schema_id: int) -> Exchange:
    """The codec knows on return what values with this id are, or why they are nothing.

    Raises:
        RegistryUnreachableError: an answer is none.
    """
    answer = yield Question(f"/schemas/ids/{schema_id}")
    found = answer.parsed()
    text = found.get("schema")
    # A proxy's 404, or one of a wrong path, says nothing about the id.
    if found.get("error_code") == _SCHEMA_NOT_FOUND:
        codec.refuse(schema_id, "UNKNOWN_SCHEMA", "the schema registry does not have it")
    elif answer.status != _OK or not isinstance(text, str):
        raise RegistryUnreachableError(f"schema id {schema_id}: {_told(answer)}")
    elif found.get("schemaType", "AVRO") != "AVRO" or found.get("references"):
        codec.refuse(schema_id, "INCOMPATIBLE_SCHEMA", "it is not Avro, or refers to others")
    else:
        codec.learn(schema_id, text)


def _told(answer: Answer) -> str:
    message = answer.parsed().get("message")
    return f"HTTP status {answer.status}" + (f", {message}" if message else "")
