"""The sequential oracle of a whole log: jobs, and other producers' events between their lines.

Each partition is gone through in its order, an event at a time, in plain Python.
A job that is left out is followed, so that the jobs after it come to their turn,
and none of its lines is applied.
What other producers' events do is read from their guide again; no code is shared
with the projection, and of a job's lines the file is read, not the record.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from schemas.codec import codec
from schemas.events import AttributeDefined, JobOpened, JobSealed, RowRejected, UserRow
from schemas.read_model.tables import API_SOURCE
from tests.support.models.model import (
    FIELDS,
    REQUIRED,
    SUBSCRIPTIONS,
    TEXT_FIELDS,
    Outcome,
    RefusedError,
    User,
    Users,
    apply_line,
    is_complete,
    leave_out_line,
    lines_of,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tests.support.models.model import Job, Line

SOURCE_COUNTS = ("inserted", "updated", "unchanged", "deleted", "rejected", "dead", "repeats")
_NEVER_CLEARED = {*REQUIRED, "last_active_date", *SUBSCRIPTIONS}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CANONICAL = {
    "string": r"\S(.*\S)?",
    "number": r"-?(0|[1-9]\d*)(\.\d*[1-9])?",
    "boolean": "true|false",
}


class Record(Protocol):
    """What is read of a record of the log."""

    def value(self) -> bytes | None:
        """Its value."""
        ...

    def key(self) -> bytes | None:
        """Its key."""
        ...

    def offset(self) -> int | None:
        """Its offset."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """The kind of its time, and the milliseconds since 1970."""
        ...


@dataclass(slots=True)
class FollowedJob:
    """A job as far as the partitions have come with it.

    ``lines`` are the file's, by their number; times are by partition.
    """

    job: Job
    lines: dict[int, Line]
    outcome: Outcome
    opened_at: dict[int, datetime] = field(default_factory=dict[int, datetime])
    sealed_at: dict[int, datetime] = field(default_factory=dict[int, datetime])


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What the API is told of a write: the user's id, or a code."""

    position: int
    outcome: str
    user_id: int | None = None
    code: str | None = None


@dataclass(slots=True)
class SourceTally:
    """What the records of one source came to."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SOURCE_COUNTS, 0))
    times: list[datetime] = field(default_factory=list[datetime])


@dataclass(slots=True)
class _Partition:
    """One partition's state; ``audience`` is the delsert whose users it writes, 0 before any."""

    number: int
    open_job_id: int | None = None
    sealed_job_id: int = 0
    next_sequence: int = 0
    audience: int = 0
    audiences: dict[int, Users] = field(default_factory=lambda: {0: Users()})
    replaced: set[str] = field(default_factory=set[str])
    """The keys of the users that were there when the delsert under way was opened."""
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    written: dict[str, WriteResult] = field(default_factory=dict[str, WriteResult])

    @property
    def users(self) -> Users:
        return self.audiences[self.audience]


