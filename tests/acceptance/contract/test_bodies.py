"""JSON bodies on the wire: however they come, they are taken whole or not at all."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.clients.speech import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.clients.speech import Server

PATH = f"{BASE}/audience"


@pytest.fixture
def body(name: str) -> bytes:
    """A new user."""
    user = {"firstName": "A", "lastName": "B", "email": f"{name}@example.org", "country": "C"}
    return json.dumps(user).encode()


def head_of(server: Server, *headers: str) -> bytes:
    """The head of a request with these further headers."""
    request = server.http.build_request("POST", PATH)
    assert server.http.auth is not None
    authorization = next(server.http.auth.auth_flow(request)).headers["Authorization"]
    lines = [
        f"POST {PATH} HTTP/1.1",
        "Host: localhost",
        f"Authorization: {authorization}",
        "Content-Type: application/json",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def spoken(server: Server, *pieces: bytes) -> bytes:
    """What is answered to these bytes, after which nothing more is sent."""
    url = httpx2.URL(server.http.base_url)
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return answer


def test_a_body_may_come_in_chunks(server: Server, body: bytes) -> None:
    """Of any size."""

    def pieces() -> Iterator[bytes]:
        for byte in body:
            yield bytes([byte])

    headers = {"Content-Type": "application/json"}
    assert server.http.post(PATH, content=pieces(), headers=headers).status_code == 200


def test_a_client_may_wait_to_be_told_to_go_on(server: Server, body: bytes) -> None:
    """`Expect: 100-continue`."""
    head = head_of(server, f"Content-Length: {len(body)}", "Expect: 100-continue")
    url = httpx2.URL(server.http.base_url)
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_is_cut_off_is_refused(server: Server, name: str, body: bytes) -> None:
    """Whether it says how long it is or comes in chunks; nobody is added."""
    declared = head_of(server, f"Content-Length: {len(body) + 10}")
    chunked = head_of(server, "Transfer-Encoding: chunked")
    for head, sent in ((declared, body), (chunked, b"%x\r\n%s\r\n" % (len(body), body))):
        answer = spoken(server, head, sent)
        assert not answer or answer.startswith(b"HTTP/1.1 400 "), answer
    assert server.user(f"{name}@example.org") is None


def test_a_body_is_not_read_beyond_its_length(server: Server, body: bytes) -> None:
    """What comes after is no part of it: here the object is not closed."""
    head = head_of(server, f"Content-Length: {len(body) - 1}")
    assert spoken(server, head, body).startswith(b"HTTP/1.1 400 ")


def test_a_body_over_the_limit_is_refused_before_it_comes(server: Server) -> None:
    """By its length at once, in chunks at the first byte over."""
    declared = head_of(server, "Content-Length: 65537")
    assert spoken(server, declared).startswith(b"HTTP/1.1 413 ")
    headers = {"Content-Type": "application/json"}
    answer = server.http.post(PATH, content=iter([b" " * 40_000] * 2), headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (
        413,
        "The body is larger than 65536 bytes",
    )


def test_a_head_over_the_limit_is_refused(server: Server) -> None:
    """431, by its headers, or by them and the path."""
    for path, header in ((PATH, "x" * 65_536), (f"{PATH}?search={'x' * 40_000}", "x" * 30_000)):
        answer = server.http.get(path, headers={"X-Note": header})
        assert (answer.status_code, answer.json()["code"]) == (431, "HEAD_TOO_LARGE")


def test_a_body_that_does_not_come_is_not_waited_for(server: Server) -> None:
    """408, after ten seconds without a byte."""
    url = httpx2.URL(server.http.base_url)
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(head_of(server, "Content-Length: 10") + b"{")
        assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
