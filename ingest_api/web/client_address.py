"""The client's address by which login attempts are limited, also behind a trusted proxy."""

from __future__ import annotations

import hmac
import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ingest_api.web.parameters import header, header_values

if TYPE_CHECKING:
    from sanic import Request

PROXY_HEADER: Final = "x-forwarded-secret"
_IPV6_BITS_OF_ONE: Final = 64
"""Whoever has one IPv6 address has its whole /64 (RFC 6177)."""
_WITH_PORT: Final = re.compile(r"\[(?P<v6>[^\]]*)\](:\d+)?|(?P<v4>[\d.]+):\d+")


def client_address(request: Request[Any, Any], forwarded_secret: str) -> str:
    """Return the client's IPv4 address or IPv6 /64.

    It is the connection's peer, unless that sends the secret in ``X-Forwarded-Secret``:
    then it is a proxy of ours, and the last entry of ``X-Forwarded-For`` is its peer.
    The entries before the last were sent by the client itself.
    """
    if forwarded_secret and _has_secret(request, forwarded_secret):
        forwarded = header_values(request, "x-forwarded-for")
        found = address_group(forwarded[-1].rpartition(",")[2]) if forwarded else None
        if found is not None:
            return found
    return address_group(request.ip) or request.ip


def _has_secret(request: Request[Any, Any], secret: str) -> bool:
    given = header(request, PROXY_HEADER) or ""
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())


@lru_cache(4096)
def address_group(text: str) -> str | None:
    """Return the IPv4 address, or the /64 of the IPv6 address, in the text; else None."""
    with_port = _WITH_PORT.fullmatch(text.strip())
    plain = (with_port["v6"] or with_port["v4"] or "") if with_port else text.strip()
    try:
        address = ipaddress.ip_address(plain)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    rest = 128 - _IPV6_BITS_OF_ONE
    return f"{ipaddress.IPv6Address(int(address) >> rest << rest)}/{_IPV6_BITS_OF_ONE}"
