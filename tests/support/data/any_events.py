"""Any record at all, drawn by a seed: any bytes, and any valid Avro of any of our types."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from schemas.codec import codec, framing
from schemas.events import (
    AttributeColumn,
    AttributeDefined,
    ChunkRange,
    JobAccepted,
    JobCancelled,
    JobFailed,
    JobOpened,
    JobRestored,
    JobReverted,
    JobSealed,
    LogMove,
    RowErased,
    RowRejected,
    UndoQueued,
    UserRow,
)
from schemas.log.storable import violation

if TYPE_CHECKING:
    from collections.abc import Collection
    from random import Random

    from schemas.events import Event

NOBODYS_JOB: Final = 7_000_000_000
_LIKE_A_JOBS: Final = (
    UserRow, RowRejected, RowErased, JobOpened, JobReverted, JobRestored, JobCancelled,
    JobFailed, UndoQueued,
)  # fmt: skip
_BITS: Final = {"int": 32, "long": 64}
_NUMBERS: Final = (0, -1, 1, 2, 3, 4, 5, 6)
_TIMES_US: Final = (1_772_366_400_000_000, -62_135_596_800_000_001, 253_402_300_800_000_000)
_DAYS: Final = (19_782, -719_163, 2_932_897)
"""Of today, and just outside of what Python counts."""
_TEXTS: Final = (
    "", "\0", "a\0b", "u0@example.com", "user1@example.com", "\x1b[2J", "ß\u2028", "x" * 3000,
    "\U0001f600", "' OR 1", "nobody_@",
)  # fmt: skip
_TIMES_MS: Final = (1_772_366_400_000, 1, 253_402_300_800_000, 2**62)


class AnyRecords:
    """Draws records; ``jobs`` are ids that events may name, and which are really there."""

    def __init__(self, rng: Random, jobs: Collection[int] = ()) -> None:
        self._rng = rng
        self._jobs = tuple(jobs)

    def value(self) -> bytes | None:
        """Of a record: an event as likely as not, else what is mostly none."""
        rng = self._rng
        if rng.random() < 0.6:
            return codec.encode(self.event())
        noise = rng.randbytes(rng.randrange(60))
        frame = framing.frame_of(rng.choice(framing.EVENT_TYPES))
        cut = codec.encode(self.event())
        return rng.choice([None, b"", noise, frame + noise, cut[:-1], cut + b"\0"])

    def value_of(self, event_type: type[Event]) -> bytes:
        """An event of this type."""
        return codec.encode(self._event(event_type))

    def key(self) -> bytes | None:
        """Of a record."""
        return self._rng.choice([None, b"", b"u0@example.com", self._rng.randbytes(9)])

    def time_ms(self) -> int:
        """Of a record: now, long ago, or beyond the year 9999."""
        return self._rng.choice(_TIMES_MS)

    def event(self) -> Event:
        """An event of any type whose fields are any values that its schema has.

        One that its job might as well have is given to a job that is none: what imitates the
        publisher in every field has its effect, and so has a definition, or a move.
        """
        event = self._event(self._rng.choice(framing.EVENT_TYPES))
        if isinstance(event, AttributeDefined):
            return replace(event, name="\0")
        if isinstance(event, LogMove):
            return self.event()
        if isinstance(event, JobAccepted) and violation(event) is None:
            return replace(event, job_id=-event.job_id)
        is_likely = isinstance(event, _LIKE_A_JOBS) or _ends_a_job(event)
        if not is_likely or violation(event) is not None:
            return event
        changes: dict[str, Any] = {}
        if isinstance(event, JobOpened):
            changes["previous_job_id"] = NOBODYS_JOB
        if event.job_id in self._jobs:  # pyright: ignore[reportAttributeAccessIssue] - a job's
            changes["job_id"] = NOBODYS_JOB
        return replace(cast("Any", event), **changes)

    def _event(self, event_type: type[Event]) -> Event:
        fields = framing.definition_of(event_type)["fields"]
        values = {field["name"]: self._value(field["type"], field["name"]) for field in fields}
        if event_type is JobAccepted:
            values["chunks"] = ChunkRange(**values["chunks"])
            columns = values["attributes"]
            values["attributes"] = tuple(AttributeColumn(**column) for column in columns)
        values.pop("variant", None)
        return cast("Any", event_type)(**values)

    def _value(self, schema: Any, name: str) -> Any:
        rng = self._rng
        if isinstance(schema, list):
            return self._value(rng.choice(cast("list[Any]", schema)), name)
        if isinstance(schema, dict):
            return self._value_of_node(cast("dict[str, Any]", schema), name)
        if schema in _BITS:
            bits = _BITS[schema]
            known = self._jobs if name == "job_id" else ()
            any_number = rng.getrandbits(bits) - (1 << (bits - 1))
            return rng.choice([*_NUMBERS, *known, *known, any_number])
        if schema == "string":
            return rng.choice(_TEXTS)
        if schema == "bytes":
            return rng.randbytes(rng.choice([0, 32]))
        return rng.random() < 0.5 if schema == "boolean" else None

    def _value_of_node(self, node: dict[str, Any], name: str) -> Any:
        rng = self._rng
        if "logicalType" in node:
            return rng.choice(_DAYS if node["logicalType"] == "date" else _TIMES_US)
        match node["type"]:
            case "enum":
                return rng.choice(node["symbols"])
            case "map":
                return {
                    rng.choice(_TEXTS): self._value(node["values"], name)
                    for _ in range(rng.randrange(3))
                }
            case "array":
                return [self._value(node["items"], name) for _ in range(rng.randrange(3))]
            case "record":
                return {f["name"]: self._value(f["type"], f["name"]) for f in node["fields"]}
            case kind:
                return self._value(kind, name)


def _ends_a_job(event: Event) -> bool:
    return isinstance(event, JobSealed) and event.is_abandoned