class LogModel:
    """What the tables hold after the records followed so far, without the jobs left out."""

    def __init__(
        self,
        jobs: Iterable[Job],
        partitions: int,
        left_out: Collection[int] = (),
        hidden: Collection[int] = (),
    ) -> None:
        """``jobs`` are those of the log, in their order; ``hidden`` delserts are never shown."""
        self._hidden = frozenset(hidden)
        self._left_out = frozenset(left_out)
        self._partitions = [_Partition(number) for number in range(partitions)]
        self._order = {job.job_id: job for job in jobs}
        self.jobs: dict[int, FollowedJob] = {}
        self.sources: defaultdict[str, SourceTally] = defaultdict(SourceTally)

    @property
    def users(self) -> dict[str, User]:
        """Those that readers see: of the last delsert that is whole in every partition."""
        shown = [
            job_id
            for job_id, job in self._order.items()
            if job.mode == "delsert"
            and job_id not in self._left_out | self._hidden
            and self.is_whole(job_id)
        ]
        audience = shown[-1] if shown else 0
        return {
            key: user
            for partition in self._partitions
            for key, user in partition.audiences[audience].items()
        }

    @property
    def writes(self) -> dict[str, WriteResult]:
        """What became of the API's writes, by event id: of the last position with that id."""
        found: dict[str, WriteResult] = {}
        for partition in self._partitions:
            for event_id, result in partition.written.items():
                if event_id not in found or found[event_id].position < result.position:
                    found[event_id] = result
        return found

    def is_whole(self, job_id: int) -> bool:
        """Whether every partition has sealed the job."""
        followed = self.jobs.get(job_id)
        return followed is not None and len(followed.sealed_at) == len(self._partitions)

    def follow(self, partition: int, records: Iterable[Record]) -> None:
        """The partition's next records."""
        for record in records:
            self._follow(self._partitions[partition], record)

    def _follow(self, at: _Partition, record: Record) -> None:
        recorded_at = _EPOCH + timedelta(milliseconds=record.timestamp()[1])
        try:
            event = codec.decode(record.value())
        except codec.UndecodableError:
            self._tally(None, "dead", recorded_at)
            return
        position = (at.number << 48) + (record.offset() or 0) + 1
        match event:
            case JobOpened():
                self._open(at, event, recorded_at)
            case JobSealed():
                self._seal(at, event, recorded_at)
            case UserRow() if event.job_id is not None and _is_no_line(event):
                self._tally(event.source, "dead", recorded_at)
            case RowRejected() | UserRow() if event.job_id is not None:
                self._line(at, event, position)
            case UserRow():
                outcome = _ProducerRow(at, event, record.key(), position).apply()
                self._tally(event.source, outcome, recorded_at)
            case AttributeDefined():
                at.attributes.setdefault(event.name, event.type)
            case _:
                raise AssertionError(f"no model of {type(event).__name__}")

    def _open(self, at: _Partition, event: JobOpened, recorded_at: datetime) -> None:
        if at.open_job_id is not None or event.previous_job_id != at.sealed_job_id:
            return
        job = self._order[event.job_id]
        is_left_out = job.job_id in self._left_out
        at.open_job_id, at.next_sequence = job.job_id, 0
        if job.job_id not in self.jobs:
            lines = {line.record_number: line for line in lines_of(job)}
            outcome = Outcome(is_reverted=is_left_out)
            self.jobs[job.job_id] = FollowedJob(job, lines, outcome)
        self.jobs[job.job_id].opened_at[at.number] = recorded_at
        if job.mode == "delsert" and not is_left_out:
            at.replaced = set(at.users)
            emptied = at.users.emptied()
            at.audience = job.job_id
            at.audiences[job.job_id] = emptied

    def _seal(self, at: _Partition, event: JobSealed, recorded_at: datetime) -> None:
        if event.job_id == at.open_job_id and event.rows == at.next_sequence:
            at.open_job_id, at.sealed_job_id = None, event.job_id
            followed = self.jobs[event.job_id]
            followed.sealed_at[at.number] = recorded_at
            if followed.job.mode == "delsert" and event.job_id not in self._left_out:
                followed.outcome.deleted += len(at.replaced - at.users.keys())

    def _line(self, at: _Partition, event: UserRow | RowRejected, position: int) -> None:
        job_id, number = event.job_id, event.record_number
        assert job_id is not None
        assert number is not None
        if job_id != at.open_job_id or event.sequence != at.next_sequence:
            return
        at.next_sequence += 1
        followed = self.jobs[job_id]
        line = followed.lines[number]
        if job_id in self._left_out:
            leave_out_line(followed.job, line, followed.outcome)
        else:
            apply_line(
                followed.job, line, users=at.users, outcome=followed.outcome, position=position
            )

    def _tally(self, source: str | None, outcome: str, recorded_at: datetime) -> None:
        tally = self.sources[source or ""]
        tally.counts[outcome] += 1
        tally.times.append(recorded_at)


