"""Key performance indicators: one file each in `catalogue`, with evidence for every value."""

from functools import lru_cache
from types import MappingProxyType

from app.kit import registry
from app.kpis.contract import Kpi

FOLDER = "app.kpis.catalogue"


@lru_cache(maxsize=1)
def all_kpis() -> MappingProxyType[str, Kpi]:
    """All KPIs of the catalogue, by key, sorted by goal type and then by key."""
    by_key: dict[str, Kpi] = {}
    for kpi in registry.declared(FOLDER, "KPI", Kpi).values():
        if kpi.key in by_key:
            raise registry.RegistryError(f"two KPIs declare the key {kpi.key}")
        by_key[kpi.key] = kpi
    return MappingProxyType(dict(sorted(by_key.items(), key=lambda item: (item[1].goal, item[0]))))
