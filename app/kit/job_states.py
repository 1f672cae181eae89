"""The states of a job; in a module of its own, which imports nothing: the command line starts with it."""

from enum import StrEnum


class JobState(StrEnum):
    """The state of a job."""

    DEAD = "dead"
    """Given up after its last attempt; it waits for a person."""
    RUNNING = "running"
    WAITING = "waiting"
