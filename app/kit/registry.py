"""Discovery of what the modules of a folder declare.

A platform is a file in `app/platforms` with an `ADAPTER`, or a package whose files hold one; a KPI is
a file in `app/kpis/catalogue` with a `KPI`; a room's routes are a `routes.py` with a `ROUTER`. To add
one, add its file: there is no list to extend.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


class RegistryError(RuntimeError):
    """A module does not declare what the modules of its folder must declare."""


def modules(package: str, *, exclude: frozenset[str] = frozenset()) -> Iterator[ModuleType]:
    """Import the public modules directly in a package, in the order of their names, except those in `exclude`."""
    parent = importlib.import_module(package)
    for module in sorted(pkgutil.iter_modules(parent.__path__), key=lambda module: module.name):
        if not module.name.startswith("_") and module.name not in exclude:
            yield importlib.import_module(f"{package}.{module.name}")


def declared(package: str, attribute: str, type_: type[T], *, exclude: frozenset[str] = frozenset()) -> dict[str, T]:
    """What each module of `package` declares as `attribute`, by the module's name.

    In a subpackage, any of its modules may declare one, and several may. `exclude` names modules of `package`
    that declare none. Raises `RegistryError` where a module declares nothing of that type: silently ignoring
    it would hide its author's mistake.
    """
    declarations: dict[str, T] = {}
    for module in modules(package, exclude=exclude):
        candidates = list(modules(module.__name__)) if hasattr(module, "__path__") else [module]
        values = {candidate.__name__: getattr(candidate, attribute, None) for candidate in candidates}
        of_type = {name: value for name, value in values.items() if isinstance(value, type_)}
        if not of_type:
            raise RegistryError(f"{module.__name__} must declare {attribute} of type {type_.__name__}")
        declarations |= {name.removeprefix(f"{package}."): value for name, value in of_type.items()}
    return declarations


def rooms(part: str) -> Iterator[ModuleType]:
    """Import the module `part` of every room, and of every package in a room: `rooms("routes")`, `rooms("jobs")`."""
    yield from _import_named(part, "app")


def _import_named(part: str, package: str) -> Iterator[ModuleType]:
    children = sorted(pkgutil.iter_modules(importlib.import_module(package).__path__), key=lambda child: child.name)
    if package != "app" and any(child.name == part for child in children):
        yield importlib.import_module(f"{package}.{part}")
    for child in children:
        if child.ispkg:
            yield from _import_named(part, f"{package}.{child.name}")
