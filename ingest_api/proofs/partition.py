"""Prove a job in one partition: count its events, and compare its surviving users with them.

The records come in the order of the log, the users in the order of the log
position that each was last set at, so both are read once, side by side,
and memory is flat.  Pure.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ingest_api.proofs.expected_values import expected_and_found, pair_as_text
from ingest_api.proofs.job_rows import job_rows
from schemas.codec import codec
from schemas.events import JobOpened, JobSealed
from schemas.log.positions import place_of, position_of
from schemas.read_model.column_hashes import mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ingest_api.proofs.job_rows import JobRows
    from ingest_api.proofs.surviving_users import SurvivingUsers
    from schemas.events import JobAccepted

MOST_FINDINGS: Final = 20
_WRAP: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class ProofFinding:
    """A difference: ``column`` is None where it concerns a whole row or record."""

    table: str
    subject: str
    column: str | None
    expected: str
    found: str


class ProofFindings:
    """The first findings, and the count of all."""

    def __init__(self) -> None:
        self.shown: list[ProofFinding] = []
        self.count = 0

    def note(
        self, table: str, subject: str, column: str | None, values: tuple[object, object]
    ) -> None:
        """Add a finding, with the values expected and found."""
        expected, found = ("null" if value is None else str(value) for value in values)
        self.count += 1
        if len(self.shown) < MOST_FINDINGS:
            self.shown.append(ProofFinding(table, subject, column, expected, found))

    def compare(
        self, table: str, subject: str, column: str | None, values: tuple[object, object]
    ) -> None:
        """Add a finding where the values expected and found differ."""
        if values[0] != values[1]:
            self.note(table, subject, column, values)

    def count_more(self, count: int) -> None:
        """Count findings that are not shown."""
        self.count += count


@dataclass(frozen=True, slots=True)
class JobPart:
    """The job in one partition, as the read model has it: offsets, rows and digest."""

    partition: int
    opened_offset: int
    sealed_offset: int
    rows: int
    digest: int


class PartitionProof:
    """Proves a range of one partition: :meth:`take` its records in batches; then :meth:`end`."""

    def __init__(
        self, job: JobAccepted, part: JobPart, survivors: SurvivingUsers, findings: ProofFindings
    ) -> None:
        self.part = part
        self.events = 0
        self.digest = 0
        self.users = 0
        self.users_hash = 0
        self.log_hash = 0
        self._job_id = job.job_id
        self._fills = job.fills
        self._survivors = survivors
        self._findings = findings
        self._first_position = position_of(part.partition, 0)

    def take(self, offsets: npt.NDArray[np.int64], values: Sequence[bytes]) -> None:
        """Compare the next records, at least one."""
        self._check_brackets(offsets, values)
        rows = job_rows(self._job_id, values, self.events)
        self.events += len(rows.places)
        places: list[int] = rows.places.tolist()
        self.digest = zlib.crc32(b"".join([values[at] for at in places]), self.digest)
        positions = offsets[rows.row_places] + self._first_position
        for users in self._survivors.up_to(int(offsets[-1]) + self._first_position):
            self._compare(rows, positions, users)

    def end(self) -> None:
        """Compare the totals, and the users that are left."""
        for users in self._survivors.rest():
            self._report_unknown(users)
        subject = f"partition {self.part.partition}"
        self._findings.compare("log", subject, "events", (self.part.rows, self.events))
        self._findings.compare("log", subject, "digest", (self.part.digest, self.digest))

    def _check_brackets(self, offsets: npt.NDArray[np.int64], values: Sequence[bytes]) -> None:
        for offset, kind in (
            (self.part.opened_offset, JobOpened),
            (self.part.sealed_offset, JobSealed),
        ):
            at = int(np.searchsorted(offsets, offset))
            if at < len(offsets) and offsets[at] == offset:
                self._check_bracket(offset, kind, values[at])

    def _check_bracket(self, offset: int, kind: type[JobOpened | JobSealed], value: bytes) -> None:
        partition = self.part.partition
        place = f"partition {partition}, offset {offset}"
        expected = f"{kind.__name__} of job {self._job_id}"
        try:
            event = codec.decode(value)
        except codec.UndecodableError as error:
            self._findings.note("log", place, None, (expected, error.code))
            return
        if not isinstance(event, JobOpened | JobSealed):
            self._findings.note("log", place, None, (expected, type(event).__name__))
            return
        found = f"{type(event).__name__} of job {event.job_id}"
        self._findings.compare("log", place, None, (expected, found))
        if isinstance(event, JobSealed):
            for column in ("rows", "digest"):
                pair = getattr(event, column), getattr(self.part, column)
                self._findings.compare("job_partition", f"partition {partition}", column, pair)

    def _compare(self, rows: JobRows, positions: npt.NDArray[np.int64], users: pa.Table) -> None:
        """Compare the users that were set up to the end of a batch with its rows."""
        user_positions = _numbers(users, "position")
        places = np.searchsorted(positions, user_positions)
        places[places == len(positions)] = 0
        is_known = np.zeros(len(users), np.bool_)
        if len(positions):
            is_known = positions[places] == user_positions
        self._report_unknown(users.filter(pa.array(~is_known)))
        known_users = users.filter(pa.array(is_known))
        if len(known_users):
            self._compare_known(rows.rows.take(places[is_known]), known_users)

    def _compare_known(self, events: pa.RecordBatch, users: pa.Table) -> None:
        ids = _numbers(users, "id")
        values = expected_and_found(events, users, ids == _numbers(users, "position"), self._fills)
        users_sum, log_sum = values.sums(ids.astype(np.uint64))
        self.users += len(users)
        self.users_hash = (self.users_hash + users_sum) & _WRAP
        self.log_hash = (self.log_hash + log_sum) & _WRAP
        for name, expected in values.expected.items():
            differing = np.flatnonzero(expected != values.found[name])
            for at in differing[:MOST_FINDINGS].tolist():
                pair = pair_as_text(name, events, users, at)
                self._findings.note("users", f"key {users.column('key')[at]}", name, pair)
            self._findings.count_more(max(0, len(differing) - MOST_FINDINGS))

    def _report_unknown(self, users: pa.Table) -> None:
        """Report users of the job that no row of it in the log has set."""
        if not len(users):
            return
        ids = _numbers(users, "id")
        self.users += len(users)
        self.users_hash = (self.users_hash + int(mixed(ids.astype(np.uint64)).sum())) & _WRAP
        for row in users.slice(0, MOST_FINDINGS).select(["key", "position"]).to_pylist():
            offset = place_of(row["position"]).offset
            expected = f"a row of the job at offset {offset} of partition {self.part.partition}"
            self._findings.note("users", f"key {row['key']}", None, (expected, "none in the log"))
        self._findings.count_more(max(0, len(users) - MOST_FINDINGS))


def _numbers(users: pa.Table, name: str) -> npt.NDArray[np.int64]:
    return np.asarray(users.column(name)).astype(np.int64, copy=False)
