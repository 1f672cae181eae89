"""Prints the table after a run of the suite."""

import pytest

from tests.platforms.contract.table import Result, table

PROPERTY = "contract"
"""The property under which a test records its adapter and check, also from an xdist worker."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    results: dict[tuple[str, str], Result] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            for name, value in getattr(report, "user_properties", ()):
                if name == PROPERTY:
                    results[value[0], value[1]] = "ok" if outcome == "passed" else "FAILED"
    if results:
        terminalreporter.section("contract")
        terminalreporter.write_line(table(results))
