"""The platforms Instep connects to, a file or a package for each, and the contract of their adapters."""

from functools import lru_cache
from types import MappingProxyType
from typing import Final, cast

from app.kit import registry
from app.platforms.contract import Adapter

FOLDER: Final = __name__
NOT_ADAPTERS: Final = frozenset(
    {
        "addresses",
        "buttons",
        "attachments",
        "capabilities",
        "changes",
        "contract",
        "dates",
        "errors",
        "guards",
        "markup",
        "offsets",
        "separate_lists",
        "outgoing",
        "poll_intervals",
        "rate_headers",
        "routes",
        "spec",
        "wire",
    }
)
"""The modules of this package that are no platform's; every other module or package is one."""


@lru_cache(maxsize=1)
def adapters() -> MappingProxyType[str, type[Adapter]]:
    """The adapter class of every platform, by the platform's key. `RegistryError` where two declare one key."""
    adapters_by_key: dict[str, type[Adapter]] = {}
    for declared in registry.declared(FOLDER, "ADAPTER", type, exclude=NOT_ADAPTERS).values():
        # Adapter is no runtime-checkable protocol; the contract tests check each adapter against it.
        adapter_class = cast("type[Adapter]", declared)
        if adapter_class.spec.key in adapters_by_key:
            raise registry.RegistryError(f"two adapters declare the key {adapter_class.spec.key}")
        adapters_by_key[adapter_class.spec.key] = adapter_class
    return MappingProxyType(adapters_by_key)


def adapter(key: str) -> type[Adapter]:
    """The adapter class of one platform; `KeyError` where there is none."""
    return adapters()[key]
