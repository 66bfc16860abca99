"""Folds the events of one user to its values, as the projection applies them (pure).

Of the events with a user's key, those are left out that change nothing in the projection:

- repeats: a row of a job that an earlier pass has brought, or of a job that was
  over here, and a write of the API whose event id was there before;
- rows of jobs that are undone, in the tables that readers see;
- rejections: an insert of a key that exists, a row that means another user;
- dead letters: a row that names a job whose it cannot be, one that is unfit by itself;
- an upsert that finds everything as it would set it.

A job's rows come in the order of its file, and jobs in the order of `job-events`,
so one place in that order tells repeats without remembering every row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from schemas.events import JobOpened, JobSealed, UserRow
from schemas.log.passes import is_misattributed
from schemas.log.storable import violation
from schemas.read_model.tables import API_SOURCE, REPEAT_OFFSETS
from schemas.rules.attributes import attribute_field, is_canonical
from schemas.rules.fields import FIELDS, SUBSCRIPTIONS
from schemas.rules.overwrite import ATTRIBUTES_BIT
from schemas.rules.producer_rows import (
    event_violation,
    key_field_of,
    key_field_violation,
    value_violation,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from schemas.events import AttributeType, Event
    from schemas.rules.fields import Field

_NO_PLACE: Final = -1
_NO_RECORD_FOLLOWS: Final = 1 << 63
JobOffset = Callable[[int], int | None]
"""Returns a job's place in the order of jobs, None where it is no job."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that made or changed the user; ``changes`` by field: the values before and after.

    ``kept``: the fields that it would have set to true, and that the user had opted out of.
    """

    offset: int
    row: UserRow
    changes: dict[str, tuple[Any, Any]]
    kept: tuple[str, ...] = ()


def _overwrites(_job_id: int) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules by which events count.

    ``fills_of`` returns the fields that a job's rows only fill.
    ``types`` are those of attributes, by ``attributes.<name>``; ``key_field`` is the
    reconciliation key's; ``reverted`` are jobs whose rows count for nothing.
    ``keeps_opt_outs`` says of a job whether its rows never opt in who has opted out, and
    ``kept_of_new`` of such a row that makes a user, what (bits) had been opted out of before.
    """

    types: Mapping[str, AttributeType]
    key_field: Field | None
    reverted: AbstractSet[int] = frozenset()
    fills_of: Callable[[int], int] = _overwrites
    keeps_opt_outs: Callable[[int], bool] = lambda _job_id: False
    kept_of_new: Callable[[UserRow], int] = lambda _row: 0

    @classmethod
    def of(
        cls, reconciliation_key: str, types: Mapping[str, AttributeType], reverted: Iterable[int]
    ) -> Rules:
        """Return the rules of a log with this key; ``types`` are those of attributes, by name."""
        by_field: dict[str, AttributeType] = {
            attribute_field(name, "string").name: kind for name, kind in types.items()
        }
        key_field = key_field_of(reconciliation_key, types)
        return cls(by_field, key_field, frozenset(reverted))

    def is_dead_letter(self, row: UserRow) -> bool:
        """Return whether the row is a dead letter whatever the user is.

        A row without a job is one if it is invalid by itself, or sets an unknown attribute.
        """
        if row.job_id is not None:
            return is_misattributed(row) or violation(row) is not None
        return (
            event_violation(row) is not None
            or value_violation(row) is not None
            or (self.key_field is not None and key_field_violation(row, self.key_field) is not None)
            or not self._are_attributes(row)
        )

    def _are_attributes(self, row: UserRow) -> bool:
        return all(
            name in self.types and (text is None or is_canonical(self.types[name], text))
            for name, text in _attribute_values(row).items()
        )


class JobOrder:
    """Recognises repeated rows of jobs by their place in the file and the job's place in order."""

    def __init__(self, job_offset: JobOffset) -> None:
        self._job_offset = job_offset
        self._place = _NO_PLACE
        self._record_number = 0

    def begin(self, job_id: int) -> bool:
        """Advance to this job if it is a later one; return whether it is the current one now."""
        place = self._job_offset(job_id)
        if place is not None and place > self._place:
            self._place, self._record_number = place, 0
        return place == self._place

    def end(self, job_id: int) -> None:
        """Move on to behind this job: whatever comes of it comes again."""
        if self.begin(job_id):
            self._record_number = _NO_RECORD_FOLLOWS

    def is_next(self, job_id: int, record_number: int) -> bool:
        """Return whether the row is no repeat; it counts as seen from now on."""
        if not self.begin(job_id) or record_number <= self._record_number:
            return False
        self._record_number = record_number
        return True


