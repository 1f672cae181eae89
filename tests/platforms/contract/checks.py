"""The registry of checks: one function for each guarantee of the contract."""

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
    """A check, and the adapters that it applies to."""

    run: Run
    applies: AppliesTo


REGISTERED: Final[dict[str, Check]] = {}
"""Checks by name; `suite` has them in the table's order."""


def check(name: str, applies: AppliesTo = lambda _, __: True) -> Callable[[Run], Run]:
    """Register a function as a check. `applies` tells whether it applies to an adapter."""

    def add(run: Run) -> Run:
        assert name not in REGISTERED, f"there are two checks {name}"
        REGISTERED[name] = Check(run, applies)
        return run

    return add


def has(capability: type) -> AppliesTo:
    return lambda kind, _: issubclass(kind, capability)


FAILURES: Final = (AssertionError, pytest.fail.Exception, PlatformError)
"""The exceptions of a failed check."""


PASSED: Final[set[tuple[str, type[Adapter]]]] = set()
"""Checks that adapters have passed in this process."""


async def run(name: str, key: str, kind: type[Adapter]) -> None:
    """Run one check of an adapter on a new stage. Raises one of `FAILURES` if it fails."""
    async with staged(key, kind) as subject:
        await REGISTERED[name].run(subject)
    PASSED.add((name, kind))
