"""A client of the HTTP API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import urlsplit

import httpx

ENDED_STATES = ("COMPLETED", "COMPLETED_WITH_ERRORS")

_BASE_PATH = "/vpns/api/v1"
_TIMEOUT = httpx.Timeout(30, read=600)
"""Seconds; the answer to an upload comes after all of it was checked and kept."""


class ApiError(Exception):
    """The API refused a request, or could not be reached."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who calls."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to import."""

    path: Path
    mode: str
    delimiter: str = "COMMA"


@dataclass(frozen=True, slots=True)
class JobCounts:
    """A job's progress: the outcomes add up to `total` once it has ended."""

    state: str
    total: int
    inserted: int
    updated: int
    unchanged: int
    rejected: int

    @property
    def done(self) -> int:
        """How many lines have their outcome."""
        return self.inserted + self.updated + self.unchanged + self.rejected

    @property
    def has_ended(self) -> bool:
        """True once no line waits for its outcome."""
        return self.state in ENDED_STATES


class ApiClient:
    """Calls the API as one account; a context manager."""

    def __init__(self, url: str, account: Account) -> None:
        is_local = urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
        self._http = httpx.Client(
            base_url=url,
            auth=(account.user, account.password),
            timeout=_TIMEOUT,
            # A proxy configured for the outside cannot reach this machine's own address.
            trust_env=not is_local,
        )

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes its connections."""
        self._http.close()

    def is_ready(self) -> bool:
        """True where an upload would be taken and processed."""
        try:
            return self._http.get("/health/ready").is_success
        except httpx.TransportError:
            return False

    def upload(self, upload: Upload, advance: Callable[[int], object]) -> str:
        """The id of the job; the file is streamed, and `advance` told how many bytes went out.

        Raises:
            ApiError: The API refused it or could not be reached.
        """
        with upload.path.open("rb") as file:
            response = self._request(
                "POST",
                "/audience/import",
                headers={"DELIMITER": upload.delimiter},
                data={"importType": upload.mode},
                files={"uploadFile": (upload.path.name, _Metered(file, advance), "text/csv")},
            )
        return str(response["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """A job's status.

        Raises:
            ApiError: There is no such job, or the API could not be reached.
        """
        return self._request("GET", f"/batchinfo/status/{job_id}")

    def counts(self, job_id: str) -> JobCounts:
        """A job's progress.

        Raises:
            ApiError: There is no such job, or the API could not be reached.
        """
        answer = self.job(job_id)
        numbers = ("total", "inserted", "updated", "unchanged", "rejected")
        return JobCounts(str(answer["state"]), *(int(answer.get(name) or 0) for name in numbers))

    def jobs(self, *, start: int, page_size: int) -> dict[str, Any]:
        """The newest jobs first, as `total` and `statuses`.

        Raises:
            ApiError: The API could not be reached.
        """
        return self._page("/batchinfo/status", start, page_size)

    def errors(self, job_id: str, *, start: int, page_size: int) -> dict[str, Any]:
        """A job's rejected lines by line, as `total` and `Errors`.

        Raises:
            ApiError: There is no such job, or the API could not be reached.
        """
        return self._page(f"/batchinfo/errors/{job_id}", start, page_size)

    def users(self, *, start: int, page_size: int) -> dict[str, Any]:
        """The active audience, as `total` and `audience`.

        Raises:
            ApiError: The API could not be reached.
        """
        return self._page("/audience", start, page_size)

    def _page(self, path: str, start: int, page_size: int) -> dict[str, Any]:
        return self._request("GET", path, params={"start": start, "pageSize": page_size})

    def _request(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, f"{_BASE_PATH}{path}", **arguments)
        except httpx.TransportError as error:
            message = f"{self._http.base_url} could not be reached: {error}"
            raise ApiError(message) from error
        answer = _json(response)
        if not response.is_success:
            raise ApiError(refusal_text(response.status_code, answer))
        return answer


def refusal_text(status: int, answer: Mapping[str, Any]) -> str:
    """What the API answered, on one line for the message and one for each detail."""
    lines = [f"{status}: {answer.get('message', 'no message')}"]
    details: list[dict[str, Any]] = answer.get("details") or []
    for detail in details:
        where = [f"{name} {detail[name]}" for name in ("line", "column") if detail.get(name)]
        lines.append(": ".join([*where, str(detail.get("message"))]))
    return "\n  ".join(lines)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        answer: Any = response.json()
    except ValueError:
        return {"message": response.text[:200]}
    return answer


class _Metered:
    """A file that tells how much of it has been read."""

    def __init__(self, file: BinaryIO, advance: Callable[[int], object]) -> None:
        self._file = file
        self._advance = advance

    def read(self, size: int = -1) -> bytes:
        """The next bytes of the file."""
        data = self._file.read(size)
        self._advance(len(data))
        return data

    def fileno(self) -> int:
        """What httpx takes the length of the body from."""
        return self._file.fileno()
