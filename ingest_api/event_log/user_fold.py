"""One user as its events make it, folded as the projection applies them.  Pure.

Of the events with a user's key, what the projection let change nothing is left out:

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
from schemas.log.storable import misfit
from schemas.read_model.tables import API_SOURCE, REPEAT_OFFSETS
from schemas.rules.attributes import attribute_field, is_canonical
from schemas.rules.fields import FIELDS
from schemas.rules.producer_rows import event_misfit, key_field_misfit, key_field_of, value_misfit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from schemas.events import AttributeType, Event
    from schemas.rules.fields import Field

_NO_PLACE: Final = -1
PlaceOf = Callable[[int], int | None]
"""A job's place in the order of jobs, None where it is no job."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that made or changed the user; ``changes`` by field: what it was and became."""

    offset: int
    row: UserRow
    changes: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides which events count.

    ``types`` are those of attributes, by ``attributes.<name>``; ``key_field`` is the
    reconciliation key's; ``reverted`` are jobs whose rows count for nothing.
    """

    types: Mapping[str, AttributeType]
    key_field: Field | None
    reverted: AbstractSet[int] = frozenset()

    @classmethod
    def of(
        cls, reconciliation_key: str, types: Mapping[str, AttributeType], reverted: Iterable[int]
    ) -> Rules:
        """The rules of a log with this key; ``types`` are those of attributes, by their names."""
        by_field: dict[str, AttributeType] = {
            attribute_field(name, "string").name: kind for name, kind in types.items()
        }
        return cls(by_field, key_field_of(reconciliation_key, types), frozenset(reverted))

    def is_dead(self, row: UserRow) -> bool:
        """Whether the row is a dead letter whatever user there is.

        Of a row without a job: unfit by itself, or with what no attribute is.
        """
        if row.job_id is not None:
            return is_misattributed(row) or misfit(row) is not None
        return (
            event_misfit(row) is not None
            or value_misfit(row) is not None
            or (self.key_field is not None and key_field_misfit(row, self.key_field) is not None)
            or not self._are_attributes(row)
        )

    def _are_attributes(self, row: UserRow) -> bool:
        return all(
            name in self.types and (text is None or is_canonical(self.types[name], text))
            for name, text in _attribute_values(row).items()
        )


class JobOrder:
    """Tells a job's row that comes again, by its place in its file and the job's among jobs."""

    def __init__(self, place_of: PlaceOf) -> None:
        self._place_of = place_of
        self._place = _NO_PLACE
        self._record_number = 0

    def begin(self, job_id: int) -> bool:
        """Move on to this job; whether it is the one at work here, or a later one."""
        place = self._place_of(job_id)
        if place is not None and place > self._place:
            self._place, self._record_number = place, 0
        return place == self._place

    def is_next(self, job_id: int, record_number: int) -> bool:
        """Whether no pass has brought this row before; it counts as brought from now on."""
        if not self.begin(job_id) or record_number <= self._record_number:
            return False
        self._record_number = record_number
        return True


class UserFold:
    """A user as its events make it, one after another; pure.

    ``values`` has every field that is set, by its name in the table; those of
    attributes are texts, by ``attributes.<name>``.
    """

    def __init__(self, user_id: int, key: str, place_of: PlaceOf, rules: Rules) -> None:
        self.values: dict[str, Any] = {}
        self._user_id = user_id
        self._key = key
        self._rules = rules
        self._jobs = JobOrder(place_of)
        self._writes: dict[str, int] = {}

    def apply(self, offset: int, event: Event) -> Entry | None:
        """What the event changed, or None; offsets rise, and the first event made the user."""
        if isinstance(event, JobOpened | JobSealed):
            self._jobs.begin(event.job_id)
        if not isinstance(event, UserRow) or event.key != self._key:
            return None
        if event.job_id is not None and self._rules.is_dead(event):
            return None  # of no pass, so it takes no row's place
        if self._is_repeat(offset, event) or self._is_left_out(event):
            return None
        after = self._after(event)
        if after is None or after == self.values:
            return None
        before, self.values = self.values, after
        names = [name for name in (*after, *before) if before.get(name) != after.get(name)]
        changes = {name: (before.get(name), after.get(name)) for name in dict.fromkeys(names)}
        return Entry(offset, event, changes)

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
        return row.job_id in self._rules.reverted or self._rules.is_dead(row)

    def _after(self, row: UserRow) -> dict[str, Any] | None:
        """The values as the row leaves them, or None where it may change nothing."""
        if not self.values:
            return new_values(row)
        is_meant = row.user_id is None or row.user_id == self._user_id
        return changed_values(self.values, row) if is_meant and row.mode == "upsert" else None


def new_values(row: UserRow) -> dict[str, Any]:
    """The values of the user that the row makes, by names as in :class:`UserFold`."""
    values = {a_field.name: getattr(row, a_field.name) for a_field in FIELDS}
    for a_field in FIELDS:
        if a_field.kind == "boolean" and values[a_field.name] is None:
            values[a_field.name] = True
    values |= _attribute_values(row)
    return {name: value for name, value in values.items() if value is not None}


def changed_values(before: Mapping[str, Any], row: UserRow) -> dict[str, Any]:
    """The values of a user as the upsert leaves them."""
    values = dict(before) | _attribute_values(row)
    for a_field in FIELDS:
        value = getattr(row, a_field.name)
        if row.present & a_field.bit and (value is not None or not a_field.is_never_cleared):
            values[a_field.name] = value
    return {name: value for name, value in values.items() if value is not None}


def _attribute_values(row: UserRow) -> dict[str, str | None]:
    return {attribute_field(name, "string").name: text for name, text in row.attributes.items()}
