"""The synchronous client."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict, TypeVar, cast

import msgspec

from deploy.api_client import job, upload
from deploy.api_client.client import ApiClient, path_of
from deploy.api_client.retry import RetryPolicy, with_retries
from ingest_api.openapi.response_types import JobError, JobNote, JobProof, JobStatus, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Unpack

    from deploy.api_client.client import Account, Token

_PAGE_SIZE: Final = 1000
_ISO: Final = {"dateFormat": "iso"}
_T = TypeVar("_T")


class Options(TypedDict, total=False):
    """What may be said of an import, as the options of `rollcall import`; see `docs/files.md`."""

    delimiter: str
    charset: str
    blank_cells: str
    overwrite: str
    phone_region: str
    date_order: str
    max_delete_percent: float
    max_rejected: int
    max_rejected_percent: float
    columns: tuple[str, ...]
    unknown_columns: str
    sheet: str
    preset: str
    opt_ins: str
    invalid_optional: str


class DryRun(msgspec.Struct, frozen=True):
    """How many users and lines an import would concern; ``answer`` is all that the API says."""

    total: int
    insert: int
    update: int
    unchanged: int
    delete: int
    reject: int
    answer: dict[str, Any] = {}


# Each thread may have a client: msgspec prepares a type when it is first asked for it, and where
# two threads ask at once, the process ends with SIGSEGV (msgspec 0.22).
for _kind in (DryRun, JobError, JobNote, JobProof, JobStatus, User):
    msgspec.json.Decoder(_kind)


def ignore(_: object) -> None:
    """Do nothing with what is told."""


class Client:
    """Calls the API with one account's credentials; a context manager, for one thread at a time.

    Methods raise RefusedError, whose ``answer`` has the API's ``code`` and ``details``, where the
    API refuses, and UnreachableError where it can't be reached for ``retry_for_s`` seconds.
    """

    def __init__(
        self, url: str, credentials: Account | Token, *, retry_for_s: float = 120.0
    ) -> None:
        self._api = ApiClient(url, credentials)
        self._policy = RetryPolicy(for_s=retry_for_s)

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._api.__exit__()

    def import_file(
        self,
        path: str | Path,
        *,
        mode: str = "insert",
        idempotency_key: str | None = None,
        on_progress: Callable[[JobStatus], object] = ignore,
        **options: Unpack[Options],
    ) -> JobStatus:
        """Import a file and return its job once it has ended; rejected lines are no error.

        The same file with the same key is one job, also from another process or machine.
        """
        job_id = self.submit(path, mode=mode, idempotency_key=idempotency_key, **options)
        return self.wait(job_id, on_progress=on_progress)

    def submit(
        self,
        path: str | Path,
        *,
        mode: str = "insert",
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> str:
        """Upload a file and return the id of its job, which runs from then on."""
        key = idempotency_key or str(uuid.uuid4())

        def send(file: upload.Upload) -> dict[str, Any]:
            return upload.send(self._api, file, idempotency_key=key, advance=ignore)

        return str(self._sent(path, mode, options, send)["id"])

    def dry_run(
        self, path: str | Path, *, mode: str = "insert", **options: Unpack[Options]
    ) -> DryRun:
        """Return what importing the file would do; nothing is changed."""

        def send(file: upload.Upload) -> dict[str, Any]:
            return upload.send_for_dry_run(self._api, file, advance=ignore)

        answer = self._sent(path, mode, options, send)
        return msgspec.convert({**answer, "answer": answer}, DryRun)

    def status(self, job_id: str) -> JobStatus:
        """Return the status of a job."""
        return self._get(path_of("batchinfo", "status", job_id), JobStatus, _ISO)

    def wait(
        self, job_id: str, *, on_progress: Callable[[JobStatus], object] = ignore
    ) -> JobStatus:
        """Return the job's status once it has ended; ``on_progress`` gets each before that."""
        for status in job.follow(self._api, job_id, date_format="iso"):
            on_progress(msgspec.convert(status, JobStatus))
        return self.status(job_id)

    def errors(self, job_id: str) -> Iterator[JobError]:
        """Yield the rejected lines of a job, in the order of the file."""
        return self._pages(path_of("batchinfo", "errors", job_id), "Errors", JobError)

    def notes(self, job_id: str) -> Iterator[JobNote]:
        """Yield the notes of a job, in the order of the file."""
        return self._pages(path_of("batchinfo", "notes", job_id), "notes", JobNote)

    def jobs(self, **filters: str) -> Iterator[JobStatus]:
        """Yield the statuses of jobs, the newest first; filters are the API's, as ``state``."""
        return self._pages("/batchinfo/status", "statuses", JobStatus, filters)

    def proof(self, job_id: str) -> JobProof:
        """Return what shows that nothing of the job was lost."""
        return self._get(path_of("batchinfo", "proof", job_id), JobProof, _ISO)

    def undo(self, job_id: str) -> JobStatus:
        """Undo a job and return its status once the audience is as if it had never run."""
        return self._changed("undo", job_id)

    def redo(self, job_id: str) -> JobStatus:
        """Take back the undo of a job and return its status once that is done."""
        return self._changed("redo", job_id)

    def cancel(self, job_id: str) -> JobStatus:
        """Cancel a job that waits or runs and return its status once it has ended."""
        return self._changed("cancel", job_id)

    def user(self, user_id: str, *, as_of: str | None = None) -> User:
        """Return the user with this id, now or as of a time or job."""
        return self._get(path_of("audience", user_id), User, {"asOf": as_of, **_ISO})

    def users(self, *, as_of: str | None = None, **filters: str) -> Iterator[User]:
        """Yield users by id; filters are the API's, as ``email`` or ``country``."""
        after = "0"
        while True:
            given = {"after": after, "pageSize": _PAGE_SIZE, "asOf": as_of, **filters, **_ISO}
            page = self._answer("/audience", given)["audience"]
            yield from msgspec.convert(page, list[User])
            if len(page) < _PAGE_SIZE:
                return
            after = str(page[-1]["id"])

    def _sent(
        self,
        path: str | Path,
        mode: str,
        options: Options,
        send: Callable[[upload.Upload], dict[str, Any]],
    ) -> dict[str, Any]:
        given: dict[str, Any] = {"delimiter": None, **options}
        with Path(path).open("rb") as file:
            form = upload.Upload(file=file, name=Path(path).name, mode=mode, **given)
            return with_retries(lambda: send(form), self._policy)

    def _changed(self, change: str, job_id: str) -> JobStatus:
        place, key = path_of("batchinfo", change, job_id), {"Idempotency-Key": str(uuid.uuid4())}
        with_retries(lambda: self._api.request("POST", place, headers=key), self._policy)
        return self.wait(job_id)

    def _answer(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        return with_retries(lambda: self._api.get(path, query), self._policy)

    def _get(self, path: str, kind: type[_T], query: Mapping[str, Any]) -> _T:
        return msgspec.convert(self._answer(path, query), kind)

    def _pages(
        self, path: str, name: str, kind: type[_T], filters: Mapping[str, str] | None = None
    ) -> Iterator[_T]:
        start, total = 0, 1
        while start < total:
            given = {"start": start, "pageSize": _PAGE_SIZE, **(filters or {}), **_ISO}
            page = self._answer(path, given)
            found = cast("list[Any]", page[name])
            yield from (msgspec.convert(each, kind) for each in found)
            start, total = start + _PAGE_SIZE, int(page["total"])
