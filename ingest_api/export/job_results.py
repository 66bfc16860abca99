"""The result of each line of a job: its outcome, its user's id and key, or why it was rejected.

The lines are read from the log again, partition by partition in turns, and merged by their number;
what became of them is in the tables.  Memory holds some thousand lines of each partition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ingest_api.errors import ConflictError
from ingest_api.formats.tables import table_pieces
from ingest_api.jobs.file_columns import FileColumns
from ingest_api.kafka.log_reader import LogRange
from ingest_api.postgres.row_stream import RowPieces
from ingest_api.proofs.job_rows import job_rows
from schemas.log.job_states import OUTCOME_LETTERS
from schemas.log.positions import position_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from ingest_api.formats.tables import Format
    from ingest_api.kafka.log_reader import LogReader, LogReading
    from ingest_api.postgres.blocking_reader import BlockingReader
    from ingest_api.proofs.job_rows import JobRows
    from schemas.clients.event_schemas import EventSchemas
    from schemas.events import JobAccepted, RowErased

    Numbers = npt.NDArray[np.int64]

pc: Any = pyarrow.compute
_TIMEOUT_S: Final = 6 * 3600.0
"""A slow client takes long, and the reading goes on for as long as it takes."""
_PAGE: Final = 100
_ENDED: Final = ("COMPLETED", "COMPLETED_WITH_ERRORS")
RUNS: Final = (
    "The job has not ended, so not every line has its outcome yet: ask again once its state is"
    " COMPLETED or COMPLETED_WITH_ERRORS, as …/batchinfo/status/{id}/events tells at once"
)
UNDONE: Final = (
    "The job counts as if it had never run, so its lines have no outcomes: where it was undone,"
    " redo it (…/batchinfo/redo/{id}) to have them again; where it was cancelled, upload it again"
)
TOO_OLD: Final = (
    "The tables are of an earlier version, which kept no outcomes by line: ask again once the"
    " processor has built them anew from the log"
)
_TEXTS: Final = ("outcome", "id", "key", "column", "code", "reason", "notes")
SCHEMA: Final = pa.schema([("line", pa.int64()), *((name, pa.string()) for name in _TEXTS)])
_LINES: Final[Any] = SCHEMA.insert(0, pa.field("record_number", pa.int64()))
_REJECTIONS: Final = ("record_number", "line", "column", "code", "reason")
_END: Final = 1 << 62
_NAMES: Final = {ord(letter): name for name, letter in OUTCOME_LETTERS.items()}
_ERASED: Final = {"none": "unchanged", "refused": "rejected"}

_SELECT_JOB: Final[LiteralString] = """
SELECT state, lines, to_regclass('public.line_outcomes') IS NOT NULL AS has_outcomes,
       (SELECT generation FROM public.user_leaves LIMIT 1) AS generation
