"""What made a user as it is: read from the log itself, folded as the projection applies it.

A user's id is the log position of the event that made it, and its row knows the
position of the one that last changed it, so all that concerns it stands between
the two, in one partition, under its key.
Of that, what the projection let change nothing is left out:

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

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ingest_api.errors import UnavailableError, UnknownUserError
from ingest_api.kafka.range_reader import Stretch, TooLongError
from ingest_api.openapi.response_types import ChangeShown, EntryShown, HistoryShown
from ingest_api.openapi.user_answers import shown_value
from ingest_api.web.dates import date_text
from schemas.codec.codec import UndecodableError
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.events import JobOpened, JobSealed, UserRow
from schemas.log.passes import is_foreign_to_its_job
from schemas.read_model.tables import API_SOURCE, REPEAT_OFFSETS
from schemas.rules.attributes import attribute_field, is_canonical
from schemas.rules.fields import FIELDS
from schemas.rules.producer_rows import event_misfit, key_field_misfit, key_field_of, value_misfit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.kafka.range_reader import LogStretches
    from ingest_api.openapi.response_types import AttributeValue
    from ingest_api.postgres.pool import Store
    from schemas.events import AttributeType, Event
    from schemas.rules.fields import Field

_OFFSET_BITS: Final = 48
_THREADS: Final = 2
_MOST_WAITING: Final = 16
_TIMEOUT_S: Final = 20.0
_NO_PLACE: Final = -1


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


class UserFold:
    """A user as its events make it, one after another; pure.

    ``values`` has every field that is set, by its name in the table; those of
    attributes are texts, by ``attributes.<name>``.
    ``place_of`` is a job's place in the order of jobs, None where it is no job.
    """

    def __init__(
        self,
        user_id: int,
        key: str,
        place_of: Callable[[int], int | None],
        rules: Rules,
    ) -> None:
        self.values: dict[str, Any] = {}
        self._user_id = user_id
        self._key = key
        self._place_of = place_of
        self._rules = rules
        self._place = _NO_PLACE
        self._record_number = 0
        self._writes: dict[str, int] = {}

    def apply(self, offset: int, event: Event) -> Entry | None:
        """What the event changed, or None; offsets rise, and the first event made the user."""
        if isinstance(event, JobOpened | JobSealed):
            self._move_to(event.job_id)
        if not isinstance(event, UserRow) or event.key != self._key:
            return None
        if is_foreign_to_its_job(event):
            return None
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
            return not self._is_next(row.job_id, row.record_number or 0)
        if row.source != API_SOURCE or row.event_id is None:
            return False
        since = offset - REPEAT_OFFSETS
        self._writes = {name: at for name, at in self._writes.items() if at >= since}
        is_repeat = row.event_id in self._writes
        self._writes.setdefault(row.event_id, offset)
        return is_repeat

    def _is_left_out(self, row: UserRow) -> bool:
        return row.job_id in self._rules.reverted or self._is_refused(row)

    def _is_refused(self, row: UserRow) -> bool:
        """Whether another producer's row is unfit by itself, or holds what no attribute is."""
        return row.job_id is None and (
            event_misfit(row) is not None
            or value_misfit(row) is not None
            or self._has_another_key(row)
            or not self._are_attributes(row)
        )

    def _has_another_key(self, row: UserRow) -> bool:
        field = self._rules.key_field
        return field is not None and key_field_misfit(row, field) is not None

    def _are_attributes(self, row: UserRow) -> bool:
        return all(
            name in self._rules.types
            and (text is None or is_canonical(self._rules.types[name], text))
            for name, text in _attribute_values(row).items()
        )

    def _is_next(self, job_id: int, record_number: int) -> bool:
        place = self._place_of(job_id)
        self._move_to(job_id)
        if place != self._place or record_number <= self._record_number:
            return False
        self._record_number = record_number
        return True

    def _move_to(self, job_id: int) -> None:
        place = self._place_of(job_id)
        if place is not None and place > self._place:
            self._place, self._record_number = place, 0

    def _after(self, row: UserRow) -> dict[str, Any] | None:
        """The values as the row leaves them, or None where it may change nothing."""
        if not self.values:
            return _new_values(row)
        is_meant = row.user_id is None or row.user_id == self._user_id
        return _changed_values(self.values, row) if is_meant and row.mode == "upsert" else None


def _new_values(row: UserRow) -> dict[str, Any]:
    values = {a_field.name: getattr(row, a_field.name) for a_field in FIELDS}
    for a_field in FIELDS:
        if a_field.kind == "boolean" and values[a_field.name] is None:
            values[a_field.name] = True
    values |= _attribute_values(row)
    return {name: value for name, value in values.items() if value is not None}


def _changed_values(before: Mapping[str, Any], row: UserRow) -> dict[str, Any]:
    values = dict(before) | _attribute_values(row)
    for a_field in FIELDS:
        value = getattr(row, a_field.name)
        if row.present & a_field.bit and not (value is None and a_field.is_never_cleared):
            values[a_field.name] = value
    return {name: value for name, value in values.items() if value is not None}


def _attribute_values(row: UserRow) -> dict[str, str | None]:
    return {attribute_field(name, "string").name: text for name, text in row.attributes.items()}


