"""The command line's output: with colour in a terminal, plain lines elsewhere."""

import sys
from typing import NoReturn

import structlog
import typer
from rich.console import Console
from rich.markup import escape

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def log_to_stderr() -> None:
    """Write this process's logs to stderr: stdout is a command's output, which a script may read."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def step(text: str) -> None:
    """Print a line of progress."""
    console.print(f"[cyan]•[/] {escape(text)}")


def done(text: str) -> None:
    """Print that something has succeeded."""
    console.print(f"[green]✓[/] {escape(text)}")


def warn(text: str) -> None:
    """Print a warning to stderr; the command goes on."""
    errors.print(f"[yellow]![/] {escape(text)}")


def fail(text: str, *, code: int = 1) -> NoReturn:
    """Print an error to stderr, and exit with `code`."""
    sys.stdout.flush()
    errors.print(f"[red]✗[/] {escape(text)}")
    raise typer.Exit(code)
