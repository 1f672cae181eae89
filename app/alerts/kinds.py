"""The kinds of alert that the rooms declare."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from app.alerts.contract import AlertKind
from app.kit.registry import RegistryError, rooms

TEST = "test"
"""The kind of an alert with which a person tries their channels; it has no concerns."""


@lru_cache(maxsize=1)
def kinds() -> Mapping[str, AlertKind]:
    """All kinds by key. `RegistryError` where two have one key, or a room's `alerts.py` declares none."""
    by_key: dict[str, AlertKind] = {}
    for module in rooms("alerts"):
        declared = getattr(module, "KINDS", ())
        if not declared:
            raise RegistryError(f"{module.__name__} must declare KINDS")
        for kind in declared:
            if kind.key in by_key or kind.key == TEST:
                raise RegistryError(f"two kinds of alert have the key {kind.key}")
            by_key[kind.key] = kind
    return MappingProxyType(by_key)
