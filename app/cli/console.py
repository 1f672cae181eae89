"""What the command line says. A terminal gets colour, anything else plain lines."""

import sys
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def step(text: str) -> None:
    """A line of progress."""
    console.print(f"[cyan]•[/] {escape(text)}")


def done(text: str) -> None:
    """Something is as it should be."""
    console.print(f"[green]✓[/] {escape(text)}")


def warn(text: str) -> None:
    """Something a person should know; the work goes on."""
    errors.print(f"[yellow]![/] {escape(text)}")


def fail(text: str, *, code: int = 1) -> NoReturn:
    """One clear message instead of a traceback, and the end."""
    sys.stdout.flush()
    errors.print(f"[red]✗[/] {escape(text)}")
    raise typer.Exit(code)