@dataclass(frozen=True, slots=True)
class _ProducerRow:
    """Another producer's row, or a write of the API, at its place in the log."""

    at: _Partition
    row: UserRow
    key: bytes | None
    position: int

    def apply(self) -> str:
        """Apply it; return the outcome that its source counts it as."""
        event_id = self.row.event_id if self._is_reported else None
        if event_id is not None and event_id in self.at.written:
            return "repeats"
        try:
            outcome, user_id = self._applied()
        except RefusedError as refusal:
            if event_id is None:
                return "dead"
            result = WriteResult(self.position, "rejected", code=refusal.code)
            self.at.written[event_id] = result
            return "rejected"
        if event_id is not None:
            reported = "inserted" if outcome == "repeats" else outcome
            self.at.written[event_id] = WriteResult(self.position, reported, user_id)
        return outcome

    @property
    def _is_reported(self) -> bool:
        is_plain = re.fullmatch(r"[!-~]{1,200}", self.row.event_id or "")
        return self.row.source == API_SOURCE and is_plain is not None

    def _applied(self) -> tuple[str, int | None]:
        """What becomes of it, and of which user.

        Raises:
            RefusedError: it does not count.
        """
        attributes = self._checked()
        row, users = self.row, self.at.users
        known = users.get(row.key)
        if row.user_id is not None and (known is None or known.position != row.user_id):
            raise RefusedError("NO_SUCH_USER")
        if row.mode == "delete":
            if known:
                users.delete(row.key)
            return ("deleted", known.position) if known else ("unchanged", None)
        if known is None:
            users.add(row.key, self._new_user(attributes))
            return "inserted", self.position
        if row.mode == "insert":
            if row.event_id is None or row.event_id != known.event_id:
                raise RefusedError("KEY_EXISTS")
            return "repeats", known.position
        changed = self._changed(known, attributes)
        if (changed.values, changed.attributes) == (known.values, known.attributes):
            return "unchanged", known.position
        users[row.key] = changed
        return "updated", known.position

    def _checked(self) -> dict[str, Any]:
        """Its attributes as they are stored, None where one is cleared."""
        row = self.row
        if self.key != row.key.encode():
            raise RefusedError("KEY_MISMATCH")
        if row.mode == "delsert" or (row.mode == "insert" and row.user_id is not None):
            raise RefusedError("MODE_NOT_ALLOWED")
        if row.source == API_SOURCE and not self._is_reported:
            raise RefusedError("EVENT_ID_INVALID")
        if not row.event_id:
            raise RefusedError("EVENT_ID_MISSING")
        attributes = {name: self._stored(name, text) for name, text in row.attributes.items()}
        if row.mode != "delete":
            self._check_values()
        return attributes

    def _check_values(self) -> None:
        """As an upload would keep them, and of the user whose key it is."""
        row = self.row
        for name in (*TEXT_FIELDS, "email", "mobile_number"):
            text: str | None = getattr(row, name)
            if text is not None and (not text or text != text.strip()):
                raise RefusedError("TEXT_NOT_TRIMMED")
            if text is not None and values_of({name: text})[name] != text:
                raise RefusedError("MOBILE_INVALID")
        if row.email is not None and row.email.lower() != row.key:
            raise RefusedError("KEY_FIELD_MISMATCH")

    def _stored(self, name: str, text: str | None) -> Any:
        kind = self.at.attributes.get(name)
        if kind is None:
            raise RefusedError("ATTRIBUTE_UNKNOWN")
        if text is None:
            return None
        if not re.fullmatch(_CANONICAL[kind], text, re.DOTALL):
            raise RefusedError("ATTRIBUTE_INVALID")
        return text if kind == "string" else json.loads(text)

    def _new_user(self, attributes: dict[str, Any]) -> User:
        row = self.row
        values: dict[str, Any] = {name: getattr(row, name) for name in FIELDS}
        if not is_complete(values):
            raise RefusedError("REQUIRED")
        for name in SUBSCRIPTIONS:
            values[name] = True if values[name] is None else values[name]
        return User(
            values=values,
            created_at=row.occurred_at,
            modified_at=row.occurred_at,
            job_id=None,
            record_number=None,
            position=self.position,
            event_id=row.event_id,
            attributes=_without_nulls(attributes),
        )

    def _changed(self, known: User, attributes: dict[str, Any]) -> User:
        values = dict(known.values)
        for at, name in enumerate(FIELDS):
            value = getattr(self.row, name)
            if self.row.present & 1 << at and not (value is None and name in _NEVER_CLEARED):
                values[name] = value
        return replace(
            known,
            values=values,
            attributes=_without_nulls(known.attributes | attributes),
            modified_at=self.row.occurred_at,
            job_id=None,
            record_number=None,
            modified_position=self.position,
        )


def _is_no_line(row: UserRow) -> bool:
    """Whether it names a job, and has what no line has, or lacks what every line has."""
    has = row.event_id is not None or row.source is not None or row.user_id is not None
    return has or row.record_number is None or row.line is None or row.sequence is None


def _without_nulls(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}
