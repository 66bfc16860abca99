"""Bodies and heads of uploads as attackers send them: refused, and nothing kept."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.clients.raw_http import (
    CSV,
    IMPORT,
    INVALID,
    body,
    head,
    jobs,
    raw,
    status_of,
)

if TYPE_CHECKING:
    from tests.support.clients.client import Client


FRAMING = {
    "no final boundary": (400, body()[:-4]),
    "line feeds only": (400, body().replace(b"\r\n", b"\n")),
    "two files": (400, body()[: -len(b"--XbX--\r\n")] + body()),
    "10 MB after the end": (400, body() + b"x" * 10_000_000),
    "100 KB before the beginning": (400, b"x" * 100_000 + b"\r\n" + body()),
    "nothing": (400, b""),
    "an empty file": (400, body(b"")),
}


@pytest.mark.parametrize("case", FRAMING)
def test_a_body_that_is_no_upload_form_is_refused(refusing: Client, case: str) -> None:
    """With 400, and nothing of it is kept."""
    status, content = FRAMING[case]
    answer = raw(refusing, head(refusing, f"Content-Length: {len(content)}"), content)
    assert status_of(answer) == status
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"] == INVALID


def test_what_is_not_multipart_is_an_unsupported_media_type(client: Client) -> None:
    """415, by the head alone."""
    assert client.http.post(IMPORT, content=CSV).status_code == 415
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.http.post(IMPORT, content=b"a=b", headers=form).status_code == 415


def test_a_body_that_ends_early_is_no_upload(refusing: Client) -> None:
    """Neither where the length is wrong nor where the refusing goes away."""
    url = httpx2.URL(refusing.url)
    for length in (len(body()) + 10, len(body()) * 1000):
        with socket.create_connection((url.host, url.port or 80)) as connection:
            connection.sendall(head(refusing, f"Content-Length: {length}").encode() + body())
    answer = raw(refusing, head(refusing, f"Content-Length: {len(body()) - 4}"), body())
    assert status_of(answer) == 400


def test_a_client_that_sends_nothing_or_too_slowly_is_cut_off(refusing: Client) -> None:
    """408: two seconds without a byte, or four for the whole, in this test."""
    url = httpx2.URL(refusing.url)
    answer = raw(refusing, head(refusing, "Content-Length: 1000"), b"--XbX\r\n")
    assert status_of(answer) == 408
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(head(refusing, "Content-Length: 1000").encode())
        started = time.monotonic()
        connection.settimeout(0.5)
        answer = b""
        while not answer and time.monotonic() - started < 60:
            connection.sendall(b"-")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
    assert status_of(answer) in {400, 408}


def test_a_body_in_chunks_of_one_byte_is_an_upload(client: Client) -> None:
    """As is one whose client waits for `100 Continue`."""
    before = jobs(client)
    chunked = b"".join(b"1\r\n%c\r\n" % byte for byte in body()) + b"0\r\n\r\n"
    assert status_of(raw(client, head(client, "Transfer-Encoding: chunked"), chunked)) == 200
    waiting = head(client, f"Content-Length: {len(body())}", "Expect: 100-continue")
    answer = raw(client, waiting, body())
    assert answer.startswith(b"HTTP/1.1 100 Continue")
    assert status_of(answer) == 200
    assert jobs(client) == before + 2


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: \N{ARABIC-INDIC DIGIT FIVE}"],
        ["Content-Length : 5"],
        ["Content-Length: +5"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked", "Host: elsewhere"],
        ["X: a", " folded"],
        ["X\x00Y: a"],
    ],
)
def test_a_malformed_head_is_refused(refusing: Client, headers: list[str]) -> None:
    """Two readers of one connection could understand it differently."""
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body()), body())
    answer = raw(refusing, head(refusing, *headers), chunked)
    assert status_of(answer) == 400


@pytest.mark.parametrize("size", [b"0x%x", b"+%x", b"-%x", b" %x", b"%x;\n", b"ffffffffffffffff%x"])
def test_a_malformed_chunk_is_refused(refusing: Client, size: bytes) -> None:
    """Whatever else would be read into it."""
    chunked = size % len(body()) + b"\r\n" + body() + b"\r\n0\r\n\r\n"
    answer = raw(refusing, head(refusing, "Transfer-Encoding: chunked"), chunked)
    assert status_of(answer) == 400
