"""HEAD is answered as GET is, without a body: by what watches services and fetches sizes."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.clients.client import BASE
from tests.support.clients.raw_http import authorization_of

if TYPE_CHECKING:
    from tests.support.clients.client import Client


def asked(
    client: Client, path: str, *methods: str, **headers: str
) -> list[http.client.HTTPResponse]:
    """The answers to these requests, one after the other on one connection."""
    at = urlsplit(client.url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=20)
    answers: list[http.client.HTTPResponse] = []
    for method in methods:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        answers.append(answer)
    connection.close()
    return answers


PUBLIC = ["/health/live", "/health/ready", "/openapi.json", "/docs"]
OWN = [f"{BASE}/audience", f"{BASE}/batchinfo/status", f"{BASE}/batchinfo/status/5", "/nowhere"]


@pytest.mark.parametrize("path", [*PUBLIC, *OWN])
def test_head_says_what_get_says(client: Client, path: str) -> None:
    """The same status and type, to those without credentials where GET asks for none."""
    headers = {} if path in PUBLIC else {"Authorization": authorization_of(client)}

    head, get, again = asked(client, path, "HEAD", "GET", "HEAD", **headers)

    assert head.status == get.status == again.status
    for name in ("content-type", "cache-control", "www-authenticate"):
        assert head.getheader(name) == get.getheader(name), name


def test_head_asks_for_credentials_where_get_does(client: Client) -> None:
    """Without them nothing is told."""
    (answer,) = asked(client, f"{BASE}/audience", "HEAD")

    assert answer.status == 401
    assert answer.getheader("www-authenticate")


def test_head_of_what_is_only_posted_is_refused(client: Client) -> None:
    """As a GET of it is."""
    (answer,) = asked(
        client, f"{BASE}/audience/import", "HEAD", Authorization=authorization_of(client)
    )

    assert answer.status == 405
