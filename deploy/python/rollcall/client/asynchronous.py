"""The client for asyncio: the synchronous one in a thread, which reads the file, too."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar

from rollcall.client.synchronous import Client, ignore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path
    from typing import Unpack

    from deploy.api_client.client import Account, Token
    from ingest_api.openapi.response_types import JobError, JobNote, JobProof, JobStatus, User
    from rollcall.client.synchronous import DryRun, Options

_P = ParamSpec("_P")
_T = TypeVar("_T")
_ENDED: Final = object()


class AsyncClient:
    """Calls the API as :class:`rollcall.client.Client` does, and holds up no event loop.

    Its requests go one after another; where several shall be under way, make a client for each.
    A task that is cancelled waits no longer; the request that it had sent is still answered.
    """

    def __init__(
        self, url: str, credentials: Account | Token, *, retry_for_s: float = 120.0
    ) -> None:
        self._client = Client(url, credentials, retry_for_s=retry_for_s)
        self._thread = ThreadPoolExecutor(1, "rollcall-client")

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close its connections."""
        await self._run(self._client.close)
        self._thread.shutdown(wait=False)

    async def import_file(
        self,
        path: str | Path,
        *,
        mode: str = "insert",
        idempotency_key: str | None = None,
        on_progress: Callable[[JobStatus], object] = ignore,
        **options: Unpack[Options],
    ) -> JobStatus:
        """Import a file and return its job once it has ended; rejected lines are no error."""
        job_id = await self.submit(path, mode=mode, idempotency_key=idempotency_key, **options)
        return await self.wait(job_id, on_progress=on_progress)

    async def submit(
        self,
        path: str | Path,
        *,
        mode: str = "insert",
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> str:
        """Upload a file and return the id of its job, which runs from then on."""
        send = partial(self._client.submit, mode=mode, idempotency_key=idempotency_key, **options)
        return await self._run(send, path)

    async def dry_run(
        self, path: str | Path, *, mode: str = "insert", **options: Unpack[Options]
    ) -> DryRun:
        """Return what importing the file would do; nothing is changed."""
        return await self._run(partial(self._client.dry_run, mode=mode, **options), path)

    async def status(self, job_id: str) -> JobStatus:
        """Return the status of a job."""
        return await self._run(self._client.status, job_id)

    async def wait(
        self, job_id: str, *, on_progress: Callable[[JobStatus], object] = ignore
    ) -> JobStatus:
        """Return the job's status once it has ended; ``on_progress`` gets each before that."""
        loop = asyncio.get_running_loop()

        def tell(status: JobStatus) -> None:
            loop.call_soon_threadsafe(on_progress, status)

        return await self._run(partial(self._client.wait, on_progress=tell), job_id)

    def errors(self, job_id: str) -> AsyncIterator[JobError]:
        """Yield the rejected lines of a job, in the order of the file."""
        return self._each(self._client.errors(job_id))

    def notes(self, job_id: str) -> AsyncIterator[JobNote]:
        """Yield the notes of a job, in the order of the file."""
        return self._each(self._client.notes(job_id))

    def jobs(self, **filters: str) -> AsyncIterator[JobStatus]:
        """Yield the statuses of jobs, the newest first; filters are the API's, as ``state``."""
        return self._each(self._client.jobs(**filters))

    async def proof(self, job_id: str) -> JobProof:
        """Return what shows that nothing of the job was lost."""
        return await self._run(self._client.proof, job_id)

    async def undo(self, job_id: str) -> JobStatus:
        """Undo a job and return its status once the audience is as if it had never run."""
        return await self._run(self._client.undo, job_id)

    async def redo(self, job_id: str) -> JobStatus:
        """Take back the undo of a job and return its status once that is done."""
        return await self._run(self._client.redo, job_id)

    async def cancel(self, job_id: str) -> JobStatus:
        """Cancel a job that waits or runs and return its status once it has ended."""
        return await self._run(self._client.cancel, job_id)

    async def user(self, user_id: str, *, as_of: str | None = None) -> User:
        """Return the user with this id, now or as of a time or job."""
        return await self._run(partial(self._client.user, as_of=as_of), user_id)

    def users(self, *, as_of: str | None = None, **filters: str) -> AsyncIterator[User]:
        """Yield users by id; filters are the API's, as ``email`` or ``country``."""
        return self._each(self._client.users(as_of=as_of, **filters))

    async def _run(self, action: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        call = partial(action, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def _each(self, items: Iterator[_T]) -> AsyncIterator[_T]:
        """Yield the items; each page is asked for in the thread."""
        while (item := await self._run(_next, items)) is not _ENDED:
            yield item


def _next(items: Iterator[Any]) -> Any:
    return next(items, _ENDED)
