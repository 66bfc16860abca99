"""From which address a request comes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from sanic.compat import Header

from ingest_api.web.client_address import address_group, client_address

if TYPE_CHECKING:
    from sanic import Request

SECRET = "a secret of the proxy's"


def address(peer: str, *headers: tuple[str, str], secret: str = SECRET) -> str:
    """Of a request with these headers."""
    request = SimpleNamespace(ip=peer, headers=Header(headers))
    return client_address(cast("Request[Any, Any]", request), secret)


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]:4711", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", None),
        ("", None),
        ("[]", None),
        ("999.1.1.1", None),
    ],
)
def test_an_ipv6_client_is_its_64(text: str, group: str | None) -> None:
    """Who has one address there has 2^64 of them."""
    assert address_group(text) == group


def test_forwarded_headers_count_only_with_the_secret() -> None:
    """Anybody can send them."""
    forwarded = ("X-Forwarded-For", "198.51.100.7")
    assert address("10.0.0.1", forwarded) == "10.0.0.1"
    assert address("10.0.0.1", forwarded, ("X-Forwarded-Secret", "a guess")) == "10.0.0.1"
    assert address("10.0.0.1", forwarded, ("X-Forwarded-Secret", SECRET)) == "198.51.100.7"
    assert address("10.0.0.1", forwarded, ("X-Forwarded-Secret", ""), secret="") == "10.0.0.1"
    twice = [("X-Forwarded-Secret", SECRET)] * 2
    assert address("10.0.0.1", forwarded, *twice) == "10.0.0.1"


def test_whom_the_proxy_saw_is_the_last_one_named() -> None:
    """What stands before it came from the client itself."""
    secret = ("X-Forwarded-Secret", SECRET)
    chain = ("X-Forwarded-For", "6.6.6.6, 198.51.100.7")
    assert address("10.0.0.1", secret, chain) == "198.51.100.7"
    lines = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "198.51.100.7")]
    assert address("10.0.0.1", secret, *lines) == "198.51.100.7"
    assert address("10.0.0.1", secret, ("X-Forwarded-For", "nonsense")) == "10.0.0.1"
    assert address("10.0.0.1", secret) == "10.0.0.1"
