"""Uploads over HTTP as clients and as attackers send them, byte by byte where that matters."""

from __future__ import annotations

import hashlib
import json
import socket
from typing import TYPE_CHECKING, Any

import httpx2

from tests.support.clients.client import BASE

if TYPE_CHECKING:
    from tests.support.clients.client import Client

IMPORT = f"{BASE}/audience/import"
CSV = b"First Name,Last Name,Email,Country\nAda,Lovelace,ada@example.org,India\n"
INVALID = "Please upload a valid CSV file"


def accounts_and_topics_are_there(client: Client) -> bool:
    """No processor runs, so the missing read model is all that may still be missing."""
    reasons = client.http.get("/health/ready").json()["reasons"]
    return reasons == ["No processor has made the read model yet."]


def jobs(client: Client) -> int:
    """How many uploads were taken."""
    total: int = client.http.get(f"{BASE}/batchinfo/status").json()["total"]
    return total


def curl_form(client: Client, content: bytes = CSV, **fields: str) -> httpx2.Response:
    """What `curl -F uploadFile=@f -F name=value …` sends: the file first."""
    parts: list[tuple[str, Any]] = [("uploadFile", ("f.csv", content, "text/csv"))]
    parts += [(name, (None, value)) for name, value in fields.items()]
    return client.http.post(IMPORT, files=parts)


def raw(client: Client, head: str, body: bytes = b"", *, timeout_s: float = 10) -> bytes:
    """What the server answers to these bytes until it closes the connection."""
    url = httpx2.URL(client.url)
    with socket.create_connection((url.host, url.port or 80), timeout=timeout_s) as connection:
        connection.sendall(head.encode() + body)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return answer


def authorization_of(client: Client) -> str:
    """The header's value that the client sends."""
    assert client.http.auth is not None
    request = next(client.http.auth.auth_flow(httpx2.Request("GET", client.url)))
    value: str = request.headers["Authorization"]
    return value


def head(
    client: Client, *headers: str, content_type: str = "multipart/form-data; boundary=XbX"
) -> str:
    """The head of an upload with the right credentials and these further headers."""
    lines = [
        f"POST {IMPORT} HTTP/1.1",
        "Host: localhost",
        f"Authorization: {authorization_of(client)}",
        f"Content-Type: {content_type}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join(lines) + "\r\n\r\n"


def body(content: bytes = CSV) -> bytes:
    """A form with this file alone."""
    return (
        b'--XbX\r\nContent-Disposition: form-data; name="uploadFile"; filename="f.csv"\r\n\r\n'
        + content
        + b"\r\n--XbX--\r\n"
    )


def json_of(answer: bytes) -> Any:
    """The body of a raw answer."""
    return json.loads(answer.rpartition(b"\r\n\r\n")[2])


def status_of(answer: bytes) -> int:
    """The status of a raw answer, after any `100 Continue`."""
    answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    return int(answer.split(b" ", 2)[1])


def part_of(client: httpx2.Client, content: bytes) -> str:
    """Send a part of a file; its name."""
    kind = {"Content-Type": "application/octet-stream"}
    answer = client.post(f"{BASE}/audience/parts", content=content, headers=kind)
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    assert found["sha256"] == hashlib.sha256(content).hexdigest()
    return found["part"]


def import_parts(client: httpx2.Client, *parts: str, **query: str) -> httpx2.Response:
    """Import the file that the parts make."""
    body = json.dumps({"parts": parts})
    kind = {"Content-Type": "application/vnd.rollcall.parts+json", "Idempotency-Key": "by parts"}
    return client.post(IMPORT, content=body, headers=kind, params=query)
