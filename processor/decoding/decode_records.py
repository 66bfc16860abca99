"""Decodes records of one partition to a batch; what is no event becomes a dead letter.

Rows are decoded by type, a whole batch at once.  When one of them is bad the
batch decoder cannot say which, so each is tried alone, and only that one is
put aside: a bad record never stops its neighbours.
"""

from __future__ import annotations

from operator import is_not
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from processor.decoding.batch import PRODUCER_ROW, Batch, Control, ControlRecord, DeadLetter
from processor.decoding.dead_letter_texts import undecodable, unstorable, with_way_out
from processor.decoding.producer_rules import (
    MISATTRIBUTED,
    UNREADABLE,
    ProducerRowRules,
    Refusal,
    RefusedWrite,
    forged,
    no_row_of,
    refused_definition,
    reported_id,
)
from processor.decoding.records import recorded_at
from processor.decoding.suspect_values import suspect_values
from schemas.clients.unreadable import UnreadableBatch
from schemas.codec import codec, columnar, framing
from schemas.events import AttributeDefined, JobStatus, LogConfigured, RowRejected, UserRow
from schemas.log.digests import SignedRecords
from schemas.log.passes import misattributed_rows
from schemas.log.record_headers import headers_of
from schemas.log.storable import unstorable_rows, violation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from processor.decoding.producer_rules import LogPartition
    from processor.decoding.records import Record
    from schemas.events import Event
    from schemas.rules.attributes import Attribute

    Positions = npt.NDArray[np.int64]

pc: Any = pyarrow.compute
_NO_ROW = 0
_NO_EVENT: tuple[type[Event], bool] = (JobStatus, True)
"""Stands for a value whose frame says nothing: not a row, so decoding it tells why."""


def decode_records(
    records: Sequence[Record],
    partition: LogPartition,
    attributes: Mapping[str, Attribute] | None = None,
    refused: Mapping[int, Refusal] | None = None,
    *,
    requires_digests: bool = False,
) -> Batch:
    """Decode records that stand one after another in a partition; at least one.

    ``attributes`` are those that were defined before, by name.
    ``refused``: by offset, records that the tables have been found not to take.
    ``requires_digests``: a record before them said so.
    """
    signed = SignedRecords(partition.keyring, partition.topic, is_required=requires_digests)
    return _Decoder(records, partition, attributes or {}, refused or {}, signed).batch()


