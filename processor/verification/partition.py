"""Verifies one partition: folds its log, and compares its leaves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from processor.verification.attribute_text import canonical_of_json
from processor.verification.findings import Finding, Findings, shown_value
from processor.verification.fold import PartitionFold
from processor.verification.leaf_comparison import LeafComparison, has_attributes
from processor.verification.leaf_fingerprint import fingerprint
from processor.verification.user_columns import UserColumns
from schemas.log.positions import place_of, position_of
from schemas.rules.fields import SUBSCRIPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from processor.decoding.producer_rules import LogPartition
    from processor.decoding.records import Record
    from processor.verification.folded_job import JobInPartition
    from processor.verification.leaf_comparison import Difference, LeafDifferences
    from processor.verification.snapshot import Leaves, OffsetRow, Tables

_FLAGS = [field.bit for field in SUBSCRIPTIONS]
_STATE: tuple[str, ...] = (
    "is_indexed", "sealed_job_id", "open_job_id", "open_mode", "open_fills",
    "next_sequence", "digest", "keeps_opt_outs", "has_opt_outs",
    "requires_digests",
)  # fmt: skip


@dataclass(slots=True)
class PartitionReport:
    """The result for one partition: ``records`` were folded, ``users`` compared."""

    partition: int
    jobs: dict[int, JobInPartition]
    records: int
    users: int
    findings: Findings = field(default_factory=Findings)


@dataclass(frozen=True, slots=True)
class PartitionLog:
    """A partition of the log, which is read as often as asked.

    ``end`` is where it ends, or before; ``read`` gives its records up to an offset.
    ``reverted`` are jobs whose rows are left out.
    """

    place: LogPartition
    end: int
    reverted: frozenset[int]
    read: Callable[[int], Iterable[Sequence[Record]]]


class PartitionVerification:
    """Verifies one partition of a snapshot."""

    def __init__(self, tables: Tables, log: PartitionLog, leaves: Leaves) -> None:
        self._tables = tables
        self._partition = log.place.number
        self._offset: OffsetRow = tables.offsets[log.place.number]
        self._log = log
        self._leaves = leaves
        self._findings = Findings()

    def run(self, note_progress: Callable[[int], None]) -> PartitionReport:
        """Fold and compare; ``note_progress`` is called with each number of records folded."""
        fold, records = self._folded(note_progress)
        self._compare_state(fold)
        users = sum(
            self._compare_leaf(fold, generation) for generation in self._tables.seen_generations
        )
        return PartitionReport(self._partition, fold.jobs, records, users, self._findings)

    def _folded(
        self, note_progress: Callable[[int], None], watched: Iterable[int] = ()
    ) -> tuple[PartitionFold, int]:
        tables = self._tables
        fold = PartitionFold(
            self._log.place,
            kept_generations={tables.generations[number] for number in tables.seen_generations},
            reverted=self._log.reverted,
            watched=set(watched),
        )
        count = 0
        for records in self._log.read(min(self._offset.next_offset, self._log.end)):
            fold.fold(records)
            count += len(records)
            note_progress(len(records))
        return fold, count

    def _compare_state(self, fold: PartitionFold) -> None:
        row, subject = self._offset, f"partition {self._partition}"
        if row.next_offset > self._log.end:
            self._note_offset(f"at most {self._log.end}, where the log ends")
        state = fold.state
        expected = {name: getattr(state, name) for name in _STATE}
        found = {name: getattr(row, name) for name in _STATE}
        if expected != found:
            self._note_offset("that of the job state beside it, which is another one in the log")
        self._findings.compare(
            "projection_offset", subject, [(name, expected[name], found[name]) for name in _STATE]
        )
        self._findings.compare(
            "projection_offset",
            subject,
            [("generation", fold.generation, self._tables.generations.get(row.generation))],
        )
        self._compare_attributes(fold)
        self._compare_opt_outs(fold)
        for job_id in fold.corrupt:
            self._findings.note(
                Finding(
                    table="log",
                    subject=f"job {job_id}, {subject}",
                    column="digest",
                    expected="the digest of the job's rows",
                    found="a JobSealed with another one",
                )
            )

    def _compare_attributes(self, fold: PartitionFold) -> None:
        expected = {name: attribute.type for name, attribute in fold.state.attributes.items()}
        found = {
            name: kind
            for (partition, name), kind in self._tables.attributes.items()
            if partition == self._partition
        }
        for name in sorted(expected.keys() | found.keys()):
            self._findings.compare(
                "attribute_partition",
                f"attribute {name}, partition {self._partition}",
                [("type", expected.get(name), found.get(name))],
            )

    def _compare_opt_outs(self, fold: PartitionFold) -> None:
        opt_outs = fold.opt_outs
        expected = Counter([*opt_outs.flags.values(), *opt_outs.erased.values()])
        for flags in range(min(_FLAGS), sum(_FLAGS) + 1, min(_FLAGS)):
            names = [field.name for field in SUBSCRIPTIONS if flags & field.bit]
            self._findings.compare(
                "opt_out",
                f"{', '.join(names)}, partition {self._partition}",
                [("keys", expected[flags], self._tables.opt_outs.get((self._partition, flags), 0))],
            )

    def _compare_leaf(self, fold: PartitionFold, generation: int) -> int:
        folded = fold.generations.get(self._tables.generations[generation], UserColumns())
        self._findings.compare(
            "user_count",
            f"generation {generation}, partition {self._partition}",
            [("users", folded.users, self._tables.user_counts.get((generation, self._partition)))],
        )
        expected = fingerprint(folded)
        if self._leaves.fingerprint(generation) == expected and has_attributes(
            folded, self._leaves.attributes(generation)
        ):
            return expected.rows
        comparison = LeafComparison(folded)
        for part in self._leaves.users(generation):
            comparison.take(part)
        differences = comparison.end()
        self._note_differences(differences)
        return differences.rows

    def _note_differences(self, differences: LeafDifferences) -> None:
        begin = position_of(self._partition, self._offset.next_offset)
        if begin <= differences.last_position < position_of(self._partition, self._log.end):
            last_offset = place_of(differences.last_position).offset
            self._note_offset(f"more than {last_offset}, the offset of a record that a user is of")
        ids = {found.id for found in differences.shown if found.id is not None}
        values: dict[int, dict[str, Any]] = {}
        if ids:
            values = self._folded(lambda _: None, ids)[0].watched.found
        shown = Counter[str]()
        for difference in differences.shown:
            finding = self._finding(difference, values)
            shown[finding.kind] += 1
            self._findings.note(finding)
        total = Counter[str]()
        for kind, count in differences.counts.items():
            column = "rows" if kind in {"missing", "added"} else kind
            total[f"users.{column}"] += count
        for kind, count in total.items():
            self._findings.count_more(kind, count - shown[kind])

    def _finding(self, difference: Difference, values: dict[int, dict[str, Any]]) -> Finding:
        expected = values.get(difference.id or 0, {})
        key = difference.key if difference.key is not None else expected.get("key")
        subject = f"key {key}"
        if difference.id is None:
            return Finding(
                table="users",
                subject=subject,
                column=None,
                expected="no user",
                found=f"one with id {difference.found}",
            )
        if difference.column is None:
            made_at = f"offset {place_of(difference.id).offset} of partition {self._partition}"
            return Finding(
                table="users",
                subject=subject,
                column=None,
                expected=f"the user {difference.id}, which the record at {made_at} made",
                found="none",
            )
        found = difference.found
        if difference.column == "attributes":
            found = canonical_of_json(str(found))
        return Finding(
            table="users",
            subject=subject,
            column=difference.column,
            expected=shown_value(expected.get(difference.column)),
            found=shown_value(found),
        )

    def _note_offset(self, expected: str) -> None:
        self._findings.note(
            Finding(
                table="projection_offset",
                subject=f"partition {self._partition}",
                column="next_offset",
                expected=expected,
                found=str(self._offset.next_offset),
            )
        )
