"""Find the wire formats that the platforms' folders declare, and check them for conflicts.

This module imports all folders, so nothing that a folder imports may import it.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from itertools import combinations

from sandbox.entities import Profile
from sandbox.network import WireFormat


class WireFormatError(RuntimeError):
    """A folder declares no wire format, or two wire formats conflict."""


@cache
def discover_wire_formats() -> tuple[WireFormat, ...]:
    """The wire formats of all folders, in the order of their communities' numbers.

    Raises `WireFormatError` for a folder without one, or for a conflict (see `compatible`).
    """
    package = importlib.import_module("sandbox")
    formats: list[WireFormat] = []
    for folder in pkgutil.iter_modules(package.__path__):
        if folder.ispkg:
            wire = getattr(importlib.import_module(f"sandbox.{folder.name}"), "WIRE_FORMAT", None)
            if not isinstance(wire, WireFormat) or wire.name != folder.name:
                raise WireFormatError(f"sandbox.{folder.name} must declare WIRE_FORMAT, a WireFormat of that name")
            formats.append(wire)
    return compatible(formats)


def compatible(wire_formats: Iterable[WireFormat]) -> tuple[WireFormat, ...]:
    """The wire formats, sorted by their communities' numbers.

    Raises `WireFormatError` if two share a path prefix or platform, or two communities a number or key.
    """
    ordered = tuple(sorted(wire_formats, key=lambda wire: min(profile.number for profile in wire.profiles)))
    for one, other in combinations(ordered, 2):
        for own_prefix in one.prefixes:
            for theirs in other.prefixes:
                if own_prefix.startswith(theirs) or theirs.startswith(own_prefix):
                    raise WireFormatError(f"{one.name} and {other.name} both claim {max(own_prefix, theirs, key=len)}")
        if both := one.platforms & other.platforms:
            raise WireFormatError(f"{one.name} and {other.name} both claim {min(both)}")
    for part in ("number", "key"):
        values = [getattr(profile, part) for wire in ordered for profile in wire.profiles]
        if twice := {value for value in values if values.count(value) > 1}:
            raise WireFormatError(f"two communities have the {part} {min(twice)}")
    return ordered


def profiles(wire_formats: Iterable[WireFormat]) -> list[Profile]:
    """All communities, in the order of their numbers."""
    return sorted((profile for wire in wire_formats for profile in wire.profiles), key=lambda profile: profile.number)
