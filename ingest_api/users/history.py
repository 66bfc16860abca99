"""The history of a user: its events read from the log, folded as the projection applies them.

A user's id is the log position of the event that made it, and its row knows the
position of the one that last changed it, so all that concerns it stands between
the two, in one partition, under its key.
:mod:`ingest_api.event_log.user_fold` decides which of these events counted and what they changed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from ingest_api.errors import ReadTimeoutError, UnavailableError, UnknownUserError
from ingest_api.event_log.user_fold import Entry, Rules, UserFold
from ingest_api.jobs.faults import shown_faults
from ingest_api.kafka.log_reader import LogRange
from ingest_api.kafka.reading_threads import ReadingThreads
from ingest_api.openapi.response_types import ChangeShown, EntryShown, HistoryShown
from ingest_api.openapi.user_answers import FIELD_NAMES, shown_value
from ingest_api.web.dates import date_text
from schemas.codec.registry_protocol import RegistryUnreachableError
from schemas.log.positions import place_of
from schemas.rules.fields import OPT_OUT_KEPT, SUBSCRIPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ingest_api.event_log.job_events import JobLog
    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.kafka.log_reader import LogReader
    from ingest_api.postgres.pool import Database
    from schemas.events import AttributeType, Event, UserRow

_THREADS: Final = 2
_MOST_WAITING: Final = 16
_TIMEOUT_S: Final = 20.0


class UserHistory:
    """Reads histories of users for one API process, a few at a time."""

    def __init__(
        self, database: Database, job_log: JobLog, log_reader: LogReader, reconciliation_key: str
    ) -> None:
        self._reconciliation_key = reconciliation_key
        self._database = database
        self._job_log = job_log
        self._log_reader = log_reader
        self._threads = ReadingThreads(
            "history",
            at_once=_THREADS,
            most=_MOST_WAITING,
            refusal="Too many histories are being read, try again",
        )

    def close(self) -> None:
        """Accept no more requests, and end those under way."""
        self._log_reader.close()
        self._threads.close()

    # One statement, so that the user is of the instance whose reverted jobs are selected.
    _SELECT: Final = """
    SELECT key, modified_position,
           (SELECT reverted_job_ids FROM public.projection_instance
            WHERE state = 'active') AS reverted
    FROM public.users WHERE id = %s
    """
    _SELECT_TYPES: Final = """
    SELECT name, type FROM public.attributes
    """

    async def select_page(self, user_id: int, *, start: int, page_size: int) -> HistoryShown:
        """Return a page of the user's history, the oldest entry first, and the number of entries.

        Raises:
            InvalidRequestError: there is no such user.
            UnavailableError: too many ask or it takes too long.
            StoreUnavailableError, LogUnavailableError: Postgres or Kafka doesn't answer.
        """
        rows = await self._database.select_projected(self._SELECT, (user_id,))
        if not rows:
            raise UnknownUserError
        defined = await self._database.select_projected(self._SELECT_TYPES)
        types = {row["name"]: row["type"] for row in defined}
        await self._job_log.catch_up()  # every job that has changed the user is known then
        loop = asyncio.get_running_loop()
        rules = replace(
            Rules.of(self._reconciliation_key, types, rows[0]["reverted"] or ()),
            fills_of=self._fills_of,
            keeps_opt_outs=self._keeps_opt_outs,
            kept_of_new=partial(self._kept_of_new, loop),
        )
        log_range = _log_range(user_id, rows[0]["modified_position"])
        end = start + page_size
        total, page = await self._in_thread(
            _HistoryRequest(user_id, rows[0]["key"], rules, log_range, begin=start, end=end)
        )
        job = self._job_log.ledger.job
        return HistoryShown(
            id=str(user_id),
            total=total,
            history=[_entry_view(entry, user_id, job, rules.types) for entry in page],
        )

    def _kept_of_new(self, loop: asyncio.AbstractEventLoop, row: UserRow) -> int:
        """Return what such a row has not set to true; called in a thread of its own."""
        return asyncio.run_coroutine_threadsafe(self._select_kept(row), loop).result(_TIMEOUT_S)

    _SELECT_KEPT: Final = """
    SELECT "column" FROM public.notes
    WHERE job_id = %(job_id)s AND record_number = %(record_number)s AND code = %(code)s
    """

    async def _select_kept(self, row: UserRow) -> int:
        """Return the bits of what a job's row, which made a user, has not set to true."""
        parameters = {
            "job_id": row.job_id,
            "record_number": row.record_number,
            "code": OPT_OUT_KEPT.code,
        }
        rows = await self._database.select_projected(self._SELECT_KEPT, parameters)
        columns = {row["column"] for row in rows}
        return sum(field.bit for field in SUBSCRIPTIONS if field.header in columns)

    def _keeps_opt_outs(self, job_id: int) -> bool:
        job = self._job_log.ledger.job(job_id)
        return job is not None and job.accepted.opt_ins == "keep"

    def _fills_of(self, job_id: int) -> int:
        job = self._job_log.ledger.job(job_id)
        return 0 if job is None else job.accepted.fills

    async def _in_thread(self, request: _HistoryRequest) -> tuple[int, list[Entry]]:
        try:
            return await self._threads.run(self._read, request)
        except ReadTimeoutError:
            raise _too_long(request) from None

    def _read(self, request: _HistoryRequest) -> tuple[int, list[Entry]]:
        ledger = self._job_log.ledger
        keys = ledger.keys_with(request.key)
        fold = UserFold(request.user_id, request.key, ledger.offset_of, request.rules)
        total, page = 0, list[Entry]()
        for offset, value in self._log_reader.read(request.log_range, keys, timeout_s=_TIMEOUT_S):
            entry = fold.apply(offset, event) if (event := self._decoded(value)) else None
            if entry is not None:
                if request.begin <= total < request.end:
                    page.append(entry)
                total += 1
        return total, page

    def _decoded(self, value: bytes | None) -> Event | None:
        try:
            return self._job_log.schemas.decode_or_none(value)
        except RegistryUnreachableError as error:
            raise UnavailableError(
                f"The schema registry can't be reached, try again: {error}"
            ) from None


@dataclass(frozen=True, slots=True)
class _HistoryRequest:
    """A request for the entries from ``begin`` up to ``end``, counted from 0."""

    user_id: int
    key: str
    rules: Rules
    log_range: LogRange
    begin: int
    end: int


def _log_range(user_id: int, modified_position: int | None) -> LogRange:
    partition, first_offset = place_of(user_id)
    _, last_offset = place_of(modified_position or user_id)
    return LogRange(partition, first_offset, last_offset)


def _too_long(request: _HistoryRequest) -> UnavailableError:
    log_range = request.log_range
    return UnavailableError(
        f"The user's history was not read within {_TIMEOUT_S:g} s: try again when Kafka is less"
        f" busy, or read user-events yourself, partition {log_range.partition}, offsets"
        f" {log_range.first_offset} to {log_range.last_offset}, the records with the user's key"
    )


def _entry_view(
    entry: Entry,
    user_id: int,
    job_of: Callable[[int], LedgerJob | None],
    types: Mapping[str, AttributeType],
) -> EntryShown:
    row = entry.row
    partition, created_offset = place_of(user_id)
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
        opt_outs_kept=[FIELD_NAMES[name] for name in entry.kept],
        dropped=shown_faults(row.dropped_cells),
        changes={
            FIELD_NAMES.get(name, name): ChangeShown(
                before=shown_value(before, types.get(name)),
                after=shown_value(after, types.get(name)),
            )
            for name, (before, after) in entry.changes.items()
        },
    )
