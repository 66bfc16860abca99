"""Answer dry runs, and check the limits of an upload, before it is accepted.

A few are answered at a time; each ends soon after its client has gone, after
Postgres has stopped answering, or after a time limit, and leaves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ingest_api.dry_runs.answer import answer_of, rejected_lines
from ingest_api.dry_runs.audience_keys import AudienceKeys, AudienceKeysAhead
from ingest_api.dry_runs.comparison import DryRunComparison, KeyComparison, compare_keys
from ingest_api.dry_runs.copy_input import ComparedLines, stored_inputs
from ingest_api.errors import (
    Detail,
    LogUnavailableError,
    StoreUnavailableError,
    UnavailableError,
    UploadLostError,
    invalid_file,
)
from ingest_api.event_log.user_events import NOTHING_KEPT
from ingest_api.jobs.pending import count_pending
from ingest_api.postgres.slots import Slots
from ingest_api.validation.key_hashes import MOST_HASHES
from schemas.runtime.abandoned import mark_retrieved

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence

    from ingest_api.dry_runs.answer import DryRunAnswer
    from ingest_api.dry_runs.comparison import ComparisonResult
    from ingest_api.dry_runs.limits import UploadLimits
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.postgres.pool import Database
    from ingest_api.uploads.concurrency_limit import ConcurrencyLimit
    from ingest_api.uploads.receiver import UploadResources
    from ingest_api.validation.key_hashes import KeyHashes
    from schemas.events import JobAccepted
    from schemas.read_model.column_hashes import Hashes

_AT_ONCE: Final = 2
_SLOT_TIMEOUT_S: Final = 30.0
_NO_SLOT: Final = (
    f"{_AT_ONCE} uploads are being compared with the audience: nothing was kept, try again"
)
_TIME_LIMIT_S: Final = 300
_PENDING_TIMEOUT_S: Final = 30.0
_PENDING_POLL_S: Final = 0.2
_STORE_POLL_S: Final = 5.0
_STORE_TIMEOUT_S: Final = 3.0
_MOST_AHEAD: Final = 1_000_000
"""Of an audience: eight bytes each are held for as long as the file comes."""
_T = TypeVar("_T")


class DryRuns:
    """Compares uploads with the audience for one API process.

    Each method raises ``UnavailableError`` where there is no answer for now.
    ``until_gone`` returns once the client has gone.
    """

    def __init__(
        self,
        resources: UploadResources,
        database: Database,
        job_log: JobLog,
        concurrency: ConcurrencyLimit,
    ) -> None:
        self._resources = resources
        self._database = database
        self._job_log = job_log
        self._concurrency = concurrency
        self._slots = Slots(_AT_ONCE, timeout_s=_SLOT_TIMEOUT_S, refusal=_NO_SLOT)
        self._working = set[asyncio.Task[Any]]()

    async def dry_run(
        self,
        accepted: JobAccepted,
        limits: UploadLimits,
        until_gone: Callable[[], Awaitable[None]],
    ) -> DryRunAnswer:
        """Return what the job would do, and for which default limit it would be refused.

        Raises:
            InvalidRequestError: it would go over a limit that the upload itself names.
        """
        return await self._bounded(self._dry_run(accepted, limits), until_gone)

    def keys_ahead(self) -> AudienceKeysAhead:
        """Return what reads the keys of the audience while an upload comes."""
        return AudienceKeysAhead(self._read_keys_ahead)

    async def check_limits(
        self,
        accepted: JobAccepted,
        limits: UploadLimits,
        until_gone: Callable[[], Awaitable[None]],
        *,
        keys: KeyHashes | None,
        ahead: AudienceKeysAhead,
    ) -> None:
        """Check that the job would keep within the limits.

        Decided on the audience after all jobs that were accepted before.
        ``keys`` are the file's, where its survey has kept them: else it is read again.
        ``ahead`` has the audience's, where no job was accepted since they were read.

        Raises:
            InvalidRequestError: it wouldn't.
        """
        limits.check_rejected(accepted.lines, accepted.rejected_lines)
        if limits.are_none:
            return
        are_kept = keys is not None and keys.are_all and keys.mode == accepted.mode
        check = self._check(accepted, limits, keys if are_kept else None, ahead)
        await self._bounded(check, until_gone)

    async def _dry_run(self, accepted: JobAccepted, limits: UploadLimits) -> DryRunAnswer:
        asked_for = limits.asked_for()
        jobs = await self._jobs()
        if not asked_for.are_none:
            await self._wait_projected(jobs)
        keeps_opt_outs = accepted.opt_ins == "keep"
        compared, lines = await self._compare(accepted, jobs, keeps_opt_outs=keeps_opt_outs)
        asked_for.check_rejected(accepted.lines, rejected_lines(compared, lines))
        asked_for.check_removed(compared.removal)
        return answer_of(compared, lines, limits)

    async def _check(
        self,
        accepted: JobAccepted,
        limits: UploadLimits,
        keys: KeyHashes | None,
        ahead: AudienceKeysAhead,
    ) -> None:
        jobs = await self._jobs()
        users = await ahead.hashes_after(len(jobs)) if keys is not None else None
        # A delsert's lines are judged by the file alone.
        if users is None and (accepted.mode != "delsert" or limits.max_deleted_share is not None):
            await self._wait_projected(jobs)
        if users is None and keys is not None:
            users = await self._read_keys(MOST_HASHES)
        if keys is not None and users is not None:
            found = await asyncio.to_thread(compare_keys, keys, users)
        else:
            compared, lines = await self._compare(accepted, jobs)
            rejected = rejected_lines(compared, lines) - accepted.rejected_lines
            found = KeyComparison(compared.removal, rejected)
        limits.check_rejected(accepted.lines, accepted.rejected_lines + found.rejected)
        limits.check_removed(found.removal)

    async def _read_keys_ahead(self) -> AudienceKeys | None:
        """Return the keys of the audience; None where jobs run, or there are too many users."""
        jobs = await self._jobs()
        if await count_pending(self._database.select_projected, jobs):
            return None
        hashes = await self._read_keys(_MOST_AHEAD)
        return None if hashes is None else AudienceKeys(len(jobs), hashes)

    async def _read_keys(self, most: int) -> Hashes | None:
        async with self._comparing() as comparison:
            return await comparison.key_hashes(most)

    async def _compare(
        self, accepted: JobAccepted, jobs: Sequence[LedgerJob], *, keeps_opt_outs: bool = False
    ) -> tuple[ComparisonResult, ComparedLines]:
        lines = ComparedLines(accepted)
        async with (
            self._comparing() as comparison,
            aclosing(stored_inputs(self._resources, lines)) as inputs,
        ):
            compared = await comparison.compare(
                accepted.mode,
                inputs,
                jobs,
                fills=accepted.fills,
                keeps_opt_outs=keeps_opt_outs,
            )
            return compared, lines

    async def _jobs(self) -> Sequence[LedgerJob]:
        """Return all jobs accepted so far, by this instance or another."""
        await self._job_log.catch_up()
        return tuple(self._job_log.ledger.jobs)

    async def _wait_projected(self, jobs: Sequence[LedgerJob]) -> None:
        until_s = time.monotonic() + _PENDING_TIMEOUT_S
        while pending := await count_pending(self._database.select_projected, jobs):
            if time.monotonic() > until_s:
                raise UnavailableError(
                    f"Of the jobs accepted before, {pending} are not finished, so it can't be told"
                    " yet whether this file keeps within its limits: nothing was kept, try again"
                )
            await asyncio.sleep(_PENDING_POLL_S)

    @contextlib.asynccontextmanager
    async def _comparing(self) -> AsyncGenerator[DryRunComparison]:
        async with self._slots.one(), self._database.session(_TIME_LIMIT_S) as connection:
            try:
                yield DryRunComparison(connection, _TIME_LIMIT_S)
            except (UploadLostError, LogUnavailableError):
                raise UnavailableError(NOTHING_KEPT) from None

    async def _bounded(
        self, work: Coroutine[Any, Any, _T], until_gone: Callable[[], Awaitable[None]]
    ) -> _T:
        working = asyncio.create_task(work)
        self._working.add(working)
        working.add_done_callback(self._forget)
        lost = asyncio.create_task(self._until_lost())
        gone = asyncio.ensure_future(until_gone())
        try:
            async with self._concurrency.comparing(_TIME_LIMIT_S):
                await asyncio.wait({working, lost, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The cancelled session is not waited for: a frozen server would hold up the answer.
            for task in (working, lost, gone):
                task.cancel()
        if working.done():
            return working.result()
        if lost.done():
            raise StoreUnavailableError("no answer")
        raise invalid_file(Detail("CLIENT_GONE", "The client went away before the answer."))

    def _forget(self, working: asyncio.Task[Any]) -> None:
        self._working.discard(working)
        mark_retrieved(working)

    async def _until_lost(self) -> None:
        """Return once Postgres has stopped answering."""
        with contextlib.suppress(StoreUnavailableError):
            while True:
                await asyncio.sleep(_STORE_POLL_S)
                await self._database.select("SELECT 1", timeout_s=_STORE_TIMEOUT_S)
