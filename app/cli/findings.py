"""What `instep doctor` finds, and how it is printed."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from app.cli.console import console, say


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    FAILING = "failing"


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    subject: str
    level: Level
    message: str
    remedy: str | None = None


def ok(subject: str, message: str) -> Finding:
    """Nothing is wrong."""
    return Finding(subject, Level.OK, message)


def warning(subject: str, message: str, remedy: str) -> Finding:
    """It works, but somebody should know."""
    return Finding(subject, Level.WARNING, message, remedy)


def failing(subject: str, message: str, remedy: str) -> Finding:
    """Something does not work until it is mended."""
    return Finding(subject, Level.FAILING, message, remedy)


def show(findings: list[Finding], *, as_json: bool) -> None:
    """Print the findings, one line each, followed by the remedy."""
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
        return
    marks = {Level.OK: "[green]ok     [/]", Level.WARNING: "[yellow]warning[/]", Level.FAILING: "[red]failing[/]"}
    for finding in findings:
        say(marks[finding.level], f"{finding.subject}: {finding.message}", indent=8)
        if finding.remedy:
            say("        [dim]→[/]", finding.remedy, indent=10)
    failures, warnings = (sum(one.level is level for one in findings) for level in (Level.FAILING, Level.WARNING))
    console.print()
    if failures:
        console.print(f"[red]{failures} to mend[/]{f', {warnings} to know' if warnings else ''}")
    else:
        console.print(f"[green]nothing fails[/]{f', {warnings} to know' if warnings else ''}")
