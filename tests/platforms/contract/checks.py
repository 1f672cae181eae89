"""What is checked: one function for each promise of the contract."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import pytest

from app.platforms.contract import Adapter, PlatformError
from tests.platforms.contract.stage import Subject, staged
from tests.platforms.specimens import Specimen

Run = Callable[[Subject], Awaitable[None]]
AppliesTo = Callable[[type[Adapter], Specimen], bool]


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, and of which adapters it is asked."""

    run: Run
    applies: AppliesTo


REGISTERED: Final[dict[str, Check]] = {}
"""By name; `suite` has them in the table's order."""


def check(name: str, applies: AppliesTo = lambda _, __: True) -> Callable[[Run], Run]:
    """Put a function into the table. `known` tells whether an adapter has what it is about."""

    def add(run: Run) -> Run:
        assert name not in REGISTERED, f"there are two checks {name}"
        REGISTERED[name] = Check(run, applies)
        return run

    return add


def has(capability: type) -> AppliesTo:
    return lambda kind, _: issubclass(kind, capability)


FAILURES: Final = (AssertionError, pytest.fail.Exception, PlatformError)
"""What a check ends with where something is not as promised."""


PASSED: Final[set[tuple[str, type[Adapter]]]] = set()
"""Checks that adapters have passed in this process."""


async def run(name: str, key: str, kind: type[Adapter]) -> None:
    """One check of an adapter on a stage of its own; one of `RED` where something is not as promised."""
    async with staged(key, kind) as subject:
        await REGISTERED[name].run(subject)
    PASSED.add((name, kind))
