"""Writes one transaction: the fence, the rows, the outcomes, the jobs, the outbox.

The order matters.

1. The fence moves ``next_offset`` under this worker's epoch.  From then on no
   other worker can write these partitions' leaves, so outcomes may be found
   out by one statement and acted on by the next.
2. Steps are applied in log order, partition by partition.
3. Rejections, counts of users, outcomes of single writes and the jobs' own rows
   come last (:mod:`processor.projection.jobs`), and with them what leaves for Kafka.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, LiteralString

import numpy as np
from psycopg import errors, sql

from processor.decoding.accept_rule import Defined, Erased, Indexed, Opened, Sealed
from processor.decoding.batch import DeadLetter
from processor.errors import SupersededError
from processor.projection.job_rows import Round
from processor.projection.jobs import FinishedJobs, JobChanges
from processor.projection.line_notes import LineNotes
from processor.projection.line_outcomes import LETTERS, LineOutcomes, round_letters
from processor.projection.opt_outs import OptOuts
from processor.projection.outbox_writer import OutboxWriter
from processor.projection.producer_rows import decide
from processor.projection.source_counts import SourceCounts
from processor.projection.staging import (
    LEAF_COLUMNS,
    REJECTION_COLUMNS,
    STAGED_COLUMNS,
    PreparedRows,
)
from processor.projection.staging_table import copy_found, copy_into
from processor.projection.write_outcomes import WriteOutcome
from processor.projection.write_refusals import refused_row, write_refusal
from processor.runtime.metrics import REJECTIONS, ROWS
from schemas.log.positions import place_of, position_of
from schemas.rules.rejections import erased_line, incomplete_user, key_conflict, unknown_key

if TYPE_CHECKING:
    import psycopg

    from processor.projection.job_rows import Outcomes
    from processor.projection.producer_rows import RowOutcome
    from processor.projection.projection import PreparedBatch, Projection
    from processor.projection.write_outcomes import WriteOutcomes
    from schemas.events import RowErased
    from schemas.rules.rejections import FoundRejection

_FENCE: LiteralString = """
UPDATE {schema}.projection_offset
SET next_offset = %(next_offset)s, is_indexed = %(is_indexed)s,
    sealed_job_id = %(sealed_job_id)s, open_job_id = %(open_job_id)s, open_mode = %(open_mode)s,
    open_fills = %(open_fills)s, next_sequence = %(next_sequence)s, digest = %(digest)s,
    keeps_opt_outs = %(keeps_opt_outs)s, has_opt_outs = %(has_opt_outs)s,
    requires_digests = %(requires_digests)s
WHERE topic = %(topic)s AND partition = %(partition)s
  AND epoch = %(epoch)s AND next_offset = %(expected)s
"""
_SET_GENERATION: LiteralString = """
UPDATE {schema}.projection_offset SET generation = %(generation)s
WHERE topic = %(topic)s AND partition = %(partition)s
"""
_DEFINE: LiteralString = """
INSERT INTO {schema}.attribute
    (name, type, is_reconciliation_key, is_indexed, defined_at, defined_by)
VALUES (%(name)s, %(type)s, %(is_reconciliation_key)s, %(is_indexed)s, %(defined_at)s,
        %(defined_by)s)