class UserHistory:
    """Histories of users, for one API process; few are read at a time."""

    def __init__(
        self, store: Store, job_log: JobLog, stretches: LogStretches, reconciliation_key: str
    ) -> None:
        self._reconciliation_key = reconciliation_key
        self._store = store
        self._job_log = job_log
        self._stretches = stretches
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="history")
        self._waiting = 0

    def close(self) -> None:
        """Take no more, and end what is under way."""
        self._stretches.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # One statement, so that the user is of the instance whose reverted jobs are told.
    _SELECT: Final = """
    SELECT key, modified_position,
           (SELECT reverted_job_ids FROM public.projection_instance
            WHERE state = 'active') AS reverted
    FROM public.users WHERE id = %s
    """
    _SELECT_TYPES: Final = """
    SELECT name, type FROM public.attributes
    """

    async def of(self, user_id: int, *, start: int, page_size: int) -> HistoryShown:
        """A page of the user's history, the oldest first, and how many entries there are.

        Raises:
            InvalidRequestError: there is no such user.
            UnavailableError: too many ask or it takes too long.
            StoreUnavailableError, LogUnavailableError: Postgres or Kafka doesn't answer.
        """
        rows = await self._store.select_projected(self._SELECT, (user_id,))
        if not rows:
            raise UnknownUserError
        defined = await self._store.select_projected(self._SELECT_TYPES)
        types = {row["name"]: row["type"] for row in defined}
        rules = Rules(
            {attribute_field(name, "string").name: kind for name, kind in types.items()},
            key_field_of(self._reconciliation_key, types),
            frozenset[int](rows[0]["reverted"] or ()),
        )
        await self._job_log.catch_up()  # every job that has changed the user is known then
        stretch = _stretch(user_id, rows[0]["modified_position"])
        end = start + page_size
        total, page = await self._in_thread(
            _Question(user_id, rows[0]["key"], rules, stretch, begin=start, end=end)
        )
        job = self._job_log.ledger.job
        return HistoryShown(
            id=str(user_id),
            total=total,
            history=[_shown(entry, user_id, job, rules.types) for entry in page],
        )

    async def _in_thread(self, question: _Question) -> tuple[int, list[Entry]]:
        if self._waiting >= _MOST_WAITING:
            raise UnavailableError("Too many histories are being read, try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._read, question
            )
        except TooLongError:
            raise _too_long(question) from None
        finally:
            self._waiting -= 1

    def _read(self, question: _Question) -> tuple[int, list[Entry]]:
        ledger = self._job_log.ledger
        # The brackets of jobs are keyed by the job's id.
        keys = {str(job.accepted.job_id).encode() for job in ledger.jobs}
        keys.add(question.key.encode())
        fold = UserFold(
            question.user_id,
            question.key,
            lambda job_id: _place(ledger.job(job_id)),
            question.rules,
        )
        total, page = 0, list[Entry]()
        for offset, value in self._stretches.read(question.stretch, keys, timeout_s=_TIMEOUT_S):
            entry = fold.apply(offset, event) if (event := self._decoded(value)) else None
            if entry is not None:
                if question.begin <= total < question.end:
                    page.append(entry)
                total += 1
        return total, page

    def _decoded(self, value: bytes | None) -> Event | None:
        schemas = self._job_log.schemas
        try:
            return schemas.decode(value)
        except UndecodableError:
            return None  # a dead letter of the projection
        except RegistryUnreachableError as error:
            if not schemas.has_registry:
                return None  # as above
            raise UnavailableError(
                f"The schema registry can't be reached, try again: {error}"
            ) from None


@dataclass(frozen=True, slots=True)
class _Question:
    """Which entries are asked for: from ``begin`` up to ``end``, counted from 0."""

    user_id: int
    key: str
    rules: Rules
    stretch: Stretch
    begin: int
    end: int


def _stretch(user_id: int, modified_position: int | None) -> Stretch:
    partition, first_offset = _log_position(user_id)
    _, last_offset = _log_position(modified_position or user_id)
    return Stretch(partition, first_offset, last_offset)


def _log_position(number: int) -> tuple[int, int]:
    """The partition and the offset that an id or a position stands for."""
    position = number - 1
    return position >> _OFFSET_BITS, position & ((1 << _OFFSET_BITS) - 1)


def _place(job: LedgerJob | None) -> int | None:
    return None if job is None else job.offset


def _too_long(question: _Question) -> UnavailableError:
    stretch = question.stretch
    return UnavailableError(
        f"The user's history was not read within {_TIMEOUT_S:g} s: try again when Kafka is less"
        f" busy, or read user-events yourself, partition {stretch.partition}, offsets"
        f" {stretch.first_offset} to {stretch.last_offset}, the records with the user's key"
    )


def _shown(
    entry: Entry,
    user_id: int,
    job_of: Callable[[int], LedgerJob | None],
    types: Mapping[str, AttributeType],
) -> EntryShown:
    row = entry.row
    partition, created_offset = _log_position(user_id)
    job = None if row.job_id is None else job_of(row.job_id)
    return EntryShown(
        event="created" if entry.offset == created_offset else "updated",
        date=date_text(row.occurred_at),
        job_id=None if row.job_id is None else str(row.job_id),
        file_name=job and job.accepted.file_name,
        imported_by=job and job.accepted.accepted_by,
        line=row.line,
        record_number=row.record_number,
        partition=partition,
        offset=entry.offset,
        source=row.source,
        changes={
            _JSON_NAMES.get(name, name): ChangeShown(
                before=_json_value(before, types.get(name)),
                after=_json_value(after, types.get(name)),
            )
            for name, (before, after) in entry.changes.items()
        },
    )


_JSON_NAMES: Final = {a_field.name: a_field.json_name for a_field in FIELDS}


def _json_value(value: Any, attribute_type: AttributeType | None) -> AttributeValue:
    """A field's value as users are shown with it; attributes are texts in events."""
    match attribute_type, value:
        case "number", str():
            return float(value) if "." in value else int(value)
        case "boolean", str():
            return value == "true"
        case _:
            return shown_value(value)
