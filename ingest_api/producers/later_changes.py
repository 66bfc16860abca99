"""Finds the last change of a dead letter's key after it, and what its retry would set.  Pure.

What stands behind a dead letter in the partition of its key is newer than it, but for
dead letters that were retried: those are as old as where they first stood.
So of dead letters of one key that are retried in the order of the log, none is in
another's way, and one that comes too late is.

An upsert that found everything as it would set it is newer, too: the source has
said so after what the dead letter says.
Where nobody has the key, a delete or a delsert behind the dead letter is why.
Nothing here knows what the projection refused because of a user who is gone since, so a
record may be taken for a change that was none: then a retry is refused that could be made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ingest_api.event_log.user_fold import JobOrder, changed_values, new_values
from ingest_api.openapi.user_answers import FIELD_NAMES, shown_value
from schemas.events import JobOpened, JobSealed, UserRow
from schemas.log.positions import place_of
from schemas.rules.fields import FIELDS, USA_NAMES
from schemas.rules.modes import MODES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest_api.event_log.user_fold import JobOffset, Rules
    from schemas.events import AttributeType, Event

Changes = dict[str, dict[str, Any]]
"""By field: its value ``now``, and what it ``wouldBe``."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The user who has the key: its id, and its values by field, attributes as JSON has them."""

    user_id: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Retriable:
    """A letter's record: its key, its value, since when it is dead, and where it stood.

    All up to ``offset`` in the partition of the key is older than the dead letter.
    """

    key: str
    value: bytes | None
    dead_since_ms: int
    offset: int


@dataclass(frozen=True, slots=True)
class Change:
    """A record that changed the key, or, as a delsert does, all keys; and when it was recorded."""

    offset: int
    recorded_ms: int
    event: UserRow | JobOpened


@dataclass(slots=True)
class LaterChanges:
    """The records of a partition, one after another, asked for the last change of one key.

    They begin with the job that was open where the dead letter stood, or before; what became a dead
    letter, and what is a dead letter that was retried and is no newer, is left out by the caller.
    """

    dead_letter: Retriable
    user_id: int | None
    job_offset: JobOffset
    rules: Rules
    last: Change | None = None
    _order: JobOrder = field(init=False)
    _deleting: set[int] = field(init=False, default_factory=set[int])
    """Jobs that delete the users whose keys their rows name."""

    def __post_init__(self) -> None:
        """Begin before every job."""
        self._order = JobOrder(self.job_offset)

    def begin_behind(self, job_id: int) -> None:
        """Begin where this job is over, and all before it."""
        self._order.end(job_id)

    def apply(self, offset: int, recorded_ms: int, event: Event) -> None:
        """Read the next record; one up to the dead letter serves to find repeats only."""
        if isinstance(event, JobSealed):
            self._order.begin(event.job_id)
        elif (
            isinstance(event, JobOpened | UserRow)
            and self._counts(offset, event)
            and offset > self.dead_letter.offset
        ):
            self.last = Change(offset, recorded_ms, event)

    def _counts(self, offset: int, event: JobOpened | UserRow) -> bool:
        if event.job_id is None:
            return self._is_mine(event) and self._may_change(offset, event)
        if isinstance(event, JobOpened):
            if MODES[event.mode].existing == "deleted":
                self._deleting.add(event.job_id)
            is_next = self._order.begin(event.job_id) and event.mode == "delsert"
        else:
            is_next = self._is_mine(event) and self._order.is_next(
                event.job_id, event.record_number or 0
            )
            is_next = is_next and self._may_change(offset, event)
        return is_next and event.job_id not in self.rules.reverted

    def _is_mine(self, row: UserRow) -> bool:
        return row.key == self.dead_letter.key and not self.rules.is_dead_letter(row)

    def _may_change(self, offset: int, row: UserRow) -> bool:
        """Return whether the row was not refused because of who has, or has not, the key."""
        user_id = self.user_id
        if user_id is None or offset <= place_of(user_id)[1]:
            # Whoever had the key then is gone, by a delete or a delsert behind this.
            deletes = row.mode == "delete" or row.job_id in self._deleting
            return deletes or (row.user_id is None and is_complete(row))
        is_meant = row.user_id in (None, user_id)
        return is_meant and row.mode != "insert"


def is_complete(row: UserRow) -> bool:
    """Return whether the row may make a user: it has all that one requires."""
    has_required = all(getattr(row, each.name) is not None for each in FIELDS if each.is_required)
    is_in_usa = (row.country or "").strip().lower() in USA_NAMES
    return has_required and (row.state is not None or not is_in_usa)


def would_set(row: UserRow, holder: Holder | None, types: Mapping[str, AttributeType]) -> Changes:
    """Return what the row would change now.

    Empty where it would change nothing, or be refused.
    """
    before = {} if holder is None else dict(holder.values)
    after = _after(row, holder, before)
    found: Changes = {}
    for name in dict.fromkeys((*before, *after)):
        now, then = (shown_value(values.get(name), types.get(name)) for values in (before, after))
        if now != then:
            found[FIELD_NAMES.get(name, name)] = {"now": now, "wouldBe": then}
    return found


def _after(row: UserRow, holder: Holder | None, before: dict[str, Any]) -> dict[str, Any]:
    if row.user_id is not None and (holder is None or holder.user_id != row.user_id):
        return before
    if row.mode == "delete":
        return {}
    if holder is None:
        return new_values(row) if is_complete(row) else before
    return changed_values(before, row) if row.mode == "upsert" else before
