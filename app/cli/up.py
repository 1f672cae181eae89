"""`instep up`: servers, migrations, API and worker, with one command."""

import asyncio
import contextlib
import http.client
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.cli.console import done, step, warn
from app.cli.environment import require_start, settings_with, start_missing_servers, variable
from app.cli.migrate import migrate
from app.cli.parent_watch import stop_with_parent
from app.cli.supervisor import Program, Supervisor

READY_TIMEOUT = 90.0
GIVE_UP_AFTER = 3
"""Consecutive early exits of a program before its first sign of life."""


class DidNotStart(Exception):
    """A program did not start; the message ends with the last lines of its log."""


class Stopped(Exception):
    """A signal asked to stop while the programs were starting."""


@dataclass(frozen=True)
class Installation:
    """What the service's processes are started with."""

    data: Path
    environment: Mapping[str, str]
    """Environment variables of the service's processes."""
    listener: socket.socket
    url: str
    """Where the API answers."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on `port`, or, with a warning, on a free one where that is taken.

    The supervisor keeps it open: clients wait, instead of being refused, while the API restarts.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in (port, 0):
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, candidate))
            listener.listen(2048)
        except OSError:
            listener.close()
            if candidate == 0:
                raise
            continue
        if candidate != port:
            warn(f"port {port} is taken; using {listener.getsockname()[1]}")
        return listener
    raise AssertionError("unreachable")


def address(listener: socket.socket) -> str:
    """The URL of a listener, for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 -- read
    return f"http://{host}:{port}"


@contextlib.contextmanager
def start_installation(data: Path, host: str, port: int) -> Iterator[Installation]:
    """Bind the port, start the embedded servers that are needed, and migrate the database.

    Raises:
        EmbeddedError: an embedded server does not start.
        SettingsRefused: the settings are incomplete or unsafe.
        KeyMissing: a key that has sealed tokens is not configured.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(host, port))
        environment = stack.enter_context(start_missing_servers(data, asyncio.run, done))
        if (owner := environment.get("INSTEP_OWNER_DATABASE_URL") or variable("INSTEP_OWNER_DATABASE_URL")) is not None:
            migrate(owner)
            done("the database is migrated")
        else:
            warn("INSTEP_OWNER_DATABASE_URL is not set: migrations were not run")
        asyncio.run(require_start(settings_with(environment)))
        url = address(listener)
        if variable("INSTEP_PUBLIC_URL") is None:
            environment["INSTEP_PUBLIC_URL"] = url
        yield Installation(data, environment, listener, url)


def programs(installation: Installation, extra: Mapping[str, str], *, logs: Path | None) -> tuple[Program, Program]:
    """The API and the worker."""
    environment = {**installation.environment, **extra}
    if logs is None:
        environment.setdefault("INSTEP_LOG_FORMAT", variable("INSTEP_LOG_FORMAT") or "console")
    descriptor = installation.listener.fileno()
    return (
        Program(
            "api",
            "app.cli.main",
            ("api", "--fd", str(descriptor)),
            environment,
            logs and logs / "api.log",
            (descriptor,),
        ),
        Program("worker", "app.cli.main", ("worker",), environment, logs and logs / "worker.log"),
    )


def answers(url: str, path: str = "/live") -> bool:
    """Whether an HTTP server answers 200 at this path."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


async def until_working(supervisor: Supervisor, installation: Installation, api: Program, worker: Program) -> None:
    """Wait until the API answers and the worker has sent a heartbeat.

    Raises:
        DidNotStart: one of them ended repeatedly, or was not ready in time.
    """
    await until_ready(supervisor, api, lambda: answers(installation.url))
    await until_ready(supervisor, worker, lambda: answers(installation.url, "/ready"))


async def until_ready(supervisor: Supervisor, program: Program, ready: Callable[[], bool]) -> None:
    """Wait until `ready()`.

    Raises:
        DidNotStart: the program ended repeatedly, or was not ready in time.
    """
    deadline = asyncio.get_running_loop().time() + READY_TIMEOUT
    while not await asyncio.to_thread(ready):
        late = asyncio.get_running_loop().time() > deadline
        if late or supervisor.failures.get(program.name, 0) >= GIVE_UP_AFTER:
            log_tail = ""
            if program.log is not None and program.log.exists():
                log_tail = ":\n" + "\n".join(program.log.read_text(errors="replace").splitlines()[-12:])
            raise DidNotStart(f"{program.name} does not start{log_tail}")
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def stop_signals() -> AsyncIterator[asyncio.Event]:
    """An event that is set by Ctrl-C, SIGTERM and the closing of the terminal."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, event.set)
    try:
        yield event
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def unless_stopped(work: Awaitable[None], stop: asyncio.Event) -> None:
    """Await `work`, or cancel it when `stop` is set.

    Raises:
        Stopped: `stop` was set first.
    """
    work_task = asyncio.ensure_future(work)
    stop_wait = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({work_task, stop_wait}, return_when=asyncio.FIRST_COMPLETED)
        if not work_task.done():
            raise Stopped
        work_task.result()
    finally:
        for task in (work_task, stop_wait):
            task.cancel()
        await asyncio.gather(work_task, stop_wait, return_exceptions=True)


async def serve(installation: Installation) -> None:
    """Run API and worker until stopped by a signal."""
    async with stop_signals() as stop, Supervisor(warn) as supervisor:
        api, worker = programs(installation, {}, logs=None)
        supervisor.start(api)
        supervisor.start(worker)
        with contextlib.suppress(Stopped):
            await unless_stopped(until_working(supervisor, installation, api, worker), stop)
            done(f"Instep answers on {installation.url} — its documentation is {installation.url}/docs")
            step("Ctrl-C stops it")
            await stop.wait()
        step("stopping")


def up(data: Path, host: str, port: int) -> None:
    """The command `instep up`."""
    with start_installation(data, host, port) as installation:
        asyncio.run(serve(installation))
    done("stopped")


def stop_on_sigterm() -> None:
    """Make SIGTERM, a closed terminal and the end of `make` act like Ctrl-C, also outside of the event loop."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if os.name == "posix":
        signal.signal(signal.SIGHUP, interrupt)
    stop_with_parent()
