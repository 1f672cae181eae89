"""The keeper: starts one server, restarts it when it dies, and stops it when its owner is gone.

Its standard input is a pipe held by the owner: end of file means stop, so a killed owner leaves no
server behind. To its standard output it writes one line of JSON: `{"sockets": …, "process": …}`, or
`{"error": …}`.

Two locks guard the data folder. `server.lock` is inherited by the server: while it is locked, a server
runs. `keeper.lock` is the keeper's own. A server without a keeper is an orphan, and is stopped.
"""

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from app.cli.embedded.errors import Abandoned, AlreadyRunning, EmbeddedError
from app.cli.embedded.postgres import Postgres
from app.cli.embedded.server import Server
from app.cli.embedded.valkey import Valkey
from app.cli.parent_watch import die_with_parent

KINDS: dict[str, type[Postgres] | type[Valkey]] = {"postgres": Postgres, "valkey": Valkey}

START_TIMEOUT = 90.0
LOCK_TIMEOUT = 15.0
"""Seconds to wait for a previous keeper that is stopping."""
SOCKET_PATH_LIMIT = 100
"""Bytes; the kernel's own limit is 104 to 108."""
LOG_LIMIT = 10 * 1024 * 1024
_LONGEST_NAME = "/.s.PGSQL.5432.lock"
SOCKETS_PREFIX = "instep-"


