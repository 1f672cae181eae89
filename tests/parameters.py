"""A test's parameters must not hold live objects: those that must be awaited, closed or iterated once.

Parameters are made when tests are collected, also for tests that are then skipped or left out. A coroutine
among them is never awaited, a file never closed, an iterator is used up by its first use. Pass a
function that makes the object instead.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

import pytest

_PLAIN = (str, bytes, bytearray, int, float, complex, type, ModuleType, type(None))
_OURS = ("app.", "tests.", "workers.")


def alive(value: Any) -> Iterator[str]:
    """The live objects in a value, with their paths: `[0].client is a AsyncClient`.

    Searched are tuples, lists, sets, mappings, dataclasses, objects of our own classes, partials, bound
    methods, and what functions are closed over or default to.
    """
    yield from _alive(value, "", {})


def _alive(value: Any, place: str, met: dict[int, object]) -> Iterator[str]:
    """`met` holds the objects already searched, by id, so that no other object can get the same id meanwhile."""
    if isinstance(value, _PLAIN) or id(value) in met:
        return
    met[id(value)] = value
    if _lives(value):
        yield f"{place} is a {type(value).__name__}".lstrip()
        return
    for name, part in _parts(value):
        yield from _alive(part, f"{place}{name}", met)


def _lives(value: Any) -> bool:
    """Whether a value must be awaited, iterated once or closed; objects in memory and closed ones need not."""
    if inspect.isawaitable(value) or isinstance(value, Iterator | AsyncIterator | asyncio.AbstractEventLoop):
        return True
    closes = any(callable(getattr(type(value), name, None)) for name in ("close", "aclose", "terminate", "shutdown"))
    return closes and not any(getattr(value, name, False) is True for name in ("closed", "is_closed"))


def _parts(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [*((f"[{key!r}]", part) for key, part in value.items()), *((".keys()", key) for key in value)]
    if isinstance(value, tuple | list | AbstractSet):
        return [(f"[{number}]", part) for number, part in enumerate(value)]
    if isinstance(value, partial):
        return [(".func", value.func), (".args", value.args), (".keywords", value.keywords)]
    if isinstance(value, MethodType):
        return [(".__self__", value.__self__)]
    if isinstance(value, FunctionType):
        return [(".__defaults__", value.__defaults__), *inspect.getclosurevars(value).nonlocals.items()]
    if is_dataclass(value):
        return [(f".{one.name}", getattr(value, one.name, None)) for one in fields(value)]
    if type(value).__module__.startswith(_OURS):
        return [(f".{name}", part) for name, part in getattr(value, "__dict__", {}).items()]
    return []


def refuse(report: pytest.CollectReport) -> None:
    """Make the collection report an error where a test's parameters hold live objects."""
    faults = []
    met: dict[int, object] = {}  # objects shared by many tests are searched once
    for item in report.result or []:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        faults += [
            f"{item.nodeid}: of {name}, {one}" for name, value in parameters.items() for one in _alive(value, "", met)
        ]
    if faults:
        report.outcome = "failed"
        report.longrepr = "\n".join(("These parameters are alive; parametrize with what makes them:", *faults))
        report.result = []
