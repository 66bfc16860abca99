"""Polls the statuses of watched jobs, at most five times a second for all watchers together."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ingest_api.errors import StoreUnavailableError, UnavailableError
from schemas.runtime.abandoned import shared_task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from ingest_api.event_log.ledger import LedgerJob
    from ingest_api.jobs.statuses import JobReader
    from ingest_api.jobs.views import JobView

_POLL_S: Final = 0.2
_QUIET_S: Final = 15.0


@dataclass(slots=True)
class _Watched:
    """A job with what is known of it, and how many watch it; ``changed`` is of the next change."""

    job: LedgerJob
    watchers: int = 0
    view: JobView | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, view: JobView) -> None:
        is_new = not view.shows_as(self.view)
        self.view = view
        if is_new:
            self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class JobWatch:
    """The watched jobs of one API process; its methods belong to one event loop."""

    def __init__(self, jobs: JobReader, *, most_watchers: int) -> None:
        self._jobs = jobs
        self._most_watchers = most_watchers
        self._watchers = 0
        self._watched: dict[int, _Watched] = {}
        self._polling: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._is_closing = False

    def close(self) -> None:
        """End what everybody watches, and let nobody begin."""
        self._is_closing = True
        self._wake_all()
        self._woken.set()

    @contextlib.contextmanager
    def slot(self) -> Generator[None]:
        """Count a watcher as long as the context is open.

        Raises:
            UnavailableError: there are too many already, or the process ends.
        """
        if self._is_closing or self._watchers >= self._most_watchers:
            raise UnavailableError("Too many event streams are open, try again")
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    async def views(self, job: LedgerJob) -> AsyncGenerator[JobView | None]:
        """Yield the job's view, now and after each change, up to its last status.

        At most five a second; None after each fifteen seconds without a change.
        Where Postgres doesn't answer it goes on as soon as it does.
        """
        watched = self._watch(job)
        last_view: JobView | None = None
        try:
            while not self._is_closing:
                self._check_polling()
                changed, view = watched.changed, watched.view
                if view is not None and not view.shows_as(last_view):
                    yield view
                    last_view = view
                    if view.is_ended:
                        return
                    await asyncio.sleep(_POLL_S)
                elif not await self._is_set(changed):
                    yield None
        finally:
            self._unwatch(watched)

    async def _is_set(self, changed: asyncio.Event) -> bool:
        try:
            async with asyncio.timeout(_QUIET_S):
                return await changed.wait()
        except TimeoutError:
            return False

    def _watch(self, job: LedgerJob) -> _Watched:
        job_id = job.accepted.job_id
        watched = self._watched.get(job_id)
        if watched is None:
            watched = self._watched[job_id] = _Watched(job)
            self._woken.set()
        watched.watchers += 1
        if self._polling is None or self._polling.done():
            self._polling = shared_task(self._poll())
            self._polling.add_done_callback(self._wake_all)
        return watched

    def _unwatch(self, watched: _Watched) -> None:
        watched.watchers -= 1
        if not watched.watchers:
            del self._watched[watched.job.accepted.job_id]

    def _wake_all(self, *_: object) -> None:
        for watched in self._watched.values():
            watched.wake()

    def _check_polling(self) -> None:
        """Raise to everybody who watches what a poll has failed of; who comes next begins anew."""
        if self._polling is not None and self._polling.done():
            self._polling.result()

    async def _poll(self) -> None:
        while self._watched and not self._is_closing:
            self._woken.clear()
            watched = list(self._watched.values())
            # Without Postgres nothing is known to have changed.
            with contextlib.suppress(StoreUnavailableError):
                views = await self._jobs.select_views([each.job for each in watched])
                for each, view in zip(watched, views, strict=True):
                    each.note(view)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._woken.wait()
