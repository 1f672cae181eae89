"""The platforms Instep speaks to, a file or a package for each, and what an adapter is."""

from functools import lru_cache
from types import MappingProxyType
from typing import Final, cast

from app.kit import registry
from app.platforms.contract import Adapter

FOLDER: Final = __name__
OWN: Final = frozenset(
    {"addresses", "capabilities", "contract", "errors", "guards", "offsets", "outgoing", "routes", "wire"}
)
"""The modules of this room that are no platform; whatever else lies beside them is one."""


@lru_cache(maxsize=1)
def adapters() -> MappingProxyType[str, type[Adapter]]:
    """Every adapter found, by its platform's key."""
    found: dict[str, type[Adapter]] = {}
    for declared in registry.declared(FOLDER, "ADAPTER", type, exclude=OWN).values():
        # A protocol cannot be asked for at run time; the contract's suite holds each to it.
        made = cast("type[Adapter]", declared)
        if made.spec.key in found:
            raise registry.RegistryError(f"two adapters declare the key {made.spec.key}")
        found[made.spec.key] = made
    return MappingProxyType(found)


def adapter(key: str) -> type[Adapter]:
    """The adapter of one platform; `KeyError` where there is none."""
    return adapters()[key]