FROM public.jobs WHERE job_id = %s
"""
_SELECT_PARTS: Final[LiteralString] = """
SELECT partition, opened_offset, sealed_offset FROM public.job_partitions
WHERE job_id = %s AND rows > 0
"""
_SELECT_LETTERS: Final[LiteralString] = """
SELECT first_position, rows, outcomes FROM public.line_outcomes
WHERE job_id = %(job_id)s AND partition = %(partition)s AND first_position > %(after)s
ORDER BY first_position LIMIT %(page)s
"""
_SELECT_IDS: Final[LiteralString] = """
SELECT key, id FROM public.user_leaf_rows
WHERE generation = %(generation)s AND partition = %(partition)s AND key = ANY(%(keys)s)
"""
_SELECT_REJECTIONS: Final[LiteralString] = """
SELECT record_number, line, "column", code, reason FROM public.rejections
WHERE job_id = %(job_id)s AND record_number > %(after)s AND record_number <= %(upto)s
ORDER BY record_number
"""
_SELECT_NOTES: Final[LiteralString] = """
SELECT record_number, string_agg("column" || ': ' || code, '; ' ORDER BY "column", code) AS notes
FROM public.notes
WHERE job_id = %(job_id)s AND record_number > %(after)s AND record_number <= %(upto)s
GROUP BY record_number
"""


@dataclass(frozen=True, slots=True)
class JobResults:
    """Reads the results of jobs from the log and a snapshot of the tables."""

    log_reader: LogReader
    schemas: EventSchemas

    def rows(
        self, reader: BlockingReader, *, accepted: JobAccepted, is_undone: bool, as_format: Format
    ) -> RowPieces:
        """Return the results in the order of the file, and how many lines there are.

        Raises:
            ConflictError: the job has not ended, or counts for nothing.
        """
        found = reader.select(_SELECT_JOB, (accepted.job_id,))
        state = found[0]["state"] if found else "ACCEPTED"
        if is_undone:
            raise ConflictError(UNDONE)
        if state not in _ENDED:
            raise ConflictError(RUNS)
        if not found[0]["has_outcomes"]:
            raise ConflictError(TOO_OLD)
        tables = self._tables(reader, accepted, found[0]["generation"])
        return RowPieces(table_pieces(tables, SCHEMA, as_format), found[0]["lines"])

    def _tables(
        self, reader: BlockingReader, accepted: JobAccepted, generation: int
    ) -> Iterator[pa.Table]:
        job_id, in_file = accepted.job_id, FileColumns(accepted).in_rows
        with self.log_reader.reading(_TIMEOUT_S) as reading:
            parts = [
                _Part(_Source(reader, reading, self.schemas, job_id, generation), **row)
                for row in reader.select(_SELECT_PARTS, (job_id,))
            ]
            after = 0
            while after < _END:
                upto = min((part.read_beyond(after) for part in parts), default=_END)
                lines = pa.concat_tables([_LINES.empty_table(), *(p.taken(upto) for p in parts)])
                parameters = {"job_id": job_id, "after": after, "upto": min(upto, 2**31 - 1)}
                rejected = in_file(reader.select(_SELECT_REJECTIONS, parameters))
                noted = reader.select(_SELECT_NOTES, parameters)
                yield _with_notes(_merged(lines, rejected), noted).select(SCHEMA.names)
                after = upto


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the lines of one job and what became of them are read."""

    reader: BlockingReader
    reading: LogReading
    schemas: EventSchemas
    job_id: int
    generation: int


class _Part:
    """The lines of the job in one partition, read some thousand at a time."""

    def __init__(
        self, source: _Source, *, partition: int, opened_offset: int, sealed_offset: int
    ) -> None:
        self._source = source
        self._partition = partition
        self._next_offset = opened_offset
        self._sealed_offset = sealed_offset
        self._events = 0
        self._lines = _LINES.empty_table()
        self._last = 0
        self._letters = _letters(source, partition)
        self._ahead = np.empty(0, np.uint8)

    def read_beyond(self, after: int) -> int:
        """Read until a line after this number comes; return the last line's number."""
        while self._last <= after and self._next_offset <= self._sealed_offset:
            self._read()
        return self._last if self._next_offset <= self._sealed_offset else _END

    def taken(self, upto: int) -> pa.Table:
        """Return the lines up to this number, and forget them."""
        numbers = self._lines.column("record_number").to_numpy()
        count = int(np.searchsorted(numbers, upto, side="right"))
        taken, self._lines = self._lines.slice(0, count), self._lines.slice(count)
        return taken

    def _read(self) -> None:
        log_range = LogRange(self._partition, self._next_offset, self._sealed_offset)
        messages = next(self._source.reading.batches(log_range), None)
        if messages is None:
            self._next_offset = self._sealed_offset + 1
            return
        values = [message.value() or b"" for message in messages]
        offsets = np.array([message.offset() for message in messages], np.int64)
        self._source.schemas.learn(values)
        found = job_rows(self._source.job_id, values, self._events)
        self._events += len(found.places)
        self._next_offset = int(offsets[-1]) + 1
        self._last = max([self._last, *found.record_numbers[-1:].tolist()])
        positions = offsets[found.row_places] + position_of(self._partition, 0)
        lines = pa.concat_tables([self._lines, self._rows(found, positions), _erased(found.erased)])
        self._lines = lines.sort_by("record_number")

    def _rows(self, found: JobRows, positions: Numbers) -> pa.Table:
        """Return the lines that became rows; a user that is no longer there has no id."""
        letters = self._taken_letters(len(positions))
        keys = cast("Any", found.rows.column("key"))
        is_old = letters != ord(OUTCOME_LETTERS["inserted"])
        ids = positions.copy()
        if is_old.any():
            old_keys: list[str] = keys.filter(pa.array(is_old)).to_pylist()
            known = self._ids(old_keys)
            ids[is_old] = [known.get(key, _END) for key in old_keys]
        texts = pc.if_else(pa.array(ids <= positions), pc.cast(pa.array(ids), pa.string()), None)
        return _table(
            record_number=found.rows.column("record_number"),
            line=found.rows.column("line"),
            outcome=[_NAMES[letter] for letter in letters.tolist()],
            id=texts,
            key=keys,
        )

    def _ids(self, keys: list[str]) -> dict[str, int]:
        parameters = {
            "generation": self._source.generation, "partition": self._partition, "keys": keys,
        }  # fmt: skip
        rows = self._source.reader.select(_SELECT_IDS, parameters)
        return {row["key"]: row["id"] for row in rows}

    def _taken_letters(self, count: int) -> npt.NDArray[np.uint8]:
        while len(self._ahead) < count:
            self._ahead = np.concatenate([self._ahead, next(self._letters)])
        taken, self._ahead = self._ahead[:count], self._ahead[count:]
        return taken