class _Decoder:
    def __init__(
        self,
        records: Sequence[Record],
        partition: LogPartition,
        attributes: Mapping[str, Attribute],
        refused: Mapping[int, Refusal],
        signed: SignedRecords,
    ) -> None:
        self._records = records
        self._signed = signed
        self._partition = partition
        self._attributes = attributes
        self._refused_before = refused
        self._values = [record.value() or b"" for record in records]
        frame = framing.frame_of(UserRow)
        self._bodies = [value.removeprefix(frame) for value in self._values]
        # What does not begin with it is not copied.
        is_other = map(is_not, self._bodies, self._values)
        self._is_unframed = np.fromiter(is_other, np.bool_, len(self._values))
        self._offsets = _offsets(records)
        self._in_other_schemas: set[int] = set()
        self._controls: list[ControlRecord] = []
        self._dead_letters: list[DeadLetter] = []
        self._refused: list[RefusedWrite] = []

    def batch(self) -> Batch:
        row_at, rejection_at = self._positions()
        rows, row_at = self._rows(UserRow, row_at)
        rows, row_at = self._without_misattributed(rows, row_at)
        rows, row_at = self._without_unstorable(rows, row_at)
        rows, row_at = self._without_refused_producer_rows(rows, row_at)
        rejections, rejection_at = self._rows(RowRejected, rejection_at)
        rejections, rejection_at = self._without_unstorable(rejections, rejection_at)
        batch = self._blank_batch(rows, rejections, self._offsets[row_at])
        _scatter(batch, rows, row_at)
        _scatter(batch, rejections, rejection_at)
        batch.is_rejection[rejection_at] = True
        return batch

    def _blank_batch(
        self, rows: pa.RecordBatch, rejections: pa.RecordBatch, row_offsets: Positions
    ) -> Batch:
        count = len(self._values)
        return Batch(
            partition=self._partition.number,
            offsets=self._offsets,
            next_offset=int(self._offsets[-1]) + 1,
            records=self._records,
            values=self._values,
            rows=rows,
            rejections=rejections,
            row_offsets=row_offsets,
            job_ids=np.full(count, _NO_ROW, np.int64),
            sequences=np.full(count, -1, np.int64),
            index=np.zeros(count, np.int64),
            is_rejection=np.zeros(count, np.bool_),
            controls=self._controls,
            dead_letters=sorted(self._dead_letters, key=lambda dead_letter: dead_letter.offset),
            refused_writes=self._refused,
        )

    def _positions(self) -> tuple[Positions, Positions]:
        """Return the positions of rows and of rejections; decode all that is neither."""
        is_refused = np.isin(self._offsets, list(self._refused_before))
        for at in np.flatnonzero(is_refused).tolist():
            refusal = self._refused_before[int(self._offsets[at])]
            self._add_dead_letter(at, refusal, job_id=self._job_at(at))
        rows = np.flatnonzero(self._is_unframed & ~is_refused)
        framed_rows: list[int] = []
        rejections: list[int] = []
        for at in np.flatnonzero(~self._is_unframed & ~is_refused).tolist():
            self._sort(at, {UserRow: framed_rows, RowRejected: rejections})
        if framed_rows:
            rows = np.sort(np.append(rows, framed_rows))
        return rows, np.array(rejections, np.int64)

    def _sort(self, at: int, by_type: dict[type[Event], list[int]]) -> None:
        """Note the position of a value of one of these types, or decode it."""
        event_type, is_current = framing.type_of(self._values[at]) or _NO_EVENT
        if (positions := by_type.get(event_type)) is None:
            self._decode_control(at)
            return
        positions.append(at)
        if not is_current:
            self._in_other_schemas.add(at)

    def _decode_control(self, at: int) -> None:
        record = self._records[at]
        if isinstance(record, UnreadableBatch):
            self._add_dead_letter(at, Refusal(UNREADABLE, str(record)))
            return
        try:
            event = codec.decode(record.value())
        except codec.UndecodableError as error:
            self._add_undecodable(at, error)
            return
        is_right = self._signed.is_right(record.key(), record.value(), headers_of(record))
        if (refusal := self._refusal(event, is_right=is_right)) is not None:
            self._add_dead_letter(at, refusal, job_id=_job_of(event))
            return
        assert isinstance(event, Control), "another one is refused"
        self._signed.note(event, is_right=is_right)
        self._controls.append(ControlRecord(at, int(self._offsets[at]), recorded_at(record), event))

    def _refusal(self, event: Event, *, is_right: bool | None) -> Refusal | None:
        """Return why an event that is no row does not count, or None."""
        is_control = isinstance(event, Control)
        if is_control and self._signed.is_required and not is_right:
            return forged(event)
        # What says from where on digests are required says nothing without one.
        if not is_control or (isinstance(event, LogConfigured) and not is_right):
            return Refusal("UNEXPECTED_TYPE", f"{type(event).__name__} on user-events")
        if isinstance(event, AttributeDefined) and (refusal := refused_definition(event)):
            return refusal
        found = violation(event)
        return None if found is None else Refusal(found.code, unstorable(event, found))

    def _job_at(self, at: int) -> int | None:
        """Return the job that a value names, as far as it can be read."""
        try:
            return _job_of(codec.decode(self._values[at]))
        except codec.UndecodableError:
            return None

    def _rows(
        self, event_type: type[UserRow | RowRejected], positions: Positions
    ) -> tuple[pa.RecordBatch, Positions]:
        # The batch decoder knows the current schema only, and would not notice another one.
        good = None
        if self._in_other_schemas:
            chosen = self._in_other_schemas.intersection(positions.tolist())
            good = self._canonical_values(event_type, self._values_at(positions), chosen)
        try:
            return self._decoded(event_type, positions, good)
        except ValueError:
            left = self._values_at(positions) if good is None else good
            suspects = suspect_values(event_type, left, list(left))
            good = self._canonical_values(event_type, left, suspects)
            return self._decoded(event_type, positions, good)

    def _values_at(self, positions: Positions) -> dict[int, bytes]:
        return {at: self._values[at] for at in positions.tolist()}

    def _decoded(
        self,
        event_type: type[UserRow | RowRejected],
        positions: Positions,
        good: dict[int, bytes] | None,
    ) -> tuple[pa.RecordBatch, Positions]:
        """Return ``good``, else all values at these positions, as rows, with their positions."""
        if good is not None:
            rows = columnar.decode_batch(event_type, list(good.values()))
            return rows, np.array(list(good), np.int64)
        at_each: list[int] = positions.tolist()
        if not self._is_unframed[positions].all():
            return columnar.decode_batch(
                event_type, [self._values[at] for at in at_each]
            ), positions
        bodies = self._bodies
        if len(positions) < len(bodies):
            bodies = [bodies[at] for at in at_each]
        return columnar.decode_bodies(event_type, bodies), positions

    def _canonical_values(
        self,
        event_type: type[UserRow | RowRejected],
        values: Mapping[int, bytes],
        chosen: set[int],
    ) -> dict[int, bytes]:
        """Return the values by position, the chosen ones as our encoder writes them.

        What it can't write becomes a dead letter.
        """
        each = (
            (at, self._canonical(event_type, at) if at in chosen else value)
            for at, value in values.items()
        )
        return {at: value for at, value in each if value}

    def _canonical(self, event_type: type[UserRow | RowRejected], at: int) -> bytes | None:
        """Return the value in the bytes our own encoder writes, or None once it is a dead letter.

        The two decoders disagree on odd varints, so each value must pass both.
        """
        try:
            value = codec.encode(codec.decode(self._values[at]))
            columnar.decode_batch(event_type, [value])
        except ValueError as error:
            self._add_undecodable(at, error)
            return None
        return value

    def _without_misattributed(
        self, rows: pa.RecordBatch, positions: Positions
    ) -> tuple[pa.RecordBatch, Positions]:
        """Take out rows that would take a line's place and keep their job from its end."""
        bad = misattributed_rows(rows)
        named: list[dict[str, Any]] = rows.select(["job_id", "source"]).take(bad).to_pylist()
        for at, row in zip(positions[bad].tolist(), named, strict=True):
            self._add_misattributed(at, row["job_id"], row["source"])
        return _without(bad.tolist(), rows, positions)

    def _add_misattributed(self, at: int, job_id: int, source: str | None) -> None:
        """Give the reason of the record alone, however many were decoded at once."""
        try:
            codec.decode(self._values[at])
        except codec.UndecodableError as error:
            self._add_undecodable(at, error, job_id)
        else:
            refusal = Refusal(MISATTRIBUTED, no_row_of(job_id))
            self._add_dead_letter(at, refusal, source, job_id=job_id)

    def _without_unstorable(
        self, rows: pa.RecordBatch, positions: Positions
    ) -> tuple[pa.RecordBatch, Positions]:
        """Take out what the tables can't hold: the job's own row comes with the pass, or again."""
        bad = unstorable_rows(rows)
        named: list[dict[str, Any]] = rows.select(["job_id"]).take(bad).to_pylist()
        for at, row in zip(positions[bad].tolist(), named, strict=True):
            self._add_unstorable(at, row["job_id"])
        return _without(bad.tolist(), rows, positions)

    def _add_unstorable(self, at: int, job_id: int) -> None:
        try:
            event = codec.decode(self._values[at])
        except codec.UndecodableError as error:  # a day or a time that no calendar has
            self._add_undecodable(at, error, job_id)
            return
        found = violation(event)
        assert found is not None, "one row is judged as all of them are"
        self._add_dead_letter(at, Refusal(found.code, unstorable(event, found)), job_id=job_id)

    def _without_refused_producer_rows(
        self, rows: pa.RecordBatch, positions: Positions
    ) -> tuple[pa.RecordBatch, Positions]:
        """Take out producer rows that are refused; passes are guarded by their digest."""
        if rows.column("job_id").null_count == 0:
            return rows, positions
        producer_rows = np.flatnonzero(np.asarray(rows.column("job_id").is_null()))
        definitions = [
            (control.at, control.event)
            for control in self._controls
            if isinstance(control.event, AttributeDefined)
        ]
        rules = ProducerRowRules(self._partition, self._attributes, definitions)
        bad = [
            at for at in producer_rows.tolist() if not self._is_allowed(int(positions[at]), rules)
        ]
        return _without(bad, rows, positions)

    def _is_allowed(self, at: int, rules: ProducerRowRules) -> bool:
        try:
            row = codec.decode(self._values[at])
        except codec.UndecodableError as error:
            self._add_undecodable(at, error)
            return False
        assert isinstance(row, UserRow), "its frame says so"
        refusal = rules.refusal(row, self._records[at].key(), at)
        if refusal is not None:
            self._refuse(at, row, refusal)
        return refusal is None

    def _refuse(self, at: int, row: UserRow, refusal: Refusal) -> None:
        event_id = reported_id(row)
        if event_id is None:
            self._add_dead_letter(at, refusal, row.source)
        else:
            self._refused.append(RefusedWrite(int(self._offsets[at]), event_id, refusal))

    def _add_undecodable(self, at: int, error: ValueError, job_id: int | None = None) -> None:
        code: str = getattr(error, "code", "MALFORMED")
        detail = undecodable(code, str(error), self._records[at].value())
        self._dead_letters.append(self._dead_letter(at, code, detail, job_id=job_id))

    def _add_dead_letter(
        self, at: int, refusal: Refusal, source: str | None = None, *, job_id: int | None = None
    ) -> None:
        detail = with_way_out(refusal.code, refusal.reason)
        self._dead_letters.append(
            self._dead_letter(at, refusal.code, detail, source=source, job_id=job_id)
        )

    def _dead_letter(self, at: int, code: str, detail: str, **of: Any) -> DeadLetter:
        record = self._records[at]
        return DeadLetter(int(self._offsets[at]), record.key(), record.value(), code, detail, **of)


def _job_of(event: Event) -> int | None:
    return getattr(event, "job_id", None)


def _without(
    bad: Sequence[int], rows: pa.RecordBatch, positions: Positions
) -> tuple[pa.RecordBatch, Positions]:
    if not bad:
        return rows, positions
    keep = np.ones(len(positions), np.bool_)
    keep[bad] = False
    return rows.filter(pa.array(keep)), positions[keep]


def _offsets(records: Sequence[Record]) -> Positions:
    """Return the offsets of records in log order; markers of transactions leave gaps."""
    first, last = records[0].offset() or 0, records[-1].offset() or 0
    if last - first == len(records) - 1:
        return np.arange(first, last + 1)
    return np.array([record.offset() for record in records], np.int64)


def _scatter(batch: Batch, rows: pa.RecordBatch, positions: Positions) -> None:
    if not len(positions):
        return
    job_ids = pc.fill_null(rows.column("job_id"), PRODUCER_ROW)
    batch.job_ids[positions] = job_ids.to_numpy()
    batch.sequences[positions] = pc.fill_null(rows.column("sequence"), -1).to_numpy()
    batch.index[positions] = np.arange(len(positions))
