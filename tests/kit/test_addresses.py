"""Which addresses outbound calls may connect to."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.addresses import host_refusal, literal, refusal

REFUSED = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:a00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700::1%1",
]
ALLOWED = [
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "8.8.8.8",
    "192.169.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:bdc0:1::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_private_and_special_addresses_are_refused(address: str) -> None:
    assert refusal(address) is not None


@pytest.mark.parametrize("address", ALLOWED)
def test_public_addresses_are_not(address: str) -> None:
    assert refusal(address) is None


@given(st.integers(0, 2**32 - 1))
def test_what_is_allowed_is_global_by_the_library_too(number: int) -> None:
    address = IPv4Address(number)
    if refusal(address) is None:
        assert address.is_global
        assert not address.is_multicast


@given(st.integers(0, 2**32 - 1))
def test_an_address_embedded_in_ipv6_is_judged_as_itself(number: int) -> None:
    bare = refusal(IPv4Address(number))
    for wrapped in ((0xFFFF << 32) | number, (0x64FF9B << 96) | number, (0x2002 << 112) | (number << 80) | 1):
        assert refusal(IPv6Address(wrapped)) == bare


@given(st.integers(0, 2**128 - 1))
def test_what_is_allowed_of_ipv6_is_global_by_the_library_too(number: int) -> None:
    address = IPv6Address(number)
    if refusal(address) is None and address in IPv6Network("2000::/3") and address.sixtofour is None:
        assert address.is_global
        assert not address.is_multicast


def test_a_name_is_not_an_address() -> None:
    assert literal("mastodon.social") is None
    assert refusal("mastodon.social") is not None


@pytest.mark.parametrize(
    "host",
    [
        "127.000.000.001", "127.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "1.2.3.4.5", "127.0.0.1.",
        "008.8.8.8", "mastodon.example.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.7", "0x", "256.256.256.256",
    ],
)  # fmt: skip
def test_a_host_that_is_a_number_in_any_notation_is_refused(host: str) -> None:
    assert host_refusal(host) is not None


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "[2606:4700::1]", "mastodon.social", "1.example", "xn--bcher-kva.example", "0xcafe.example"]
)
def test_names_and_public_addresses_are_not_refused(host: str) -> None:
    assert host_refusal(host) is None
