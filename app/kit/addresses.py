"""Which internet addresses outbound calls may connect to: our own list, against server-side request forgery.

A library's idea of "global" changes between its versions, so the refused networks are listed here.
Source: the IANA special-purpose address registries for IPv4 and IPv6.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_V4 = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carriers"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's own service"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "name servers of private zones"),
        ("192.52.193.0/24", "multicast tunnels"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "name servers of private zones"),
        ("198.18.0.0/15", "benchmarks"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_V6_GLOBAL = IPv6Network("2000::/3")
_V6 = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("2001::/23", "protocol assignments, Teredo among them"),
        ("2001:db8::/32", "documentation"),
        ("2620:4f:8000::/48", "name servers of private zones"),
        ("3fff::/20", "documentation"),
    )
)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
"""The last label of a host that is an IPv4 address in some notation (url.spec.whatwg.org, "ends in a number")."""
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")


def literal(host: str) -> Address | None:
    """The address that a URL's host spells out, None where it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def host_refusal(host: str) -> str | None:
    """Why a URL's host may not be connected to, as far as it shows without resolving it; None where it may.

    A host that ends in a number is an IPv4 address for browsers and resolvers, whose notations differ (`127.1`,
    `0x7f.1`, `2130706433`, `127.000.000.001`): only four decimal numbers without leading zeros are accepted.
    """
    name = host.removeprefix("[").removesuffix("]")
    if (address := literal(name)) is not None:
        return refusal(address)
    last_label = name.removesuffix(".").rpartition(".")[2]
    return "a number, but no IPv4 address" if _NUMBER.fullmatch(last_label) is not None else None


def refusal(address: Address | str) -> str | None:
    """Why an address may not be connected to; None where it may."""
    if isinstance(address, str):
        parsed = literal(address)
        if parsed is None:
            return "not an address"
        address = parsed
    if isinstance(address, IPv4Address):
        return next((reason for network, reason in _V4 if address in network), None)
    if address.scope_id is not None:
        return "bound to a link"
    if address in _MAPPED or address in _NAT64:
        return refusal(IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _6TO4:
        return refusal(IPv4Address(int(address) >> 80 & 0xFFFFFFFF))
    if address not in _V6_GLOBAL:
        return "not in the public range"
    return next((reason for network, reason in _V6 if address in network), None)
