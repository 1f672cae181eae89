"""Prints the table when the suite has run."""

import pytest

from tests.platforms.contract.table import Result, table

PROPERTY = "contract"
"""Under this name each test of the suite carries its adapter and its check, also from another process."""


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