class OwnerWatch:
    """Whether the owner is gone: its pipe has ended, or a signal asks to stop."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._wake, wakeup = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(self._wake, False)
        self.gone = False
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake up
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._set_gone)

    def _set_gone(self, *_: object) -> None:
        self.gone = True

    def wait(self, seconds: float | None) -> None:
        """Wait until the owner is gone, a child ends, or the time is over."""
        if self.gone:
            return
        ready, _, _ = select.select([self._descriptor, self._wake], [], [], seconds)
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 512)
        if self._descriptor in ready and os.read(self._descriptor, 512) == b"":
            self.gone = True


class Keeper:
    """One server in one folder."""

    def __init__(self, server: Server, home: Path, sockets: Path, lock: int, owner: OwnerWatch) -> None:
        self._server = server
        self._home = home
        self._sockets = sockets
        self._lock = lock
        self._owner = owner

    def _start(self, argv: Sequence[str], *, ends_with: signal.Signals) -> subprocess.Popen[bytes]:
        identity = self._server.identity
        return subprocess.Popen(
            identity.command(argv),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            stderr=sys.stderr,
            cwd="/",
            env=self._server.environment,
            pass_fds=(self._lock,),
            preexec_fn=die_with_parent(ends_with),  # one thread only, so this is safe
            user=identity.user,
            group=identity.user,
            extra_groups=identity.groups,
        )

    def run(self, argv: Sequence[str]) -> None:
        """Run a command to its end (see `server.Run`)."""
        process = self._start(argv, ends_with=signal.SIGKILL)
        while process.poll() is None and not self._owner.gone:
            self._owner.wait(1.0)
        if process.poll() is None:
            process.kill()
            process.wait()
            raise Abandoned
        if process.returncode:
            raise EmbeddedError(f"{Path(argv[0]).name} failed: {self._log_tail()}")

    def keep(self, report: Callable[[subprocess.Popen[bytes]], None]) -> None:
        """Run the server until the owner is gone, restarting it when it dies."""
        self._server.prepare(self.run)
        pause, reported = 0.5, False
        while not self._owner.gone:
            process = self._start(self._server.command(self._sockets), ends_with=self._server.stops[0][0])
            try:
                if self._await(process):
                    report(process)
                    pause, reported = 0.5, True
                    while process.poll() is None and not self._owner.gone:
                        self._owner.wait(None)
                elif not reported and not self._owner.gone:
                    raise EmbeddedError(f"{self._server.title} did not start: {self._log_tail()}")
            finally:
                self._stop(process)
            if not self._owner.gone:
                self._owner.wait(pause)
                pause = min(2 * pause, 10.0)

    def _await(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + START_TIMEOUT
        while process.poll() is None and not self._owner.gone and time.monotonic() < deadline:
            if self._server.ready(process.pid, self._sockets):
                return True
            self._owner.wait(0.02)
        return False

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        for number, seconds in self._server.stops:
            if process.poll() is not None:
                return
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)

    def _log_tail(self) -> str:
        lines = (self._home / "server.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-8:]) or "its log is empty"


def _try_lock(path: Path) -> int | None:
    """A locked descriptor; None where another process holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _wait_for_lock(path: Path, owner: OwnerWatch, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while (lock := _try_lock(path)) is None:
        if owner.gone or time.monotonic() > deadline:
            return None
        owner.wait(0.05)
    return lock


def _read_record(home: Path) -> dict[str, object]:
    try:
        record = json.loads((home / "server.json").read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def lock_folder(home: Path, stops: Sequence[tuple[signal.Signals, float]], owner: OwnerWatch) -> int:
    """Lock the folder, stopping an orphaned server; the descriptor of the lock that the server inherits.

    Raises:
        AlreadyRunning: another keeper, or a server that does not stop, holds a lock.
    """
    if _wait_for_lock(home / "keeper.lock", owner, LOCK_TIMEOUT) is None:
        keeper = _read_record(home).get("keeper")
        raise AlreadyRunning(home, keeper if isinstance(keeper, int) else None)
    lock = _wait_for_lock(home / "server.lock", owner, 1.0)
    for number, seconds in stops:
        if lock is not None:
            break
        orphan = _read_record(home).get("process")
        if not isinstance(orphan, int):
            raise AlreadyRunning(home, None)
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, number)
        lock = _wait_for_lock(home / "server.lock", owner, seconds)
    if lock is None:
        raise AlreadyRunning(home, None)
    return lock


@contextlib.contextmanager
def socket_folder(home: Path) -> Iterator[Path]:
    """A private folder with a path short enough for a socket; removed at the end.

    Raises:
        EmbeddedError: no folder for temporary files is writable and has a path that is short enough.
    """
    stale = _read_record(home).get("sockets")
    if isinstance(stale, str) and Path(stale).name.startswith(SOCKETS_PREFIX) and not Path(stale).is_symlink():
        shutil.rmtree(stale, ignore_errors=True)
    for parent in ("/tmp", os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()):  # noqa: S108 -- mkdtemp
        if len(f"{parent}/{SOCKETS_PREFIX}12345678{_LONGEST_NAME}".encode()) >= SOCKET_PATH_LIMIT:
            continue
        try:
            folder = Path(tempfile.mkdtemp(prefix=SOCKETS_PREFIX, dir=parent or "/nonexistent"))
        except OSError:
            continue
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    raise EmbeddedError("there is no folder for sockets: /tmp cannot be written, and TMPDIR is too long")


def keep(kind: str, home: Path, *, test: bool) -> None:
    """Run a server of this kind in `home` until the owner is gone; with `test`, `home` is removed at the end."""
    owner = OwnerWatch(sys.stdin.fileno())
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = lock_folder(home, KINDS[kind].stops, owner)
        log = home / "server.log"
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as stream:
            os.dup2(stream.fileno(), sys.stderr.fileno())

        def report(process: subprocess.Popen[bytes]) -> None:
            facts = {"keeper": os.getpid(), "process": process.pid, "sockets": str(sockets)}
            new_file = home / "server.json.new"
            new_file.write_text(json.dumps(facts))
            new_file.replace(home / "server.json")
            _report(facts)

        with socket_folder(home) as sockets:
            server = KINDS[kind](home, test=test)
            Keeper(server, home, sockets, lock, owner).keep(report)
    finally:
        if test:
            base = (home / "cluster").resolve()
            shutil.rmtree(base, ignore_errors=True)
            shutil.rmtree(home, ignore_errors=True)


def _report(facts: dict[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), json.dumps(facts).encode() + b"\n")


def main() -> int:
    """`python -m app.cli.embedded.keeper KIND HOME [--test]`."""
    kind, home, *options = sys.argv[1:]
    try:
        keep(kind, Path(home), test="--test" in options)
    except Abandoned:
        return 0
    except (EmbeddedError, OSError) as error:
        _report({"error": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
