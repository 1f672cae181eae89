"""The keeper: starts one server, watches over it, and stops it when its owner is gone.

Its standard input is a pipe held by the owner: end of file means stop, so a killed owner leaves
nothing behind. To its standard output it writes one line of JSON: `{"sockets": …, "process": …}`, or
`{"error": …}`.

Two locks guard the data folder. `server.lock` is inherited by the server: while it is held, a server
lives. `keeper.lock` is the keeper's own. The first without the second is an orphan, and is stopped.
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
"""How long a predecessor that is just stopping is waited for."""
SOCKET_PATH_LIMIT = 100
"""Bytes; the kernel's own limit is 104 to 108."""
LOG_LIMIT = 10 * 1024 * 1024
_LONGEST_NAME = "/.s.PGSQL.5432.lock"
_PREFIX = "instep-"


class Lifeline:
    """The pipe from the owner, and the signals that mean the same."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._wake, wakeup = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(self._wake, False)
        self.cut = False
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake up
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._cut)

    def _cut(self, *_: object) -> None:
        self.cut = True

    def wait(self, seconds: float | None) -> None:
        """Until the owner goes, a child ends, or the time is over."""
        if self.cut:
            return
        ready, _, _ = select.select([self._descriptor, self._wake], [], [], seconds)
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 512)
        if self._descriptor in ready and os.read(self._descriptor, 512) == b"":
            self.cut = True


class Keeper:
    """One server in one folder."""

    def __init__(self, server: Server, home: Path, sockets: Path, lock: int, lifeline: Lifeline) -> None:
        self._server = server
        self._home = home
        self._sockets = sockets
        self._lock = lock
        self._lifeline = lifeline

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
        """Run a command of the server's making to its end."""
        process = self._start(argv, ends_with=signal.SIGKILL)
        while process.poll() is None and not self._lifeline.cut:
            self._lifeline.wait(1.0)
        if process.poll() is None:
            process.kill()
            process.wait()
            raise Abandoned
        if process.returncode:
            raise EmbeddedError(f"{Path(argv[0]).name} failed: {self._last_words()}")

    def keep(self, report: Callable[[subprocess.Popen[bytes]], None]) -> None:
        """Run the server until the owner goes; one that dies meanwhile is started again."""
        self._server.prepare(self.run)
        pause, reported = 0.5, False
        while not self._lifeline.cut:
            process = self._start(self._server.command(self._sockets), ends_with=self._server.stops[0][0])
            try:
                if self._await(process):
                    report(process)
                    pause, reported = 0.5, True
                    while process.poll() is None and not self._lifeline.cut:
                        self._lifeline.wait(None)
                elif not reported and not self._lifeline.cut:
                    raise EmbeddedError(f"{self._server.title} did not start: {self._last_words()}")
            finally:
                self._stop(process)
            if not self._lifeline.cut:
                self._lifeline.wait(pause)
                pause = min(2 * pause, 10.0)

    def _await(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + START_TIMEOUT
        while process.poll() is None and not self._lifeline.cut and time.monotonic() < deadline:
            if self._server.ready(process.pid, self._sockets):
                return True
            self._lifeline.wait(0.02)
        return False

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        for number, seconds in self._server.stops:
            if process.poll() is not None:
                return
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)

    def _last_words(self) -> str:
        lines = (self._home / "server.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-8:]) or "it said nothing"


def _held(path: Path) -> int | None:
    """A locked descriptor, or None where somebody else holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _wait_for_lock(path: Path, lifeline: Lifeline, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while (lock := _held(path)) is None:
        if lifeline.cut or time.monotonic() > deadline:
            return None
        lifeline.wait(0.05)
    return lock


def _recorded(home: Path) -> dict[str, object]:
    try:
        known = json.loads((home / "server.json").read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def take(home: Path, stops: Sequence[tuple[signal.Signals, float]], lifeline: Lifeline) -> int:
    """The lock that the server inherits, once nobody else has this folder. Stops an orphan.

    Raises:
        AlreadyRunning: another keeper holds it, and goes on holding it.
    """
    if _wait_for_lock(home / "keeper.lock", lifeline, LOCK_TIMEOUT) is None:
        keeper = _recorded(home).get("keeper")
        raise AlreadyRunning(home, keeper if isinstance(keeper, int) else None)
    lock = _wait_for_lock(home / "server.lock", lifeline, 1.0)
    for number, seconds in stops:
        if lock is not None:
            break
        orphan = _recorded(home).get("process")
        if not isinstance(orphan, int):
            raise AlreadyRunning(home, None)
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, number)
        lock = _wait_for_lock(home / "server.lock", lifeline, seconds)
    if lock is None:
        raise AlreadyRunning(home, None)
    return lock


@contextlib.contextmanager
def socket_folder(home: Path) -> Iterator[Path]:
    """A private folder with a path short enough for a socket; removed at the end.

    Raises:
        EmbeddedError: neither /tmp nor $XDG_RUNTIME_DIR will do.
    """
    stale = _recorded(home).get("sockets")
    if isinstance(stale, str) and Path(stale).name.startswith(_PREFIX) and not Path(stale).is_symlink():
        shutil.rmtree(stale, ignore_errors=True)
    for parent in ("/tmp", os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()):  # noqa: S108 -- mkdtemp
        if len(f"{parent}/{_PREFIX}12345678{_LONGEST_NAME}".encode()) >= SOCKET_PATH_LIMIT:
            continue
        try:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent or "/nonexistent"))
        except OSError:
            continue
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    raise EmbeddedError("there is no folder for sockets: /tmp cannot be written, and TMPDIR is too long")


def keep(kind: str, home: Path, *, test: bool) -> None:
    """Keep a server of `kind` in `home`; with `test`, `home` is removed at the end."""
    lifeline = Lifeline(sys.stdin.fileno())
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = take(home, KINDS[kind].stops, lifeline)
        log = home / "server.log"
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as stream:
            os.dup2(stream.fileno(), sys.stderr.fileno())

        def report(process: subprocess.Popen[bytes]) -> None:
            facts = {"keeper": os.getpid(), "process": process.pid, "sockets": str(sockets)}
            fresh = home / "server.json.new"
            fresh.write_text(json.dumps(facts))
            fresh.replace(home / "server.json")
            _say(facts)

        with socket_folder(home) as sockets:
            server = KINDS[kind](home, test=test)
            Keeper(server, home, sockets, lock, lifeline).keep(report)
    finally:
        if test:
            base = (home / "cluster").resolve()
            shutil.rmtree(base, ignore_errors=True)
            shutil.rmtree(home, ignore_errors=True)


def _say(facts: dict[str, object]) -> None:
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
        _say({"error": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