ON CONFLICT (name) DO NOTHING
"""
_NOTE_DEFINED: LiteralString = """
INSERT INTO {schema}.attribute_partition (name, partition, type)
VALUES (%(name)s, %(partition)s, %(type)s)
"""
_MOVED: Final = (
    "partition", "next_offset", "is_indexed", "sealed_job_id", "open_job_id", "open_mode",
    "open_fills", "next_sequence", "digest", "keeps_opt_outs", "has_opt_outs",
    "requires_digests",
)  # fmt: skip


class Transaction:
    """The statements of one transaction, in the order of the module's text."""

    def __init__(
        self,
        projection: Projection,
        cursor: psycopg.Cursor,
        generation_of: dict[int, int],
        outcomes: WriteOutcomes,
    ) -> None:
        self.generation_of = generation_of
        self._outcomes = outcomes
        self._line_outcomes = LineOutcomes(projection.schema)
        self._sources = SourceCounts(projection.schema)
        self._grown: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._projection = projection
        self._topics = projection.settings.topics
        self._cursor = cursor
        self._outbox = OutboxWriter(projection, cursor)
        self._jobs = JobChanges(
            projection.schema, self._topics.user_events.partitions, projection.reverted
        )
        self._finished = FinishedJobs()
        self.has_switched = False
        self._found: list[FoundRejection] = []
        self._rejected_by = Counter[str]()
        self._notes = LineNotes(projection.schema, self._jobs)
        self._opt_outs = OptOuts(projection.schema, cursor)

    def fence(self, batches: list[PreparedBatch]) -> None:
        """Move ``next_offset`` of every batch; superseded where one is not as expected."""
        self._opt_outs.partitions = {
            each.after.partition for each in batches if each.after.has_opt_outs
        }
        for prepared in batches:
            moved = self._execute(
                _FENCE,
                {name: getattr(prepared.after, name) for name in _MOVED}
                | {
                    "topic": self._topics.user_events.name,
                    "epoch": prepared.before.epoch,
                    "expected": prepared.before.next_offset,
                },
            )
            if moved.rowcount != 1:
                raise SupersededError(
                    f"partition {prepared.after.partition}, epoch {prepared.before.epoch}"
                )

    def stage(self, batches: list[PreparedBatch]) -> None:
        """Copy all rows of the transaction that must find users by key, in one COPY."""
        inputs = [
            step.staged_input()
            for prepared in batches
            for step in prepared.row_steps()
            if step.leaf_input is None and len(step.ids)
        ]
        if inputs:
            copy_into(self._cursor, sql.Identifier("staging"), STAGED_COLUMNS, inputs)

    def apply(self, prepared: PreparedBatch) -> None:
        """Apply a batch's steps in the order of the log, then note what was refused of it."""
        for step in prepared.steps:
            self._apply_step(prepared, step)
        for dead_letter in prepared.batch.dead_letters:
            self._outbox.add_dead_letter(dead_letter, prepared.after.partition)
        for refused in prepared.batch.refused_writes:
            position = position_of(prepared.after.partition, refused.offset)
            outcome = WriteOutcome.refused(refused.event_id, position, refused.refusal)
            self._outcomes.note(outcome)
        self._sources.note_refused(prepared.batch, self._outcomes)

    def _apply_step(
        self,
        prepared: PreparedBatch,
        step: Opened | Defined | Indexed | PreparedRows | Erased | Sealed,
    ) -> None:
        partition = prepared.after.partition
        match step:
            case Opened(job):
                self._jobs.open(self._cursor, step, partition)
                if job.mode == "delsert" and not step.is_reverted:
                    self._open_generation(job.job_id, partition)
            case Defined():
                self._define(step, partition)
            case Indexed(attributes):
                self._index(partition, attributes)
            case PreparedRows():
                self._write_rows(prepared, step)
            case Erased(row):
                self._count_erased(row, partition)
            case Sealed(seal, offset):
                self._finished.note_seal(seal.job_id, prepared.batch.record(offset))
                self._seal(step, partition)

    def write_rejections(self, batches: list[PreparedBatch]) -> None:
        """Write the rejected lines, of the file and found on the way, and the notes of others."""
        table = sql.Identifier(self._projection.schema, "rejection")
        steps = [step for prepared in batches for step in prepared.row_steps() if step.rejected]
        self._rejected_by = Counter(each.code for each in self._found)
        for step in steps:
            self._rejected_by += step.rejected_by
        if inputs := [step.rejections_input for step in steps]:
            copy_into(self._cursor, table, REJECTION_COLUMNS, inputs)
        copy_found(self._cursor, table, REJECTION_COLUMNS, self._found)
        self._notes.write(self._cursor)

    def write_counts(self) -> None:
        """Write by how much leaves have grown, what sources have sent, and outcomes by line."""
        for (generation, partition), grown in self._grown.items():
            if grown:
                self._projection.generations.count(self._cursor, generation, partition, grown)
        self._sources.write(self._cursor)
        self._line_outcomes.write(self._cursor)

    def note_metrics(self) -> None:
        """Count what has been committed, and tell which jobs ended and which letters are dead."""
        self._finished.tell()
        for outcome, rows in self._jobs.totals().items():
            ROWS.labels(outcome).inc(rows)
        self._outbox.note_dead_letters()
        for code, lines in self._rejected_by.items():
            REJECTIONS.labels(code).inc(lines)

    def write_jobs(self) -> None:
        """Write the jobs that changed, switch where a delsert ended, and add their statuses."""
        for written in self._jobs.write(self._cursor):
            if written.ends_delsert:
                self._projection.generations.activate(self._cursor, written.job_id)
                self.has_switched = True
            if not self._projection.is_silent:
                status = self._jobs.status(self._cursor, written.job_id)
                self._outbox.add_status(status)
                if written.is_whole:
                    self._finished.add(status, has_switched=written.ends_delsert)

    def _open_generation(self, job_id: int, partition: int) -> None:
        self._opt_outs.remember_all(self._leaf(partition), partition)
        generation = self._projection.generations.open(self._cursor, job_id)
        self.generation_of[partition] = generation
        topic = self._topics.user_events.name
        parameters = {"generation": generation, "topic": topic, "partition": partition}
        self._execute(_SET_GENERATION, parameters)

    def _seal(self, step: Sealed, partition: int) -> None:
        """Note that a job is whole, and how many users are not in the audience that it made."""
        if step.is_broken_off:
            return  # it stays open in these tables, until others without it take their place
        if step.replaces_users:
            generation = self.generation_of[partition]
            removed = self._projection.generations.count_removed(
                self._cursor, generation, partition
            )
            self._jobs.counts(step.seal.job_id, partition).deleted += removed
        self._jobs.seal(self._cursor, step, partition)

    def _define(self, step: Defined, partition: int) -> None:
        parameters = asdict(step.event) | {"partition": partition}
        self._execute(_DEFINE, parameters)
        self._execute(_NOTE_DEFINED, parameters)
        if step.makes_index:
            generation = self.generation_of[partition]
            self._projection.generations.index_attribute(
                self._cursor, generation, partition, step.event.name
            )

    def _index(self, partition: int, attributes: tuple[str, ...]) -> None:
        """Index a leaf; of rows with one key the later ones become rejections."""
        repeats = self._projection.generations.index(
            self._cursor, self.generation_of[partition], partition, attributes
        )
        self._grow(partition, -len(repeats))
        kept = {place_of(user).offset: record_number for user, record_number in repeats}
        for offset, row in self._projection.read_rows(partition, sorted(kept)):
            assert row.job_id is not None, "only the delsert's own rows fill a leaf"
            counts = self._jobs.counts(row.job_id, partition)
            counts.inserted -= 1
            counts.rejected += 1
            holder = (row.job_id, kept[offset])
            self._found.append(key_conflict(asdict(row), self._key_setting, holder))
            self._notes.take_back(partition, asdict(row))

    def _count_erased(self, row: RowErased, partition: int) -> None:
        self._opt_outs.set_erased(partition, row)
        if row.job_id is None:
            return
        if self._jobs.counts(row.job_id, partition).add_erased(row.outcome) == "rejected":
            self._found.append(erased_line(asdict(row)))

    def _write_rows(self, prepared: PreparedBatch, step: PreparedRows) -> None:
        partition = prepared.after.partition
        if step.job_id is not None:
            self._jobs.counts(step.job_id, partition).rejected += step.rejected
        if not len(step.ids) or self._copy_new_users(partition, step):
            return
        writer, _ = self._projection.writers(self.generation_of[partition], partition)
        leaf = self._leaf(partition)
        letters = np.full(len(step.ids), LETTERS["inserted"])
        refused: list[int] = []
        for number, is_producer_row in sorted(step.counts):
            a_round = Round.of(step, number, is_producer_row=is_producer_row)
            if is_producer_row:
                self._write_producer_round(prepared, step, number)
                self._opt_outs.keep(leaf, partition, step, a_round)
                continue
            self._opt_outs.remember(leaf, partition, step.deletes(number))
            outcomes = writer.write(self._cursor, a_round)
            self._count(partition, step, outcomes)
            letters[step.rounds == number] = round_letters(
                self._cursor, leaf, step, number, outcomes
            )
            self._notes.add(partition, self._opt_outs.keep(leaf, partition, step, a_round))
            refused += outcomes.refused
        self._notes.add_dropped(partition, step, refused)
        self._line_outcomes.note(partition, step, letters)

    def _write_producer_round(
        self, prepared: PreparedBatch, step: PreparedRows, number: int
    ) -> None:
        """Give each row an outcome of its own: one that is reported, or a dead letter."""
        partition = prepared.after.partition
        _, writer = self._projection.writers(self.generation_of[partition], partition)
        rows = writer.find(self._cursor, step.step, number)
        outcomes = [decide(found) for found in rows if not self._outcomes.is_repeat(found.position)]
        self._sources.note_rows(prepared.batch, step, rows, outcomes)
        deleted = [each.position for each in outcomes if each.outcome == "deleted"]
        self._opt_outs.remember(self._leaf(partition), partition, deleted)
        self._grow(partition, writer.write(self._cursor, outcomes))
        for row_outcome in outcomes:
            if event_id := step.reported.get(row_outcome.position):
                self._outcomes.note(self._outcome(step, event_id, row_outcome))
            elif row_outcome.code is not None:
                self._add_dead_letter(prepared, step, row_outcome)

    def _outcome(self, step: PreparedRows, event_id: str, row_outcome: RowOutcome) -> WriteOutcome:
        if row_outcome.code is None:
            return WriteOutcome(
                event_id, row_outcome.position, row_outcome.outcome, row_outcome.user_id
            )
        row = step.rows_by_id([row_outcome.position])[0]
        refusal = write_refusal(row, row_outcome.code, self._key_setting)
        return WriteOutcome.refused(event_id, row_outcome.position, refusal)

    def _grow(self, partition: int, grown: int) -> None:
        """Count users that are there now in the partition's leaf, or are no more."""
        self._grown[self.generation_of[partition], partition] += grown

    def _leaf(self, partition: int) -> sql.Identifier:
        """Return the table that the partition writes to."""
        return self._projection.generations.leaf(self.generation_of[partition], partition)

    def _copy_new_users(self, partition: int, step: PreparedRows) -> bool:
        """Try the rows by COPY straight into the leaf; nothing is written where a key exists.

        Half the work of the staging table where all rows are new users, and
        the only way while a leaf has no index.
        """
        if step.leaf_input is None:
            return False
        assert step.job_id is not None, "other producers' rows are always staged"
        try:
            with self._cursor.connection.transaction():
                leaf_input, notes = self._opt_outs.new_users(partition, step, step.leaf_input)
                copy_into(self._cursor, self._leaf(partition), LEAF_COLUMNS, [leaf_input])
        except errors.UniqueViolation:
            self._projection.are_new[step.job_id, partition] = False
            copy_into(
                self._cursor, sql.Identifier("staging"), STAGED_COLUMNS, [step.staged_input()]
            )
            return False
        self._jobs.counts(step.job_id, partition).inserted += len(step.ids)
        self._line_outcomes.note_inserted(partition, step)
        self._grow(partition, len(step.ids))
        self._notes.add(partition, notes)
        self._notes.add_dropped(partition, step)
        return True

    def _count(self, partition: int, step: PreparedRows, outcomes: Outcomes) -> None:
        assert step.job_id is not None, "rows of a job count only while it is open"
        counts = self._jobs.counts(step.job_id, partition)
        counts.inserted += outcomes.inserted
        counts.deleted += outcomes.deleted
        self._grow(partition, outcomes.inserted - outcomes.deleted)
        counts.updated += outcomes.updated
        counts.unchanged += outcomes.unchanged
        counts.rejected += len(outcomes.refused)
        self._projection.are_new[step.job_id, partition] = outcomes.inserted == len(step.ids)
        refused = step.rows_by_id([row[0] for row in outcomes.conflicts])
        for row, (_, job_id, record) in zip(refused, outcomes.conflicts, strict=True):
            self._found.append(key_conflict(row, self._key_setting, (job_id, record)))
        for row in step.rows_by_id(outcomes.incomplete):
            self._found.append(incomplete_user(row))
        for row in step.rows_by_id(outcomes.unknown):
            self._found.append(unknown_key(row, self._key_setting))

    def _add_dead_letter(
        self, prepared: PreparedBatch, step: PreparedRows, refused: RowOutcome
    ) -> None:
        assert refused.code is not None, "only what is refused is a dead letter"
        offset = place_of(refused.position).offset
        record = prepared.batch.record(offset)
        detail = refused_row(step.rows_by_id([refused.position])[0], refused)
        dead_letter = DeadLetter(offset, record.key(), record.value(), refused.code, detail)
        self._outbox.add_dead_letter(dead_letter, prepared.after.partition)

    @property
    def _key_setting(self) -> str:
        return self._projection.settings.reconciliation_key

    def _execute(self, statement: LiteralString, parameters: dict[str, Any]) -> psycopg.Cursor:
        schema = sql.Identifier(self._projection.schema)
        return self._cursor.execute(sql.SQL(statement).format(schema=schema), parameters)
