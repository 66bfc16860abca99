"""Which addresses a webhook's request may go to: public ones, unless others are allowed.

A name is resolved once, and the connection is made to the address that was checked, so that a
name which means another address a moment later leads nowhere else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NoPublicAddressError(Exception):
    """The name means an address that no request may go to."""


async def checked_address(host: str, port: int, *, allows_private: bool) -> str:
    """Return an address of the host that a request may go to.

    Raises:
        NoPublicAddressError: one of its addresses is not public.
        OSError: there is no such host.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is empty or too long
        raise OSError(f"{host} can be the name of no host") from None
    addresses = [str(each[4][0]) for each in found]
    refused = [each for each in addresses if not is_public(each)]
    if refused and not allows_private:
        raise NoPublicAddressError(f"{host} is at {refused[0]}, which is no public address")
    return addresses[0]


def is_public(text: str) -> bool:
    """Return whether anybody reaches the same host at this address, from anywhere."""
    address = ipaddress.ip_address(text.partition("%")[0])
    inner = _inner(address)
    return address.is_global and not address.is_multicast and (inner is None or is_public(inner))


def _inner(address: _Address) -> str | None:
    """Return the IPv4 address that an IPv6 address leads to, where it leads to one."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return str(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    found = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
    return None if found is None else str(found)
