"""Which addresses a request may go to: the internet, and the networks that the operator names. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

# IPv6 addresses of IPv4 hosts behind a translator (RFC 6052).
_NAT64 = ip_network("64:ff9b::/96")
# Not special in every Python: services of cloud providers at addresses that look public, what IANA's registries of
# special-purpose addresses list, and site-local addresses, deprecated since RFC 3879.
_SPECIAL = tuple(
    ip_network(one)
    for one in (
        *("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24"),
        *("2001::/23", "3fff::/20", "5f00::/16", "fec0::/10"),
    )
)

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


class AddressRefused(Exception):
    """A host has an address that no request may go to. The text says which setting would allow it."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks and addresses with commas between. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


@dataclass(frozen=True)
class Reachable:
    """`allowed`: networks besides the internet, and the only ones for requests that are not encrypted."""

    allowed: tuple[Network, ...] = ()

    def check(self, host: str, addresses: Sequence[str], is_encrypted: bool) -> None:
        """Raises AddressRefused unless every address may be reached: which one is taken is not ours to say."""
        for written in addresses:
            # A zone (%eth0) names an interface of this machine.
            address = embedded(ip_address(written.partition("%")[0]))
            if any(address in network for network in self.allowed):
                continue
            if not is_encrypted:
                raise AddressRefused(f"{host} is {address}: http goes only to networks in {SETTING}; use https")
            if not is_public(address):
                raise AddressRefused(f"{host} is {address}, which is not on the internet: {SETTING} can allow it")


SETTING = "ANDON_NOTIFIER_HOOKS_ALLOW"


def embedded(address: Address) -> Address:
    """The IPv4 address within an IPv6 one; others as they are."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


def is_public(address: Address) -> bool:
    """Whether it is on the internet: not loopback, private, link-local, shared, reserved or multicast."""
    if any(address in network for network in _SPECIAL):
        return False
    is_special = address.is_private or address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not is_special
