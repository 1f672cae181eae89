"""The platforms Instep speaks to, one file for each: what it can and cannot give, and what an adapter is."""

import importlib
from functools import lru_cache
from types import MappingProxyType
from typing import cast

from app.kit import registry
from app.platforms.contract import Adapter

FOLDER = "app.platforms.adapters"
# Importing a folder binds its name in this module: done first, the function below keeps the name.
importlib.import_module(FOLDER)


@lru_cache(maxsize=1)
def adapters() -> MappingProxyType[str, type[Adapter]]:
    """Every adapter found, by its platform's key."""
    found: dict[str, type[Adapter]] = {}
    for declared in registry.declared(FOLDER, "ADAPTER", type).values():
        # A protocol cannot be asked for at run time; the contract's suite holds each to it.
        made = cast("type[Adapter]", declared)
        if made.spec.key in found:
            raise registry.RegistryError(f"two adapters declare the key {made.spec.key}")
        found[made.spec.key] = made
    return MappingProxyType(found)


def adapter(key: str) -> type[Adapter]:
    """The adapter of one platform; `KeyError` where there is none."""
    return adapters()[key]
