"""Where calls of hooks may come from: they are not signed."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

OWN: Final = "217.20.145.192/28,217.20.151.160/28,217.20.153.48/28"
"""Odnoklassniki's networks, says `graph.user.subscribe`. Unverified: that these are still all."""


def comes_from(source: str | None, networks: str | None) -> bool:
    """Whether an address is of one of the networks (commas between them; OK's own where none are named).

    What cannot be understood lets nobody in.
    """
    try:
        address = ip_address(source or "")
        named = [ip_network(one.strip(), strict=False) for one in (networks or OWN).split(",")]
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in named)
