"""The networks from which webhook requests are accepted: the requests are not signed."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

OK_NETWORKS: Final = "217.20.145.192/28,217.20.151.160/28,217.20.153.48/28"
"""Odnoklassniki's networks, from the documentation of `graph.user.subscribe`. Unverified: that these are all."""


def comes_from(source: str | None, networks: str | None) -> bool:
    """Whether an address is in one of the networks (comma-separated; OK's own by default).

    False where the address or the networks cannot be parsed.
    """
    try:
        address = ip_address(source or "")
        allowed = [ip_network(one.strip(), strict=False) for one in (networks or OK_NETWORKS).split(",")]
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in allowed)