def _letters(source: _Source, partition: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the letters of the job's rows in a partition, in the order of the log."""
    parameters = {"job_id": source.job_id, "partition": partition, "after": 0, "page": _PAGE}
    while rows := source.reader.select(_SELECT_LETTERS, parameters):
        for row in rows:
            letters = np.frombuffer(row["outcomes"].encode(), np.uint8)
            yield letters if len(letters) == row["rows"] else np.repeat(letters, row["rows"])
        parameters["after"] = rows[-1]["first_position"]


def _erased(rows: Sequence[RowErased]) -> pa.Table:
    """Return lines whose data was erased: the outcome is all that is known of them."""
    return _table(
        record_number=[row.record_number for row in rows],
        line=[row.line for row in rows],
        outcome=[_ERASED.get(row.outcome, row.outcome) for row in rows],
    )


def _merged(lines: pa.Table, rejected: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return the lines by number, those that are rejected with the reason instead."""
    columns = {name: [row[name] for row in rejected] for name in _REJECTIONS}
    rejections = _table(**columns, outcome=["rejected"] * len(rejected))
    numbers = rejections.column("record_number")
    at = pc.index_in(numbers, value_set=lines.column("record_number").combine_chunks())
    keys = lines.column("key").combine_chunks().take(at.combine_chunks())
    rejections = rejections.set_column(_LINES.get_field_index("key"), "key", keys)
    others = lines.filter(
        pc.invert(pc.is_in(lines.column("record_number"), value_set=numbers.combine_chunks()))
    )
    return pa.concat_tables([others, rejections]).sort_by("record_number")


def _with_notes(lines: pa.Table, noted: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return the lines with what was not taken of them as it stood."""
    numbers = pa.array([row["record_number"] for row in noted], pa.int64())
    at = pc.index_in(lines.column("record_number"), value_set=numbers).combine_chunks()
    texts = pa.array([row["notes"] for row in noted], pa.string()).take(at)
    return lines.set_column(_LINES.get_field_index("notes"), "notes", texts)


def _table(**columns: Any) -> pa.Table:
    """Return lines with these columns; those that are left out are null."""
    count = len(columns["record_number"])
    arrays: list[Any] = [
        pa.array(columns[name], kind) if name in columns else pa.nulls(count, kind)
        for name, kind in zip(_LINES.names, _LINES.types, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=_LINES)
