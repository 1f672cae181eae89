"""The interface of a server to its keeper."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from app.cli.embedded.identity import Identity

Run = Callable[[Sequence[str]], None]
"""Runs a command to its end, as the server's identity; raises EmbeddedError with its output."""


class Server(Protocol):
    """One kind of server. PostgreSQL and Valkey are the two."""

    title: str
    identity: Identity
    environment: Mapping[str, str]
    stops: tuple[tuple[signal.Signals, float], ...]
    """Signals that stop it, the gentlest first, each with the seconds to wait before the next."""

    def prepare(self, run: Run) -> None:
        """Create the data, where there are none."""

    def command(self, sockets: Path) -> Sequence[str]:
        """The argument vector that starts it, with its socket in the folder `sockets`."""

    def ready(self, process: int, sockets: Path) -> bool:
        """Whether the server with this process id answers; never true because of another server."""


def clean_environment(libraries: Path | None = None) -> Mapping[str, str]:
    """This process's environment without variables that change the behaviour or language of PostgreSQL's programs.

    The programs find `libraries` by a relative path, but only where /proc is mounted; hence LD_LIBRARY_PATH.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    if libraries is not None:
        variables["LD_LIBRARY_PATH"] = str(libraries)
    return {**variables, "LC_ALL": "C", "TZ": "UTC"}
