"""Compare a file's lines with the audience in one snapshot; nothing is changed.

All tables made here are temporary and gone with the transaction, however it ends;
where the API is gone too, Postgres notices within a second and ends it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString

import numpy as np
from psycopg import errors, sql

from ingest_api.dry_runs import opt_outs, statements
from ingest_api.errors import NoAudienceError
from ingest_api.jobs.pending import count_pending
from schemas.read_model.copy_binary import COPY_HEADER, COPY_TRAILER
from schemas.rules.fields import UNKNOWN_USER_INCOMPLETE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.postgres.pool import Connection
    from ingest_api.validation.key_hashes import KeyHashes
    from schemas.events import JobMode
    from schemas.read_model.column_hashes import Hashes

    Row = dict[str, Any]

_BEGIN: Final[LiteralString] = """
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
SET LOCAL statement_timeout = '{limit_s}s';
SET LOCAL idle_in_transaction_session_timeout = '60s';
SET LOCAL client_connection_check_interval = '1s';
SET LOCAL temp_buffers = '128MB';
SET LOCAL work_mem = '128MB';
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_nestloop = off;
SET LOCAL jit = off
"""
_ARRAY_HEAD_BYTES: Final = 20
"""The head of an array of one dimension: five numbers (PostgreSQL's array_send)."""
_COPY: Final[LiteralString] = "COPY {table} ({columns}) FROM STDIN (FORMAT binary)"


@dataclass(frozen=True, slots=True)
class Removal:
    """The number of users, and of those that the job would remove."""

    users: int
    removed: int


@dataclass(frozen=True, slots=True)
class KeyComparison:
    """What a file's keys would do to the audience, and how many of its lines it would reject."""

    removal: Removal
    rejected: int


@dataclass(frozen=True, slots=True)
class ComparisonResult:
    """The outcomes that a job would give its lines.

    ``lines`` counts them by outcome: ``insert``, ``update``, ``unchanged``, ``delete``, or
    the code of a rejection.
    ``samples`` are the first lines of each, in order: places as in ``compared_outcome``,
    with ``line``, ``raw``, the line's values, and those of its user ``before_`` and
    ``after_`` it.
    ``deleted`` are the first users that would go, by id.
    ``held_back`` counts the lines that would not opt in their users, by subscription.
    ``dropped`` counts the invalid cells that would be left out, by code and column.
    ``lacking`` counts the lines that lack what a new user needs, by the first such field.
    """

    lines: dict[str, int]
    samples: dict[str, list[Row]]
    removal: Removal
    deleted: list[Row]
    pending_jobs: int
    held_back: dict[str, int]
    dropped: list[Row]
    lacking: list[Row]


def compare_keys(keys: KeyHashes, users: Hashes) -> KeyComparison:
    """Return what a delsert or delete of these keys does to these users.

    A delsert rejects lines that repeat a key, a delete those whose key nobody has any more.
    """
    named, distinct = keys.compare(users)
    if keys.mode == "delete":
        return KeyComparison(Removal(len(users), named), keys.lines - named)
    return KeyComparison(Removal(len(users), len(users) - named), keys.lines - distinct)


def _hashes_in(sent: bytes | None) -> Hashes:
    """Return the numbers of an array as PostgreSQL sends it: a head, then length and value each."""
    if sent is None:
        return np.empty(0, np.uint64)
    elements = np.frombuffer(sent, [("bytes", ">i4"), ("hash", ">u8")], offset=_ARRAY_HEAD_BYTES)
    return elements["hash"].astype(np.uint64)


class DryRunComparison:
    """Compares in one transaction; ``connection`` is in one that has not read yet.

    Each method raises :class:`NoAudienceError`.
    """

    def __init__(self, connection: Connection, limit_s: int) -> None:
        self._connection = connection
        self._limit_s = limit_s

    async def key_hashes(self, most: int) -> Hashes | None:
        """Return the hashes of the keys of all users; None where they are more than ``most``."""
        await self._begin()
        (found,) = await self._select(statements.SELECT_HASHES, {"most": most}, binary=True)
        if found["users"] > most:
            return None
        return _hashes_in(found["hashes"])

    async def compare(
        self,
        mode: JobMode,
        lines: AsyncIterator[memoryview],
        jobs: Sequence[LedgerJob],
        *,
        fills: int = 0,
        keeps_opt_outs: bool = False,
    ) -> ComparisonResult:
        """Return the outcomes that a job of this mode gives; ``jobs`` are all accepted ones.

        ``fills`` are the fields that it only fills.
        """
        await self._begin()
        await self._run(statements.MAKE_TABLES)
        await self._copy("compared_line", statements.LINE_COLUMNS, lines)
        await self._run(statements.FIND_REPEATED)
        (repeated,) = await self._select(statements.HAS_REPEATED)
        if keeps_opt_outs:
            await self._run(opt_outs.hold_back(mode, fills, has_repeated=repeated["is_so"]))
        await self._find_outcomes(mode, fills, has_repeated=repeated["is_so"])
        counted = await self._select(statements.SELECT_OUTCOMES, {"samples": statements.SAMPLES})
        counts = {row["outcome"]: row["lines"] for row in counted}
        removal, deleted = await self._deleted(mode, counts)
        return ComparisonResult(
            lines=counts,
            samples=await self._samples(mode, fills, counted),
            removal=removal,
            deleted=deleted,
            pending_jobs=await count_pending(self._select, jobs),
            held_back=await self._held_back(mode) if keeps_opt_outs else {},
            dropped=await self._select(statements.COUNT_DROPPED),
            lacking=await self._lacking(counts),
        )

    async def _begin(self) -> None:
        await self._run(sql.SQL(_BEGIN).format(limit_s=sql.SQL("{}").format(self._limit_s)))

    async def _copy(
        self, table: str, columns: Sequence[str], pieces: AsyncIterator[memoryview]
    ) -> None:
        statement = sql.SQL(_COPY).format(
            table=sql.Identifier(table),
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        )
        async with (
            self._connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            await copy.write(COPY_HEADER)
            async for piece in pieces:
                await copy.write(piece)
            await copy.write(COPY_TRAILER)

    async def _find_outcomes(self, mode: JobMode, fills: int, *, has_repeated: bool) -> None:
        await self._run(statements.join_outcomes(mode, fills))
        if statements.traces(mode) and has_repeated:
            await self._run(statements.trace_repeated())
            await self._run(statements.traced_outcomes(mode, fills))

    async def _lacking(self, counts: dict[str, int]) -> list[Row]:
        is_none = UNKNOWN_USER_INCOMPLETE.code not in counts
        return [] if is_none else await self._select(statements.count_lacking())

    async def _held_back(self, mode: JobMode) -> dict[str, int]:
        (counted,) = await self._select(opt_outs.count_held_back(mode))
        return counted

    async def _samples(
        self, mode: JobMode, fills: int, places: Sequence[Row]
    ) -> dict[str, list[Row]]:
        samples: defaultdict[str, list[Row]] = defaultdict(list)
        if not places:
            return samples
        records = [place["record_number"] for place in places]
        keys = sorted({place["key"] for place in places})
        await self._run(statements.trace_samples(keys, max(records)))
        lines = await self._select(statements.select_samples(mode, fills), {"records": records})
        for place, line in zip(places, lines, strict=True):
            samples[place["outcome"]].append(place | line)
        return samples

    async def _deleted(self, mode: JobMode, counts: dict[str, int]) -> tuple[Removal, list[Row]]:
        (counted,) = await self._select(statements.COUNT_USERS)
        users: int = counted["users"]
        removed = counts.get("delete", 0)
        if mode == "delsert":
            removed = users - counts.get("update", 0) - counts.get("unchanged", 0)
        deleted = (
            await self._select(statements.select_deleted(mode), {"samples": statements.SAMPLES})
            if removed
            else []
        )
        return Removal(users, removed), deleted

    async def _run(self, statement: LiteralString | sql.Composed) -> None:
        try:
            await self._connection.execute(statement)
        except errors.UndefinedTable:
            raise NoAudienceError from None

    async def _select(
        self,
        statement: LiteralString | sql.Composed,
        parameters: Mapping[str, object] | None = None,
        *,
        binary: bool = False,
    ) -> list[Row]:
        try:
            found = await self._connection.execute(statement, parameters, binary=binary)
            return await found.fetchall()
        except errors.UndefinedTable:
            raise NoAudienceError from None