class UserFold:
    """The values of a user, as its events make them one after another (pure).

    ``values`` has every field that is set, by its name in the table; those of
    attributes are texts, by ``attributes.<name>``.
    """

    def __init__(self, user_id: int, key: str, job_offset: JobOffset, rules: Rules) -> None:
        self.values: dict[str, Any] = {}
        self._user_id = user_id
        self._key = key
        self._rules = rules
        self._jobs = JobOrder(job_offset)
        self._writes: dict[str, int] = {}

    def apply(self, offset: int, event: Event) -> Entry | None:
        """Apply the event; return what it changed, or None. Offsets rise."""
        if isinstance(event, JobOpened | JobSealed):
            self._jobs.begin(event.job_id)
        if not isinstance(event, UserRow) or event.key != self._key:
            return None
        if event.job_id is not None and self._rules.is_dead_letter(event):
            return None  # of no pass, so it takes no row's place
        if self._is_repeat(offset, event) or self._is_left_out(event):
            return None
        after = self._after(event)
        if after is None:
            return None
        kept = self._kept(event)
        after |= dict.fromkeys(kept, False)
        if after == self.values:
            return None
        before, self.values = self.values, after
        names = [name for name in (*after, *before) if before.get(name) != after.get(name)]
        changes = {name: (before.get(name), after.get(name)) for name in dict.fromkeys(names)}
        return Entry(offset, event, changes, kept)

    def _is_repeat(self, offset: int, row: UserRow) -> bool:
        if row.job_id is not None:
            return not self._jobs.is_next(row.job_id, row.record_number or 0)
        if row.source != API_SOURCE or row.event_id is None:
            return False
        since = offset - REPEAT_OFFSETS
        self._writes = {name: at for name, at in self._writes.items() if at >= since}
        is_repeat = row.event_id in self._writes
        self._writes.setdefault(row.event_id, offset)
        return is_repeat

    def _is_left_out(self, row: UserRow) -> bool:
        return row.job_id in self._rules.reverted or self._rules.is_dead_letter(row)

    def _kept(self, row: UserRow) -> tuple[str, ...]:
        """Return the subscriptions that the row would set to true, and that are opted out of."""
        if row.job_id is None or not self._rules.keeps_opt_outs(row.job_id):
            return ()
        fills = self._rules.fills_of(row.job_id)
        if not self.values:
            flags = self._rules.kept_of_new(row)
            return tuple(field.name for field in SUBSCRIPTIONS if flags & field.bit)
        return tuple(
            field.name
            for field in SUBSCRIPTIONS
            if getattr(row, field.name)
            and self.values[field.name] is False
            and not fills & field.bit
        )

    def _after(self, row: UserRow) -> dict[str, Any] | None:
        """Return the values as the row leaves them, or None where it may change nothing."""
        if not self.values:
            return new_values(row)
        is_meant = row.user_id is None or row.user_id == self._user_id
        if not is_meant or row.mode != "upsert":
            return None
        fills = 0 if row.job_id is None else self._rules.fills_of(row.job_id)
        return changed_values(self.values, row, fills)


def new_values(row: UserRow) -> dict[str, Any]:
    """Return the values of the user that the row inserts, by names as in :class:`UserFold`."""
    values = {a_field.name: getattr(row, a_field.name) for a_field in FIELDS}
    for a_field in FIELDS:
        if a_field.kind == "boolean" and values[a_field.name] is None:
            values[a_field.name] = True
    values |= _attribute_values(row)
    return {name: value for name, value in values.items() if value is not None}


def changed_values(before: Mapping[str, Any], row: UserRow, fills: int = 0) -> dict[str, Any]:
    """Return the values of a user as the upsert leaves them."""
    attributes = _attribute_values(row)
    values = {**attributes, **before} if fills & ATTRIBUTES_BIT else {**before, **attributes}
    for a_field in FIELDS:
        value = getattr(row, a_field.name)
        is_kept = fills & a_field.bit and before.get(a_field.name) is not None
        is_set = value is not None or not a_field.is_never_cleared
        if row.present & a_field.bit and is_set and not is_kept:
            values[a_field.name] = value
    return {name: value for name, value in values.items() if value is not None}


def _attribute_values(row: UserRow) -> dict[str, str | None]:
    return {attribute_field(name, "string").name: text for name, text in row.attributes.items()}
