"""Requests reach the internet, and else only what the operator names."""

from __future__ import annotations

import pytest

from services.notifier.hooks.networks import AddressRefused, Reachable, parse_networks

PUBLIC = ["93.184.216.34", "2606:4700::6810:84e5", "64:ff9b::5db8:d822", "::ffff:93.184.216.34"]
REFUSED = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.88.99.1",
    "3fff::1",
    "5f00::1",
    "198.18.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "100::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_reached_over_https_only(address: str) -> None:
    Reachable().check("x.example", [address], True)

    with pytest.raises(AddressRefused, match="use https"):
        Reachable().check("x.example", [address], False)


@pytest.mark.parametrize("address", REFUSED)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(AddressRefused, match="ANDON_NOTIFIER_HOOKS_ALLOW"):
        Reachable().check("x.example", [address], True)
    with pytest.raises(AddressRefused):
        Reachable().check("x.example", [PUBLIC[0], address], True)


def test_named_networks_are_reached() -> None:
    reachable = Reachable(parse_networks("10.1.0.0/16, 192.168.5.7,fd00::/8"))

    reachable.check("x.example", ["10.1.2.3", "192.168.5.7", "fd00::1", "::ffff:10.1.2.3"], False)
    for address in ("10.2.0.1", "192.168.5.8", "fe80::1", "127.0.0.1"):
        with pytest.raises(AddressRefused):
            reachable.check("x.example", [address], True)
    with pytest.raises(AddressRefused, match="use https"):
        reachable.check("x.example", [PUBLIC[0]], False)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "here", "10.0.0.0/40"])
def test_networks_are_checked(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_networks(text)
