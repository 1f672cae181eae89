"""Find what the files of a folder declare.

A platform is a file in `app/platforms` with an `ADAPTER`, or a package whose files hold one; a KPI is
a file in `app/kpis/catalogue` with a `KPI`; a room's routes are a `routes.py` with a `ROUTER`. To add
one, add its file: nothing lists them by hand.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


class RegistryError(RuntimeError):
    """A file declares nothing of what its folder holds."""


def modules(package: str, *, besides: frozenset[str] = frozenset()) -> Iterator[ModuleType]:
    """Import the public modules directly in a package, in the order of their names, without those named `besides`."""
    parent = importlib.import_module(package)
    for found in sorted(pkgutil.iter_modules(parent.__path__), key=lambda found: found.name):
        if not found.name.startswith("_") and found.name not in besides:
            yield importlib.import_module(f"{package}.{found.name}")


def declared(package: str, attribute: str, kind: type[T], *, besides: frozenset[str] = frozenset()) -> dict[str, T]:
    """What each module of `package` declares as `attribute`, by the module's name.

    A package in it is looked through for modules that declare one; it may hold several. `besides` names modules
    of `package` that are something else. Raises `RegistryError` where nothing of that type is declared: a file
    that is silently not picked up costs its author an evening.
    """
    found: dict[str, T] = {}
    for module in modules(package, besides=besides):
        inside = list(modules(module.__name__)) if hasattr(module, "__path__") else [module]
        values = {one.__name__: getattr(one, attribute, None) for one in inside}
        declaring = {name: value for name, value in values.items() if isinstance(value, kind)}
        if not declaring:
            raise RegistryError(f"{module.__name__} must declare {attribute} of type {kind.__name__}")
        found |= {name.removeprefix(f"{package}."): value for name, value in declaring.items()}
    return found


def rooms(part: str) -> Iterator[ModuleType]:
    """Import the module `part` of every room, and of every package in a room: `rooms("routes")`, `rooms("jobs")`."""
    yield from _named(part, "app")


def _named(part: str, package: str) -> Iterator[ModuleType]:
    inside = sorted(pkgutil.iter_modules(importlib.import_module(package).__path__), key=lambda found: found.name)
    if package != "app" and any(found.name == part for found in inside):
        yield importlib.import_module(f"{package}.{part}")
    for found in inside:
        if found.ispkg:
            yield from _named(part, f"{package}.{found.name}")
