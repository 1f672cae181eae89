"""What tests of adapters share; prints which calls of which adapter met which fault, when they have."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from tests.platforms.faults import MET, table

T = TypeVar("T")


@pytest.fixture
def run() -> Iterator[Callable[[Coroutine[Any, Any, T]], T]]:
    """Hypothesis runs no coroutines by itself."""
    with asyncio.Runner() as runner:
        yield runner.run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    met: dict[tuple[str, str], list[bool]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            for name, value in getattr(report, "user_properties", ()):
                if name == MET:
                    met.setdefault((value[0], value[1]), []).append(outcome == "passed")
    if met:
        terminalreporter.section("adapters × faults")
        terminalreporter.write_line(table(met))
