"""Folds one partition of the log to its users, its jobs' outcomes and its state.

The rules are those of :mod:`processor.projection.job_rows` and
:mod:`processor.projection.producer_rows`,
decided here for whole columns of numbers, without Postgres.
Memory grows with the partition's users and jobs, not with its records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute

from processor.decoding.accept_rule import Erased, Indexed, Opened, PartitionState, Rows, Sealed
from processor.decoding.decode_and_accept import decode_and_accept
from processor.projection.line_outcomes import LETTERS
from processor.projection.write_outcomes import repeats
from processor.verification.attribute_text import canonical, merged, tokens_of
from processor.verification.folded_job import JobInPartition
from processor.verification.staged import DELETE, IGNORE, INSERT, UPDATE, UPSERT, stage
from processor.verification.user_columns import NONE, TRUE, OptOuts, UserColumns, keep, opted_out
from processor.verification.watched_users import WatchedUsers
from schemas.log.positions import position_of
from schemas.read_model.column_hashes import NULL, hashes, text_hash
from schemas.read_model.tables import API_SOURCE, REPEAT_OFFSETS
from schemas.rules.fields import (
    DUPLICATE_IN_FILE,
    FIELDS,
    KEY_EXISTS,
    UNKNOWN_KEY,
    UNKNOWN_USER_INCOMPLETE,
)
from schemas.rules.overwrite import ATTRIBUTES_BIT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy.typing as npt

    from processor.decoding.accept_rule import Step
    from processor.decoding.batch import Batch
    from processor.decoding.producer_rules import LogPartition
    from processor.decoding.records import Record
    from processor.verification.staged import Staged
    from schemas.events import RowErased

    Numbers = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

pc: Any = pyarrow.compute
FIRST_GENERATION: Final = 0
"""Stands for the delsert of the generation that none has made."""
_BITS: Final = np.array([field.bit for field in FIELDS], np.int64)
_KEPT: Final = np.array([field.is_never_cleared for field in FIELDS])
_BOOLEANS: Final = np.array([field.kind == "boolean" for field in FIELDS])
_WRAP: Final = (1 << 64) - 1
_NO_KEYS: Final = np.empty(0, np.uint64)


class PartitionFold:
    """Folds the records of one partition, from its first on.

    ``kept_generations`` are the delserts whose generations are wanted at the end.
    ``reverted`` are jobs whose rows are left out.
    ``watched`` are ids of users whose values are to be kept as they are, in ``watched``.
    """

    def __init__(
        self,
        place: LogPartition,
        *,
        kept_generations: Collection[int],
        reverted: frozenset[int] = frozenset(),
        watched: Collection[int] = (),
    ) -> None:
        self.state = PartitionState(place.number)
        self.jobs: dict[int, JobInPartition] = {}
        self.generation = FIRST_GENERATION
        self.generations: dict[int, UserColumns] = {FIRST_GENERATION: UserColumns()}
        self.corrupt: list[int] = []
        self.watched = WatchedUsers(watched)
        self._place = place
        self._kept = kept_generations
        self._reverted = reverted
        self._repeated: list[tuple[Numbers, Numbers, Numbers, tuple[int, int]]] = []
        self._writes: dict[tuple[str, int], int] = {}
        self._repeats: set[int] = set()
        self._keys_before = _NO_KEYS
        self.opt_outs = OptOuts()

    @property
    def users(self) -> UserColumns:
        """The users of the generation that the partition writes to."""
        return self.generations[self.generation]

    def fold(self, records: Sequence[Record]) -> None:
        """Take the records that come next; at least one."""
        batch, accepted = decode_and_accept(
            records, self._place, self.state, known=self.jobs, reverted=self._reverted
        )
        self._find_repeats(batch)
        for step in accepted.steps:
            self._apply(batch, step)
        # A job that was left out may have been so because of it.
        self.corrupt += [each for each in accepted.corrupt if each not in self._reverted]
        self.state = accepted.state
        if self.state.open_job_id is not None:
            self.jobs[self.state.open_job_id].events = self.state.next_sequence
        self.users.tidy()

    def _apply(self, batch: Batch, step: Step) -> None:
        match step:
            case Opened():
                self._open(step)
            case Indexed():
                self._take_out_repeats()
            case Rows():
                self._take_rows(batch, step)
            case Erased(row):
                self._take_erased(row)
            case Sealed(seal):
                self._seal(self.jobs[seal.job_id], step)
            case _:
                pass  # a definition is in the state

    def _open(self, opened: Opened) -> None:
        job = opened.job
        self.jobs[job.job_id] = JobInPartition(opened)
        if job.mode != "delsert" or opened.is_reverted:
            return
        self._keys_before = self.users.keys()
        self.opt_outs.remember(self.users, np.flatnonzero(self.users.alive[: self.users.size]))
        if self.generation not in self._kept:
            del self.generations[self.generation]
        self.generation = job.job_id
        self.generations[job.job_id] = UserColumns()

    def _seal(self, job: JobInPartition, step: Sealed) -> None:
        if step.is_broken_off:
            return
        job.sealed, job.events = step, step.seal.rows
        if step.replaces_users:
            _, is_there = self.users.find(self._keys_before)
            job.deleted = int(np.count_nonzero(~is_there))
            self._keys_before = _NO_KEYS

    def _take_erased(self, row: RowErased) -> None:
        if row.key_hash is not None:
            self.opt_outs.set_erased(row.key_hash, row.opt_outs)
        if row.job_id is not None:
            self.jobs[row.job_id].count_erased(row)

    def _take_rows(self, batch: Batch, step: Rows) -> None:
        staged = stage(batch, step)
        if step.job_id is not None:
            _take_rejections(self.jobs[step.job_id], batch, step)
        if step.is_filling:
            self._fill(staged, step)
            return
        letters = np.full(len(staged.id), LETTERS["inserted"])
        for number in range(int(staged.rounds.max(initial=-1)) + 1):
            at = np.flatnonzero(staged.rounds == number)
            letters[at] = self._apply_round(staged, at, step)
        if step.job_id is not None:
            self.jobs[step.job_id].note_outcomes(letters[~staged.is_producer_row])

    def _apply_round(self, staged: Staged, at: Numbers, step: Rows) -> npt.NDArray[np.uint8]:
        """Apply rows whose keys differ, each decided by the user that is there; their outcomes."""
        slots, is_there = self.users.find(staged.key[at])
        mode, is_own = staged.modes[at], ~staged.is_producer_row[at]
        may_count = self._may_count(staged, at, slots, is_there)
        may_add = staged.is_complete[at]
        is_new = may_count & ~is_there & (mode != DELETE) & (mode != UPDATE) & may_add
        is_update = may_count & is_there & ((mode == UPSERT) | (mode == UPDATE))
        is_gone = may_count & is_there & (mode == DELETE)
        is_changed = is_update.copy()
        is_changed[is_update] = self._update(staged, at[is_update], slots[is_update], step)
        is_kept = is_there & (mode == IGNORE) | is_update & ~is_changed
        found = {"updated": is_changed, "unchanged": is_kept, "deleted": is_gone}
        if step.job_id is not None:
            job = self.jobs[step.job_id]
            _count(job, is_own, found | {"inserted": is_new})
            is_conflict = is_own & is_there & (mode == INSERT)
            is_unknown = is_own & ~is_there & ((mode == UPDATE) | (mode == DELETE))
            is_incomplete = is_own & ~is_there & ~is_unknown & ~may_add
            self._refuse(job, staged, at[is_conflict], slots[is_conflict])
            _reject(job, staged, at[is_incomplete], UNKNOWN_USER_INCOMPLETE.code)
            _reject(job, staged, at[is_unknown], UNKNOWN_KEY.code)
            job.note_dropped(staged.rows, at[is_own & (is_new | is_update | is_kept)])
        self.opt_outs.remember(self.users, slots[is_gone])
        self._remove(slots[is_gone])
        self._insert(staged, at[is_new], slots[is_new], step)
        return _letters(found)

    def _may_count(self, staged: Staged, at: Numbers, slots: Numbers, is_there: Flags) -> Flags:
        """Leave out producer rows that are repeats, or mean a user that has not this key."""
        may_count = np.ones(len(at), np.bool_)
        meant = staged.meant[at]
        holders = np.where(is_there, self.users.plain["id"][slots], NONE)
        may_count[(meant >= 0) & (meant != holders)] = False
        if self._repeats:
            for row in np.flatnonzero(staged.is_producer_row[at]).tolist():
                may_count[row] &= int(staged.id[at[row]]) not in self._repeats
        return may_count

    def _update(self, staged: Staged, at: Numbers, slots: Numbers, step: Rows) -> Flags:
        """Change users as far as the rows set their fields; which of them have changed."""
        users = self.users
        before, values = users.values[slots], staged.values[at]
        sets = (staged.present[at][:, None] & _BITS) != 0
        sets &= ~(_KEPT & (values == NULL))
        sets &= ((staged.fills[at][:, None] & _BITS) == 0) | (before == NULL)
        after = np.where(sets, values, before)
        if step.keeps_opt_outs:
            is_own = ~staged.is_producer_row[at]
            self._note_kept(staged, at, keep(after, np.where(is_own, opted_out(before), 0)), step)
        is_changed = (after != before).any(axis=1)
        for row in np.flatnonzero(staged.has_attributes[at]).tolist():
            is_changed[row] |= self._set_attributes(staged, int(at[row]), int(slots[row]), step)
        at, slots = at[is_changed], slots[is_changed]
        users.values[slots] = after[is_changed]
        plain = users.plain
        plain["modified_at"][slots] = staged.occurred_at[at]
        plain["modified_position"][slots] = staged.id[at]
        plain["job_id"][slots] = staged.job_id[at]
        plain["record_number"][slots] = staged.record_number[at]
        if self.watched:
            self.watched.update(staged, at, plain["id"][slots], users, slots)
        return is_changed

    def _insert(self, staged: Staged, at: Numbers, slots: Numbers, step: Rows) -> None:
        """Make users; ``slots`` are those that their keys have had, -1 where none."""
        users = self.users
        is_first = slots < 0
        slots = slots.copy()
        slots[is_first] = users.make_slots(int(np.count_nonzero(is_first)))
        self._write_new(staged, at, slots, step)
        self._keep_opted_out(staged, at, slots, step)
        if self.watched:
            self.watched.insert(staged, at, users, slots)
        users.index.add(staged.key[at[is_first]], slots[is_first])

    def _keep_opted_out(self, staged: Staged, at: Numbers, slots: Numbers, step: Rows) -> None:
        """Let new users stay opted out whose keys are, where their rows keep that."""
        keys = cast("Any", staged.rows.column("key"))
        flags = self.opt_outs.take(staged.key[at], lambda: keys.take(at).to_pylist())
        if step.keeps_opt_outs and flags.any():
            values = self.users.values[slots]
            held = keep(values, np.where(staged.is_producer_row[at], 0, flags))
            self.users.values[slots] = values
            self._note_kept(staged, at, held, step)

    def _note_kept(self, staged: Staged, at: Numbers, held: Numbers, step: Rows) -> None:
        if held.any():
            at, held = at[held > 0], held[held > 0]
            job = self.jobs[step.job_id or 0]
            job.note_kept(staged.record_number[at], _lines(staged, at), held)

    def _write_new(self, staged: Staged, at: Numbers, slots: Numbers, step: Rows) -> None:
        users = self.users
        values = staged.values[at]
        users.values[slots] = np.where(_BOOLEANS & (values == NULL), TRUE, values)
        users.alive[slots] = True
        for name, column in {
            "key": staged.key,
            "id": staged.id,
            "created_at": staged.occurred_at,
            "modified_at": staged.occurred_at,
            "job_id": staged.job_id,
            "record_number": staged.record_number,
            # Kept of another producer's event only: of a job's row the id says nothing.
            "event_id": np.where(staged.is_producer_row, staged.event_id, NONE),
        }.items():
            users.plain[name][slots] = column[at]
        users.plain["modified_position"][slots] = NONE
        users.plain["attributes"][slots] = 0
        for row in np.flatnonzero(staged.has_attributes[at]).tolist():
            self._set_attributes(staged, int(at[row]), int(slots[row]), step)

    def _set_attributes(self, staged: Staged, at: int, slot: int, step: Rows) -> bool:
        users = self.users
        column = cast("Any", staged.rows.column("attributes"))
        pairs: list[tuple[str, str | None]] = column[at].as_py()
        before = users.attributes.get(slot, {})
        change = tokens_of(pairs, step.attributes)
        if staged.fills[at] & ATTRIBUTES_BIT:
            change |= before
        after = merged(before, change)
        if after == before:
            return False
        if after:
            users.attributes[slot] = after
        else:
            del users.attributes[slot]
        users.plain["attributes"][slot] = text_hash(canonical(after)) if after else 0
        return True

    def _remove(self, slots: Numbers) -> None:
        users = self.users
        users.alive[slots] = False
        for slot in slots.tolist() if users.attributes else ():
            users.attributes.pop(slot, None)

    def _refuse(self, job: JobInPartition, staged: Staged, at: Numbers, slots: Numbers) -> None:
        """Refuse rows of a job whose key another row of it, or somebody else, has given a user."""
        is_ours = self.users.plain["job_id"][slots] == staged.job_id[at]
        _reject(job, staged, at[is_ours], DUPLICATE_IN_FILE.code)
        _reject(job, staged, at[~is_ours], KEY_EXISTS.code)

    def _fill(self, staged: Staged, step: Rows) -> None:
        """Add rows of a leaf without an index: all are there until it gets one, repeats too."""
        users, job = self.users, self.jobs[self.generation]
        slots, is_there = users.find(staged.key)
        is_repeat = is_there | (staged.rounds > 0)
        first, repeated = np.flatnonzero(~is_repeat), np.flatnonzero(is_repeat)
        self._insert(staged, first, slots[first], step)
        if len(repeated):
            own_slots = users.make_slots(len(repeated))
            self._write_new(staged, repeated, own_slots, step)
            noted = job.note_dropped(staged.rows, repeated)
            lines = _lines(staged, repeated)
            self._repeated.append((own_slots, staged.record_number[repeated], lines, noted))
        job.note_dropped(staged.rows, first)
        job.inserted += len(staged.id)
        job.note_outcomes(np.full(len(staged.id), LETTERS["inserted"]))

    def _take_out_repeats(self) -> None:
        """Index the leaf: of rows with one key the later ones become rejections."""
        for slots, record_numbers, lines, noted in self._repeated:
            job = self.jobs[self.generation]
            job.inserted -= len(slots)
            job.take_back(*noted)
            job.reject(record_numbers, lines, _codes(DUPLICATE_IN_FILE.code, len(slots)))
            self._remove(slots)
        self._repeated.clear()

    def _find_repeats(self, batch: Batch) -> None:
        """Find the writes of the API that came before, as ``write_outcomes`` does."""
        partition = batch.partition
        writes = {
            position_of(partition, refused.offset): refused.event_id
            for refused in batch.refused_writes
        }
        if batch.rows.column("job_id").null_count:
            rows = batch.rows.select(["job_id", "source", "event_id"]).to_pylist()
            for offset, row in zip(batch.row_offsets.tolist(), rows, strict=True):
                if row["job_id"] is None and row["source"] == API_SOURCE:
                    writes[position_of(partition, offset)] = row["event_id"]
        if not writes and not self._writes:
            return
        self._repeats = repeats(writes, self._writes)
        since = position_of(partition, batch.next_offset) - REPEAT_OFFSETS
        self._writes = {written: at for written, at in self._writes.items() if at >= since}
        for position, event_id in sorted(writes.items()):
            if position not in self._repeats:
                self._writes[event_id, partition] = position


def _take_rejections(job: JobInPartition, batch: Batch, step: Rows) -> None:
    if len(step.rejections):
        rejections = batch.rejections.take(step.rejections)
        record_numbers, lines = (
            np.asarray(pc.cast(rejections.column(name), pa.int64()))
            for name in ("record_number", "line")
        )
        further = pc.fill_null(rejections.column("further_faults"), "")
        codes = pc.binary_join_element_wise(rejections.column("code"), further, "")
        job.reject(record_numbers, lines, hashes(codes))


def _count(job: JobInPartition, is_own: Flags, outcomes: Mapping[str, Flags]) -> None:
    """Add the job's own rows of each outcome to its count."""
    for name, has_it in outcomes.items():
        setattr(job, name, getattr(job, name) + int(np.count_nonzero(has_it & is_own)))


def _letters(outcomes: Mapping[str, Flags]) -> npt.NDArray[np.uint8]:
    """Return the letter of each row; one of no outcome counts as inserted there."""
    letters = np.full(len(outcomes["updated"]), LETTERS["inserted"])
    for name, has_it in outcomes.items():
        letters[has_it] = LETTERS[name]
    return letters


def _reject(job: JobInPartition, staged: Staged, at: Numbers, code: str) -> None:
    if len(at):
        job.reject(staged.record_number[at], _lines(staged, at), _codes(code, len(at)))


def _lines(staged: Staged, at: Numbers) -> Numbers:
    lines = pc.fill_null(pc.cast(staged.rows.column("line"), pa.int64()), NONE)
    return np.asarray(lines)[at]


def _codes(code: str, count: int) -> npt.NDArray[np.uint64]:
    return np.full(count, text_hash(code), np.uint64)
