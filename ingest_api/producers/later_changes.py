"""What changed a letter's key behind it in the log, and what its retry would set now.  Pure.

What stands behind a letter in the partition of its key is newer than it, but for
letters that were retried: those are as old as where they first stood.
So of letters of one key that are retried in the order of the log, none is in
another's way, and one that comes too late is.

An upsert that found everything as it would set it is newer, too: the source has
said so after what the letter says.
Where nobody has the key, a delete or a delsert behind the letter is why.
Nothing here knows what the projection refused because of a user who is gone since, so a
record may be taken for a change that was none: then a retry is refused that could be made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ingest_api.event_log.user_fold import (
    JSON_NAMES,
    JobOrder,
    changed_values,
    json_value,
    new_values,
)
from schemas.codec.codec import frame_bytes
from schemas.events import AttributeDefined, JobOpened, JobSealed, UserRow
from schemas.log.passes import is_foreign_to_its_job
from schemas.read_model.tables import offset_of
from schemas.rules.fields import FIELDS, USA_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest_api.event_log.user_fold import PlaceOf, Rules
    from schemas.events import AttributeType, Event

Changes = dict[str, dict[str, Any]]
"""By field: its value ``now``, and what it ``wouldBe``."""
_SCHEMA_REASONS: Final = frozenset({"UNKNOWN_SCHEMA", "INCOMPATIBLE_SCHEMA"})


@dataclass(frozen=True, slots=True)
class Holder:
    """The user who has the key: its id, and its values by field, attributes as JSON has them."""

    user_id: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Retriable:
    """A letter's record: its key, its value, why it is dead, and where it stood.

    All up to ``offset`` in the partition of the key is older than the letter.
    """

    key: str
    value: bytes | None
    reason: str | None
    offset: int

    def is_like(self, value: bytes | None) -> bool:
        """Whether a record can be no change: it is this one again, or dead for the same schema."""
        if value == self.value or value is None or self.value is None:
            return value == self.value
        return self.reason in _SCHEMA_REASONS and frame_bytes(value) == frame_bytes(self.value)


@dataclass(frozen=True, slots=True)
class Change:
    """A record that changed the key, or, as a delsert does, all keys; and when it was recorded."""

    offset: int
    recorded_ms: int
    event: UserRow | JobOpened


@dataclass(slots=True)
class LaterChanges:
    """The records of a partition, one after another, asked for the last change of one key.

    They begin with the job that was open where the letter stood, or before.
    """

    letter: Retriable
    user_id: int | None
    place_of: PlaceOf
    rules: Rules
    _order: JobOrder = field(init=False)
    _last: dict[frozenset[str], Change] = field(default_factory=dict[frozenset[str], Change])
    _defined_at: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        """Begin before every job."""
        self._order = JobOrder(self.place_of)

    @property
    def last(self) -> Change | None:
        """The last change, None while there is none."""
        # A row with an attribute that was not defined yet is a dead letter.
        counted = [
            change
            for names, change in self._last.items()
            if all(self._defined_at.get(name, -1) < change.offset for name in names)
        ]
        return max(counted, key=lambda change: change.offset, default=None)

    def begin_behind(self, job_id: int) -> None:
        """Begin where this job is over, and all before it."""
        self._order.end(job_id)

    def apply(self, offset: int, recorded_ms: int, event: Event) -> None:
        """Read the next record; what stands no further than the letter only tells repeats."""
        match event:
            case AttributeDefined():
                self._defined_at.setdefault(event.name, offset)
            case JobSealed():
                self._order.begin(event.job_id)
            case JobOpened():
                if self._opens_delsert(event) and offset > self.letter.offset:
                    self._last[frozenset()] = Change(offset, recorded_ms, event)
            case UserRow() if event.key == self.letter.key:
                if self._counts(offset, event) and offset > self.letter.offset:
                    names = frozenset(event.attributes if event.job_id is None else ())
                    self._last[names] = Change(offset, recorded_ms, event)
            case _:
                return

    def _opens_delsert(self, job: JobOpened) -> bool:
        is_at_work = self._order.begin(job.job_id)
        return is_at_work and job.mode == "delsert" and job.job_id not in self.rules.reverted

    def _counts(self, offset: int, row: UserRow) -> bool:
        if row.job_id is None:
            return not self.rules.is_dead(row) and self._may_change(offset, row)
        return (
            not is_foreign_to_its_job(row)
            and self._order.is_next(row.job_id, row.record_number or 0)
            and row.job_id not in self.rules.reverted
            and self._may_change(offset, row)
        )

    def _may_change(self, offset: int, row: UserRow) -> bool:
        """Whether the row was not refused because of who has, or has not, the key."""
        user_id = self.user_id
        if user_id is None or offset <= offset_of(user_id):
            # Whoever had the key then is gone, by a delete or a delsert behind this.
            return row.mode == "delete" or (row.user_id is None and is_complete(row))
        is_meant = row.user_id in (None, user_id)
        return is_meant and row.mode != "insert"


def is_complete(row: UserRow) -> bool:
    """Whether the row may make a user: it has all that is required, and a state where it is USA."""
    has_required = all(getattr(row, each.name) is not None for each in FIELDS if each.is_required)
    is_in_usa = (row.country or "").strip().lower() in USA_NAMES
    return has_required and (row.state is not None or not is_in_usa)


def would_set(row: UserRow, holder: Holder | None, types: Mapping[str, AttributeType]) -> Changes:
    """What the row would change now.

    Empty where it would change nothing, or be refused.
    """
    before = {} if holder is None else dict(holder.values)
    after = _after(row, holder, before)
    found: Changes = {}
    for name in dict.fromkeys((*before, *after)):
        now, then = (json_value(values.get(name), types.get(name)) for values in (before, after))
        if now != then:
            found[JSON_NAMES.get(name, name)] = {"now": now, "wouldBe": then}
    return found


def _after(row: UserRow, holder: Holder | None, before: dict[str, Any]) -> dict[str, Any]:
    if row.user_id is not None and (holder is None or holder.user_id != row.user_id):
        return before
    if row.mode == "delete":
        return {}
    if holder is None:
        return new_values(row) if is_complete(row) else before
    return changed_values(before, row) if row.mode == "upsert" else before
