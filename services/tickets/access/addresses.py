"""Network addresses of visitors, as sockets and proxies write them."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_WITH_PORT = re.compile(r"\[(?P<six>[^\]]+)\](:\d+)?|(?P<four>[\d.]+):\d+")
# A network of this length is one customer's (RFC 6177), who has all of its addresses.
_CUSTOMER_BITS = 64


def ip_of(text: str) -> IPv4Address | IPv6Address | None:
    """The address, also where its port follows; None: it is none. One of IPv4 within IPv6 is that of IPv4."""
    found = _WITH_PORT.fullmatch(text.strip())
    try:
        address = ip_address((found["six"] or found["four"]) if found else text.strip())
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def whose(text: str) -> str:
    """What attempts from an address are counted by: the address, and of IPv6 its customer's network.

    Empty for what is no address: all of these count as one.
    """
    address = ip_of(text)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _CUSTOMER_BITS), strict=False))
    return str(address or "")
