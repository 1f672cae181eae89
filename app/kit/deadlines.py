"""How long a process waits for PostgreSQL, in seconds.

The server ends a statement that takes too long, and answers; the client gives up a moment later, for a server
that does not answer at all (stalled, or gone without closing the connection).
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds until each kind of wait ends with an error, which `errors.database_failure` classifies."""

    connect: float
    """For a new connection."""
    pool: float
    """For a connection of the pool, while all are in use."""
    statement: float
    """For a statement, by the server."""
    lock: float
    """For a lock within a statement, by the server."""
    idle: float
    """Between two statements of a transaction, by the server: a process that hangs must not keep its locks."""
    silence: float
    """For any answer of the server, by the client; more than `statement`."""

    def server_settings(self) -> dict[str, str]:
        """The parameters of a session, in milliseconds."""
        return {
            "statement_timeout": str(round(self.statement * 1000)),
            "lock_timeout": str(round(self.lock * 1000)),
            "idle_in_transaction_session_timeout": str(round(self.idle * 1000)),
        }


REQUESTS: Final = Deadlines(connect=3, pool=4, statement=8, lock=5, idle=60, silence=10)
"""A client of the API waits; it repeats what was answered with 503."""
JOBS: Final = Deadlines(connect=5, pool=30, statement=600, lock=60, idle=600, silence=630)
"""Nobody waits: what takes long is done all the same, and a job has a timeout of its own."""
