"""A client of the HTTP contract, as a test wants it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Self, cast

import httpx2

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BASE = "/vpns/api/v1"
ENDED = ("COMPLETED", "COMPLETED_WITH_ERRORS")
TLS = ssl.create_default_context()
"""Made once: each client would read all of the machine's certificates, for a server without TLS."""
Json = dict[str, Any]


class Client:
    """Speaks to one API process as ``admin``; close it at the end."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self.http = httpx2.Client(
            base_url=url, auth=("admin", password), timeout=60, trust_env=False, verify=TLS
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self.http.close()

    def is_live(self) -> bool:
        """Whether the process answers."""
        return self._is_ok("/health/live")

    def is_ready(self) -> bool:
        """Whether an upload would be taken and processed."""
        return self._is_ok("/health/ready")

    def readiness(self) -> str:
        """What it says of the services, or why it says nothing."""
        try:
            return self.http.get("/health/ready").text
        except httpx2.TransportError as error:
            return repr(error)

    def _is_ok(self, path: str) -> bool:
        try:
            return self.http.get(path).status_code == 200
        except httpx2.TransportError:
            return False

    def upload(
        self,
        content: bytes | Iterator[bytes],
        mode: str = "insert",
        *,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """The answer to an upload of the file, whatever it is.

        A file that comes in pieces is sent as they come.
        """
        boundary = "rollcall-test-boundary-7d1f"
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in {"importType": mode, **(fields or {})}.items()
        ) + (
            f'--{boundary}\r\nContent-Disposition: form-data; name="uploadFile"; '
            'filename="users.csv"\r\nContent-Type: text/csv\r\n\r\n'
        )
        tail = f"\r\n--{boundary}--\r\n".encode()
        body = (
            head.encode() + content + tail
            if isinstance(content, bytes)
            else _around(head.encode(), content, tail)
        )
        return self.http.post(
            f"{BASE}/audience/import",
            content=body,
            headers={
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                **(headers or {}),
            },
        )

    def submit(
        self, content: bytes, mode: str = "insert", *, headers: Mapping[str, str] | None = None
    ) -> int:
        """The job's id; the upload must be taken."""
        answer = self.upload(content, mode, headers=headers)
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return int(answer.json()["id"])

    def status(self, job_id: int) -> Json:
        """The job's status; it must be known."""
        answer = self.http.get(f"{BASE}/batchinfo/status/{job_id}")
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return cast("Json", answer.json())

    def statuses(self) -> Json:
        """The first page of the statuses of all jobs."""
        return cast("Json", self.http.get(f"{BASE}/batchinfo/status").json())

    def is_ended(self, job_id: int) -> bool:
        """Whether every line of the job has its outcome; not while Postgres can't be asked."""
        answer = self.http.get(f"{BASE}/batchinfo/status/{job_id}")
        if answer.status_code == 503:
            return False
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return answer.json()["state"] in ENDED

    def wait_ended(self, job_id: int, timeout_s: float = 60) -> Json:
        """The job's last status."""
        wait_until(lambda: self.is_ended(job_id), timeout_s, saying=f"job {job_id} has ended")
        return self.status(job_id)

    def change(
        self, change: str, job_id: int | str, *, key: str | None = None, **query: str
    ) -> httpx2.Response:
        """The answer to an ``undo`` or a ``redo`` of the job, whatever it is."""
        return self.http.post(
            f"{BASE}/batchinfo/{change}/{job_id}",
            params=query,
            headers={} if key is None else {"Idempotency-Key": key},
        )

    def wait_state(self, job_id: int, *states: str, timeout_s: float = 120) -> Json:
        """The job's status once it is in one of these states."""
        wait_until(
            lambda: self.status(job_id)["state"] in states,
            timeout_s,
            saying=f"job {job_id} is {' or '.join(states)}",
            every_s=0.1,
        )
        return self.status(job_id)

    def errors(self, job_id: int) -> list[Json]:
        """Every rejection of the job, page by page."""
        found: list[Json] = []
        while True:
            page = self.http.get(
                f"{BASE}/batchinfo/errors/{job_id}",
                params={"start": len(found), "pageSize": 1000},
            ).json()
            found += page["Errors"]
            if len(found) >= page["total"] or not page["Errors"]:
                return found


def _around(head: bytes, content: Iterator[bytes], tail: bytes) -> Iterator[bytes]:
    yield head
    yield from content
    yield tail


def counts(status: Json) -> tuple[int, int, int, int]:
    """Inserted, updated, unchanged, rejected."""
    return status["inserted"], status["updated"], status["unchanged"], status["rejected"]
