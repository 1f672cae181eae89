"""What a keeper knows of the server it keeps."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from app.cli.embedded.identity import Identity

Run = Callable[[Sequence[str]], None]
"""Runs a command to its end, as the server's identity; raises EmbeddedError with what it said."""


class Server(Protocol):
    """One kind of server. PostgreSQL and Valkey are the two."""

    title: str
    identity: Identity
    environment: Mapping[str, str]
    stops: tuple[tuple[signal.Signals, float], ...]
    """Signals that ask it to stop, the politest first, and how many seconds each is given."""

    def prepare(self, run: Run) -> None:
        """Make the data if there are none."""

    def command(self, sockets: Path) -> Sequence[str]:
        """How it is started, with its socket in the folder `sockets`."""

    def ready(self, process: int, sockets: Path) -> bool:
        """Whether this very process answers. Never true because of somebody else's server."""


def clean_environment(libraries: Path | None = None) -> Mapping[str, str]:
    """Without the variables that would lead PostgreSQL's programs elsewhere, or make it speak otherwise.

    Programs find `libraries` beside themselves, but only where /proc is mounted; so they are told.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    if libraries is not None:
        kept["LD_LIBRARY_PATH"] = str(libraries)
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
