"""Answer dry runs, and check ``maxDeletePercent``, before an upload is accepted.

A few are answered at a time; each ends soon after its client has gone, after
Postgres has stopped answering, or after a time limit, and leaves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import aclosing
from decimal import ROUND_UP, Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ingest_api.dry_runs.answer import answer_of
from ingest_api.dry_runs.comparison import DryRunComparison, count_pending
from ingest_api.dry_runs.copy_input import ComparedLines, key_columns, line_columns, stored_inputs
from ingest_api.errors import (
    Detail,
    LogUnavailableError,
    StoreUnavailableError,
    UnavailableError,
    UploadLostError,
    invalid_file,
)
from ingest_api.event_log.user_events import NOTHING_KEPT
from ingest_api.postgres.slots import Slots

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence

    from ingest_api.dry_runs.answer import DryRunAnswer
    from ingest_api.dry_runs.comparison import Removal
    from ingest_api.event_log.job_events import JobLog
    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.postgres.pool import Database
    from ingest_api.uploads.concurrency_limit import ConcurrencyLimit
    from ingest_api.uploads.receiver import UploadResources
    from schemas.events import JobAccepted

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
_CENT: Final = Decimal("0.01")
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
        max_delete_percent: Decimal | None,
        until_gone: Callable[[], Awaitable[None]],
    ) -> DryRunAnswer:
        """Return what the job would do.

        Raises:
            InvalidRequestError: a delsert would remove more than ``max_delete_percent`` of the
                users.
        """
        return await self._bounded(self._dry_run(accepted, max_delete_percent), until_gone)

    async def check_removal(
        self,
        accepted: JobAccepted,
        max_delete_percent: Decimal,
        until_gone: Callable[[], Awaitable[None]],
    ) -> None:
        """Check that a delsert would not remove more than this share of the users.

        Decided on the audience after all jobs that were accepted before.

        Raises:
            InvalidRequestError: it would.
        """
        await self._bounded(self._check_removal(accepted, max_delete_percent), until_gone)

    async def _dry_run(
        self, accepted: JobAccepted, max_delete_percent: Decimal | None
    ) -> DryRunAnswer:
        jobs = await self._jobs()
        if max_delete_percent is not None:
            await self._wait_projected(jobs)
        lines = ComparedLines(accepted, line_columns)
        async with self._comparing(lines) as (comparison, inputs):
            compared = await comparison.compare(accepted.mode, inputs, jobs)
        if max_delete_percent is not None:
            check_removed_share(compared.removal, max_delete_percent)
        return answer_of(compared, lines)

    async def _check_removal(self, accepted: JobAccepted, max_delete_percent: Decimal) -> None:
        await self._wait_projected(await self._jobs())
        lines = ComparedLines(accepted, key_columns)
        async with self._comparing(lines) as (comparison, inputs):
            removal = await comparison.count_removed(inputs)
        check_removed_share(removal, max_delete_percent)

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
                    " yet what share of the users this file would remove: nothing was kept,"
                    " try again"
                )
            await asyncio.sleep(_PENDING_POLL_S)

    @contextlib.asynccontextmanager
    async def _comparing(
        self, lines: ComparedLines
    ) -> AsyncGenerator[tuple[DryRunComparison, AsyncGenerator[memoryview]]]:
        async with (
            self._slots.one(),
            self._database.session(_TIME_LIMIT_S) as connection,
            aclosing(stored_inputs(self._resources, lines)) as inputs,
        ):
            try:
                yield DryRunComparison(connection, _TIME_LIMIT_S), inputs
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
        if not working.cancelled():
            working.exception()  # marks it retrieved: its waiter has seen it, or has gone

    async def _until_lost(self) -> None:
        """Return once Postgres has stopped answering."""
        with contextlib.suppress(StoreUnavailableError):
            while True:
                await asyncio.sleep(_STORE_POLL_S)
                await self._database.select("SELECT 1", timeout_s=_STORE_TIMEOUT_S)


def check_removed_share(removal: Removal, most: Decimal) -> None:
    """Check that no more than this many per cent of the users would be removed.

    Raises:
        InvalidRequestError: more would be; it gives the numbers.
    """
    if removal.removed * 100 <= most * removal.users:
        return
    percent = (Decimal(removal.removed * 100) / removal.users).quantize(_CENT, ROUND_UP)
    message = (
        f"The file would remove {removal.removed:,} of the {removal.users:,} users,"
        f" {percent.normalize():f} %, and maxDeletePercent allows {most.normalize():f} %:"
        " check that the file is whole, or send it with a higher maxDeletePercent."
    )
    raise invalid_file(Detail("MAX_DELETE_PERCENT", message))
