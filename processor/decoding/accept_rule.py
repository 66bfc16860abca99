"""The accept rule: decides by job and sequence which records of a batch count.

A job reaches a partition in passes, each of them the same records::

    JobOpened  row 0  row 1 … row n-1  JobSealed

and a pass may break off, come again, or be mixed with another one of the same
job.  A partition moves through the job whichever pass brings the next record:

- ``JobOpened`` counts where no job is open and the job before it is sealed;
- a row counts where its job is open and its ``sequence`` is the next expected;
- ``JobSealed`` counts where all rows came before it and their digest agrees, or where it ends
  a job that failed: then whatever came of the job is left.

Everything else with a job is a repeat: a job that was never opened here may have
lost its JobOpened with a broker, so a row of it is no forgery.  What can be of no
pass at all (:mod:`schemas.log.passes`), and what is unfit, was put aside before.
Rows without a job come from other producers and always count.  Of the definitions
of an attribute the first counts, at any time.
What stands for an erased row takes that row's place.

A reverted job is followed in the same way, so that the jobs after it find the
partition where they expect it, but none of its rows is applied.  Its lines that
were refused before stay refused.  Pure: no clock, no I/O.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from processor.decoding.batch import PRODUCER_ROW, rows_at
from schemas.events import NO_JOB, AttributeDefined, JobOpened, LogConfigured, RowErased
from schemas.log.sequences import in_sequence
from schemas.read_model.copy_binary import is_complete
from schemas.rules.attributes import Attribute
from schemas.rules.fields import SUBSCRIPTIONS
from schemas.rules.modes import MODES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import numpy.typing as npt
    import pyarrow as pa

    from processor.decoding.batch import Batch, ControlRecord
    from schemas.events import JobMode, JobSealed


@dataclass(frozen=True, slots=True)
class PartitionState:
    """A partition's progress through the log; moves in the transaction of its rows.

    By default nothing of it has been read.
    ``keeps_opt_outs`` is the open job's; ``has_opt_outs``: some row has opted somebody out;
    ``requires_digests``: no control record counts without one (:mod:`schemas.log.digests`).
    ``attributes`` are those defined so far, by name.
    """

    partition: int
    epoch: int = 0
    next_offset: int = 0
    is_indexed: bool = True
    sealed_job_id: int = NO_JOB
    open_job_id: int | None = None
    open_mode: JobMode | None = None
    open_fills: int = 0
    next_sequence: int = 0
    digest: int = 0
    keeps_opt_outs: bool = False
    has_opt_outs: bool = False
    requires_digests: bool = False
    attributes: Mapping[str, Attribute] = field(default_factory=dict[str, Attribute])


@dataclass(frozen=True, slots=True)
class Opened:
    """A job begins in this partition, by the record at ``offset``.

    ``is_reverted``: none of its rows will be applied.
    """

    job: JobOpened
    offset: int
    recorded_at: datetime
    is_reverted: bool


@dataclass(frozen=True, slots=True)
class Defined:
    """An attribute is known in this partition from here on.

    ``makes_index``: readers filter by it, and the leaf has its indexes already.
    """

    event: AttributeDefined
    makes_index: bool


@dataclass(frozen=True, slots=True)
class Indexed:
    """The leaf gets its indexes here: what follows must find rows by key.

    ``attributes`` are the names of those that readers filter by.
    """

    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that count, as indexes into the batch's rows and rejections, ascending.

    ``job_id`` and ``mode`` are the open job's, None where only other producers' rows came.
    ``fills``: the fields that the job's rows only fill, see :mod:`schemas.rules.overwrite`;
    ``keeps_opt_outs``: they never opt in who has opted out.
    ``is_filling``: the leaf has no index yet; it holds rows of this job alone.
    ``attributes``: those that are defined, by name.
    """

    job_id: int | None
    mode: JobMode | None
    fills: int
    keeps_opt_outs: bool
    is_filling: bool
    attributes: Mapping[str, Attribute]
    rows: npt.NDArray[np.int64]
    rejections: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A job is whole in this partition, by the record at ``offset``.

    ``replaces_users``: what it has written replaces the users that were there before it.
    ``is_broken_off``: the job failed, and its rows so far are not left out yet, so it does not end.
    """

    seal: JobSealed
    offset: int
    recorded_at: datetime
    replaces_users: bool
    is_broken_off: bool = False


@dataclass(frozen=True, slots=True)
class Erased:
    """A line of the open job that counts as it did before its data was erased.

    Or a record without a job, of which only what its person has opted out of is left.
    """

    row: RowErased
    offset: int


Step = Opened | Defined | Indexed | Rows | Erased | Sealed


@dataclass(frozen=True, slots=True)
class Accepted:
    """The steps of a batch in log order, and the partition's state after them.

    ``corrupt`` names the jobs whose JobSealed had the right number of rows but
    another digest: never a repeat, always an alarm.
    """

    steps: list[Step]
    state: PartitionState
    repeats: int
    corrupt: tuple[int, ...]


def accept(batch: Batch, state: PartitionState, reverted: frozenset[int] = frozenset()) -> Accepted:
    """Apply the accept rule to a batch that begins at ``state.next_offset``.

    ``reverted`` are the ids of jobs whose rows are left out.
    """
    walk = _Walk(batch, state, reverted)
    begin = 0
    for control in batch.controls:
        walk.rows(begin, control.at)
        walk.control(control)
        begin = control.at + 1
    walk.rows(begin, len(batch.offsets))
    return Accepted(
        steps=walk.steps,
        state=replace(walk.state, next_offset=batch.next_offset),
        repeats=walk.repeats,
        corrupt=tuple(walk.corrupt),
    )


class _Walk:
    """The state while a batch is gone through in log order."""

    def __init__(self, batch: Batch, state: PartitionState, reverted: frozenset[int]) -> None:
        self.state = state
        self._reverted = reverted
        self.steps: list[Step] = []
        self.repeats = 0
        self.corrupt: list[int] = []
        self._batch = batch

    def control(self, control: ControlRecord) -> None:
        event = control.event
        if isinstance(event, JobOpened):
            self._open(event, control)
        elif isinstance(event, AttributeDefined):
            self._define(event)
        elif isinstance(event, RowErased):
            self._erase(event, control)
        elif isinstance(event, LogConfigured):
            self.state = replace(self.state, requires_digests=True)
        else:
            self._seal(event, control)

    def rows(self, begin: int, end: int) -> None:
        """Accept what counts among the records from begin up to end."""
        batch, state = self._batch, self.state
        job_ids = batch.job_ids[begin:end]
        producer_rows = np.flatnonzero(job_ids == PRODUCER_ROW) + begin
        own = np.empty(0, np.int64)
        if state.open_job_id is not None:
            own = np.flatnonzero(job_ids == state.open_job_id) + begin
            own = own[in_sequence(batch.sequences[own], state.next_sequence)]
        self.repeats += int(np.count_nonzero(job_ids != 0)) - len(own) - len(producer_rows)
        if len(own):
            self.state = replace(
                self.state,
                next_sequence=state.next_sequence + len(own),
                digest=zlib.crc32(b"".join(_values_at(batch.values, own)), state.digest),
            )
        if state.open_job_id in self._reverted:
            own = own[batch.is_rejection[own]]
        if len(producer_rows) or not self._may_fill(own):
            self._index()
        if len(own) or len(producer_rows):
            taken = np.sort(np.concatenate([own, producer_rows]))
            self.steps.append(self._rows_step(taken))

    def _may_fill(self, own: npt.NDArray[np.int64]) -> bool:
        """Return whether the job's rows may go to a leaf without indexes, as far as they go there.

        A row that may not add a user is found by looking for the user that it means.
        """
        if self.state.is_indexed or self.state.open_mode != "insert":
            return True
        indexes = self._batch.index[own[~self._batch.is_rejection[own]]]
        return is_complete(rows_at(self._batch.rows, indexes)).false_count == 0

    def _rows_step(self, taken: npt.NDArray[np.int64]) -> Rows:
        index = self._batch.index[taken]
        is_rejection = self._batch.is_rejection[taken]
        if not self.state.has_opt_outs and _opt_out(self._batch, index[~is_rejection]):
            self.state = replace(self.state, has_opt_outs=True)
        return Rows(
            job_id=self.state.open_job_id,
            mode=self.state.open_mode,
            fills=self.state.open_fills,
            keeps_opt_outs=self.state.keeps_opt_outs,
            is_filling=not self.state.is_indexed,
            attributes=self.state.attributes,
            rows=index[~is_rejection],
            rejections=index[is_rejection],
        )

    def _open(self, job: JobOpened, control: ControlRecord) -> None:
        state = self.state
        if state.open_job_id is not None or job.previous_job_id != state.sealed_job_id:
            self.repeats += 1
            return
        is_reverted = job.job_id in self._reverted
        if MODES[job.mode].existing != "refused" and not is_reverted:
            self._index()  # its rows find users by key
        begins_empty = job.mode == "delsert" and not is_reverted
        self.state = replace(
            self.state,
            is_indexed=self.state.is_indexed and not begins_empty,
            open_job_id=job.job_id,
            open_mode=job.mode,
            open_fills=job.fills,
            next_sequence=0,
            digest=0,
            keeps_opt_outs=job.keeps_opt_outs,
        )
        self.steps.append(Opened(job, control.offset, control.recorded_at, is_reverted))

    def _define(self, event: AttributeDefined) -> None:
        state = self.state
        if event.name in state.attributes:
            self.repeats += 1
            return
        attribute = Attribute(event.name, event.type, event.is_reconciliation_key, event.is_indexed)
        self.state = replace(state, attributes={**state.attributes, event.name: attribute})
        self.steps.append(Defined(event, makes_index=event.is_indexed and state.is_indexed))

    def _erase(self, row: RowErased, control: ControlRecord) -> None:
        """Let it take its place in its job's sequence; one of another producer has none."""
        if row.opt_outs:
            self.state = replace(self.state, has_opt_outs=True)
        state = self.state
        if row.job_id is None:
            if row.key_hash is not None:
                self.steps.append(Erased(row, control.offset))
            return
        if row.job_id != state.open_job_id or row.sequence != state.next_sequence:
            self.repeats += 1
            return
        self.state = replace(
            state,
            next_sequence=state.next_sequence + 1,
            digest=zlib.crc32(self._batch.values[control.at], state.digest),
        )
        if row.outcome == "refused" or row.job_id not in self._reverted:
            self.steps.append(Erased(row, control.offset))

    def _seal(self, seal: JobSealed, control: ControlRecord) -> None:
        state = self.state
        is_whole = seal.is_abandoned or seal.rows == state.next_sequence
        if seal.job_id != state.open_job_id or not is_whole:
            self.repeats += 1
            return
        if not seal.is_abandoned and seal.digest != state.digest:
            self.corrupt.append(seal.job_id)
            return
        is_reverted = seal.job_id in self._reverted
        if not is_reverted:
            self._index()
        self.state = replace(
            self.state,
            sealed_job_id=seal.job_id,
            open_job_id=None,
            open_mode=None,
            open_fills=0,
            keeps_opt_outs=False,
        )
        is_broken_off = seal.is_abandoned and not is_reverted
        replaces_users = state.open_mode == "delsert" and not is_reverted and not is_broken_off
        self.steps.append(
            Sealed(seal, control.offset, control.recorded_at, replaces_users, is_broken_off)
        )

    def _index(self) -> None:
        if not self.state.is_indexed:
            self.state = replace(self.state, is_indexed=True)
            self.steps.append(Indexed(indexed_names(self.state.attributes)))


def indexed_names(attributes: Mapping[str, Attribute]) -> tuple[str, ...]:
    """Return the names of the attributes that readers filter by."""
    return tuple(name for name, known in attributes.items() if known.is_indexed)


def _opt_out(batch: Batch, indexes: npt.NDArray[np.int64]) -> bool:
    """Return whether some of these rows opt their user out of something."""
    rows = rows_at(batch.rows.select([field.name for field in SUBSCRIPTIONS]), indexes)
    return any(column.false_count for column in cast("list[pa.BooleanArray]", rows.columns))


def _values_at(values: list[bytes], positions: npt.NDArray[np.int64]) -> list[bytes]:
    """Return the values at these ascending positions."""
    first, last = int(positions[0]), int(positions[-1])
    if last - first == len(positions) - 1:
        return values[first : last + 1]
    return [values[at] for at in positions.tolist()]
