"""The command line's output: with colour in a terminal, plain lines elsewhere.

In a terminal lines are broken between words, below their own beginning; elsewhere a line stays one line, so that
`grep` finds it whole.
"""

import sys
import textwrap
from collections.abc import Collection, Sequence
from typing import NoReturn

import structlog
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

GAP = 2
"""Blanks between the columns of a table."""

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def log_to_stderr() -> None:
    """Write this process's logs to stderr: stdout is a command's output, which a script may read."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def say(mark: str, text: str, *, to: Console | None = None, indent: int = 2) -> None:
    """Print `text` after a mark (rich's markup), in a terminal with its further lines below the first."""
    to = to or console
    lines = text.splitlines() or [""]
    if to.is_terminal:
        lines = [part for line in lines for part in _wrapped(line, max(to.width - indent, 20))]
    first, *rest = lines
    to.print(f"{mark} {escape(first)}")
    for line in rest:
        to.print(f"{' ' * indent}{escape(line)}")


def _wrapped(line: str, width: int) -> list[str]:
    """The line in parts of at most `width`; one that is indented already (a log's, a traceback's) is left whole."""
    if not line or line.startswith(" "):
        return [line]
    return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)


def step(text: str) -> None:
    """Print a line of progress."""
    say("[cyan]•[/]", text)


def done(text: str) -> None:
    """Print that something has succeeded."""
    say("[green]✓[/]", text)


def warn(text: str) -> None:
    """Print a warning to stderr; the command goes on."""
    say("[yellow]![/]", text, to=errors)


def fail(text: str, *, code: int = 1) -> NoReturn:
    """Print an error to stderr, and exit with `code`."""
    sys.stdout.flush()
    say("[red]✗[/]", text, to=errors)
    raise typer.Exit(code)


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = (), shrinks: int | None = None
) -> None:
    """Print a table as wide as the terminal at most (80 columns where there is none).

    The columns in `right` are aligned to the right; the one numbered `shrinks` is cut where the width does not do.
    """
    widths = [max(len(head), *(len(row[number]) for row in rows)) for number, head in enumerate(heads)]
    if shrinks is not None:
        others = sum(widths) - widths[shrinks] + GAP * (len(heads) - 1)
        widths[shrinks] = min(widths[shrinks], max(console.width - others, len(heads[shrinks]), 8))
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0))
    for number, head in enumerate(heads):
        made.add_column(
            head,
            justify="right" if number in right else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=widths[number],
        )
    for row in rows:
        made.add_row(*map(escape, row))
    console.print(made, soft_wrap=False)
