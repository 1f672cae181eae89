"""Starting embedded servers.

    with start_postgres(folder) as postgres:
        postgres.url("instep_app", "instep")

A server runs until the end of the `with` block or of the process. Its data stay in the folder; with
`test=True` they are deleted at the end, and not synced to disk.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.cli.embedded.errors import EmbeddedError
from app.cli.embedded.postgres import SHARED_MEMORY, SUPERUSER
from app.cli.embedded.valkey import SOCKET

STOP_TIMEOUT = 60.0
TEST_SPACE = 2 * 1024**3
"""Bytes /dev/shm must have free to hold test data; in a container it is often 64 MB."""

__all__ = ["EmbeddedError", "Postgres", "Valkey", "scratch_folder", "start_postgres", "start_valkey"]


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL."""

    sockets: Path
    process: int
    """The postmaster."""

    def url(self, role: str = SUPERUSER, database: str = "postgres") -> str:
        """The SQLAlchemy URL of `database`, as `role`. Without a password: the socket's folder is private."""
        return f"postgresql+asyncpg://{role}@/{database}?host={self.sockets}&port=5432"


@dataclass(frozen=True)
class Valkey:
    """A running Valkey."""

    sockets: Path
    process: int

    @property
    def url(self) -> str:
        """The URL for redis-py and arq; `?db=3` selects a database."""
        return f"unix://{self.sockets / SOCKET}"


@contextlib.contextmanager
def _keeper(kind: str, home: Path, *, test: bool) -> Iterator[tuple[Path, int]]:
    keeper = subprocess.Popen(
        [sys.executable, "-m", "app.cli.embedded.keeper", kind, str(home.resolve()), *(["--test"] if test else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the owner, who then closes the pipe
    )
    with keeper:  # closes the pipes and waits
        if keeper.stdout is None or keeper.stdin is None:
            raise AssertionError("the pipes were requested")
        try:
            line = keeper.stdout.readline()
            facts = json.loads(line) if line else {"error": f"the keeper of {kind} ended; see {home / 'server.log'}"}
            if "error" in facts:
                raise EmbeddedError(facts["error"])
            yield Path(facts["sockets"]), int(facts["process"])
        finally:
            keeper.stdin.close()
            keeper.wait(STOP_TIMEOUT)


@contextlib.contextmanager
def start_postgres(home: Path, *, test: bool = False) -> Iterator[Postgres]:
    """PostgreSQL with its data in `home`, ready for connections.

    Raises:
        EmbeddedError: it does not start; the message is for people.
    """
    with _keeper("postgres", home, test=test) as (sockets, process):
        yield Postgres(sockets, process)


@contextlib.contextmanager
def start_valkey(home: Path, *, test: bool = False) -> Iterator[Valkey]:
    """Valkey with its data in `home`, ready for connections.

    Raises:
        EmbeddedError: it does not start; the message is for people.
    """
    with _keeper("valkey", home, test=test) as (sockets, process):
        yield Valkey(sockets, process)


def scratch_folder() -> Path:
    """A new folder for temporary data, in memory where there is enough. The keeper removes it."""
    parent = None
    with contextlib.suppress(OSError):
        if shutil.disk_usage(SHARED_MEMORY).free >= TEST_SPACE:
            parent = str(SHARED_MEMORY)
    try:
        return Path(tempfile.mkdtemp(prefix="instep-test-", dir=parent))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="instep-test-"))
