"""Find what the files of a folder declare.

A platform is a file in `app/platforms/adapters` with an `ADAPTER`; a KPI is a file in
`app/kpis/catalogue` with a `KPI`; a room's routes are a `routes.py` with a `ROUTER`. To add one,
add its file: nothing lists them by hand.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


class RegistryError(RuntimeError):
    """A file declares nothing of what its folder holds."""


def modules(package: str) -> Iterator[ModuleType]:
    """Import the public modules directly in a package, in the order of their names."""
    parent = importlib.import_module(package)
    for found in sorted(pkgutil.iter_modules(parent.__path__), key=lambda found: found.name):
        if not found.name.startswith("_"):
            yield importlib.import_module(f"{package}.{found.name}")


def declared(package: str, attribute: str, kind: type[T]) -> dict[str, T]:
    """What each module of `package` declares as `attribute`, by the module's name.

    Raises `RegistryError` when a module declares nothing of that type: a file that is silently
    not picked up costs its author an evening.
    """
    found: dict[str, T] = {}
    for module in modules(package):
        value = getattr(module, attribute, None)
        if not isinstance(value, kind):
            raise RegistryError(f"{module.__name__} must declare {attribute} of type {kind.__name__}")
        found[module.__name__.rpartition(".")[2]] = value
    return found


def rooms(part: str) -> Iterator[ModuleType]:
    """Import the module `part` of every room that has one: `rooms("routes")`, `rooms("jobs")`."""
    house = importlib.import_module("app")
    for room in sorted(pkgutil.iter_modules(house.__path__), key=lambda room: room.name):
        if not room.ispkg:
            continue
        package = importlib.import_module(f"app.{room.name}")
        if any(found.name == part for found in pkgutil.iter_modules(package.__path__)):
            yield importlib.import_module(f"app.{room.name}.{part}")
