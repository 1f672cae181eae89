"""Fixtures for tests of adapters, and the table of faults by adapter that is printed after a run."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from tests.platforms.faults import FAULT_PROPERTY, table

T = TypeVar("T")


@pytest.fixture
def run() -> Iterator[Callable[[Coroutine[Any, Any, T]], T]]:
    """Run a coroutine to its end: Hypothesis takes no asynchronous functions."""
    with asyncio.Runner() as runner:
        yield runner.run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    outcomes_by_case: dict[tuple[str, str], list[bool]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            for name, value in getattr(report, "user_properties", ()):
                if name == FAULT_PROPERTY:
                    outcomes_by_case.setdefault((value[0], value[1]), []).append(outcome == "passed")
    if outcomes_by_case:
        terminalreporter.section("adapters × faults")
        terminalreporter.write_line(table(outcomes_by_case))
