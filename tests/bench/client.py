"""A small HTTP client, so that what is measured is the server and not its client."""

import base64
import http.client
import json
import shutil
import time
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from deploy.local_stack.ports import HOST

_BOUNDARY = "rollcall-bench-5f0c"
_BLOCK_BYTES = 1 << 18
_TIMEOUT_S = 600
_OK = 200
_TAKEN = (200, 202)
_BASE_PATH = "/vpns/api/v1"


class RefusedError(Exception):
    """The server did not do what it was asked for; the message is its answer."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(f"{status}: {answer}")
        self.status = status


class Client:
    """Speaks to the API on one port as `admin`, over one connection."""

    def __init__(self, port: int, password: str) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT_S)
        credentials = base64.b64encode(f"admin:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}"}

    def wait_ready(self, timeout_s: float) -> None:
        """Returns once an upload would be taken and processed.

        Raises:
            TimeoutError: It is not ready in time.
        """
        deadline = time.monotonic() + timeout_s
        while not self._is_ready():
            if time.monotonic() > deadline:
                message = f"the services are not ready after {timeout_s} s"
                raise TimeoutError(message)
            time.sleep(0.1)

    def import_file(self, path: Path, mode: str, *, poll_s: float) -> tuple[float, dict[str, Any]]:
        """Seconds from the first byte of the upload until the job has ended, and its last status.

        Raises:
            RefusedError: The upload was refused.
        """
        begin = time.perf_counter()
        status = self.wait_ended(self.upload(path, mode), poll_s=poll_s)
        return time.perf_counter() - begin, status

    def wait_ended(self, job_id: str, *, poll_s: float) -> dict[str, Any]:
        """The job's last status, once it has ended."""
        while True:
            status = self.status(job_id)
            if status["state"].startswith("COMPLETED"):
                return status
            time.sleep(poll_s)

    def upload(self, path: Path, mode: str) -> str:
        """The job's id.

        Raises:
            RefusedError: The upload was refused.
        """
        return str(self._send_file(path, {"importType": mode})["id"])

    def dry_run(self, path: Path, mode: str) -> tuple[float, dict[str, Any]]:
        """Seconds from the first byte to the answer, and what an import would come to.

        Raises:
            RefusedError: The upload was refused.
        """
        begin = time.perf_counter()
        answer = self._send_file(path, {"importType": mode, "dryRun": "true"})
        return time.perf_counter() - begin, answer

    def _send_file(self, path: Path, fields: Mapping[str, str]) -> dict[str, Any]:
        parts = (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        head = (
            f'{"".join(parts)}--{_BOUNDARY}\r\nContent-Disposition: form-data; name="uploadFile"; '
            f'filename="{path.name}"\r\nContent-Type: text/csv\r\n\r\n'
        ).encode()
        tail = f"\r\n--{_BOUNDARY}--\r\n".encode()
        length = len(head) + path.stat().st_size + len(tail)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
            "Content-Length": str(length),
        }
        return json.loads(self._call("POST", "/audience/import", _body(head, path, tail), headers))

    def status(self, job_id: str) -> dict[str, Any]:
        """A job's status."""
        return json.loads(self.get(f"/batchinfo/status/{job_id}"))

    def get(self, path: str) -> bytes:
        """The answer to a GET.

        Raises:
            RefusedError: It is no success.
        """
        return self._call("GET", path)

    def download(self, path: str, target: Path, media_type: str = "*/*") -> None:
        """Writes the answer to a GET to a file, as it comes.

        Raises:
            RefusedError: It is no success.
        """
        headers = self._headers | {"Accept": media_type}
        self._connection.request("GET", f"{_BASE_PATH}{path}", headers=headers)
        answer = self._connection.getresponse()
        if answer.status != _OK:
            raise RefusedError(answer.status, answer.read().decode(errors="replace"))
        with target.open("wb") as file:
            shutil.copyfileobj(answer, file, _BLOCK_BYTES)

    def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """The answer to a POST of JSON.

        Raises:
            RefusedError: It is no success.
        """
        headers = {"Content-Type": "application/json"}
        return self._call("POST", path, json.dumps(body).encode(), headers)

    def close(self) -> None:
        """Closes its connection."""
        self._connection.close()

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        all_headers = self._headers | dict(headers or {})
        self._connection.request(method, f"{_BASE_PATH}{path}", body, all_headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status not in _TAKEN:
            raise RefusedError(answer.status, content.decode(errors="replace"))
        return content

    def _is_ready(self) -> bool:
        try:
            self._connection.request("GET", "/health/ready")
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return False
        return answer.status == _OK


def _body(head: bytes, path: Path, tail: bytes) -> Generator[bytes]:
    yield head
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block
    yield tail
