"""`instep up`: servers, migrations, API and worker, under one roof."""

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
from app.cli.environment import serving, variable
from app.cli.migrate import migrate
from app.cli.parent_watch import tie
from app.cli.supervisor import Program, Supervisor

READY_TIMEOUT = 90.0
GIVE_UP_AFTER = 3
"""Short lives in a row before the first answer."""


class DidNotStart(Exception):
    """The service did not come up; the message ends with what it said last."""


class Stopped(Exception):
    """A person asked it to stop while it was still starting."""


@dataclass(frozen=True)
class Ground:
    """What the processes stand on."""

    data: Path
    environment: Mapping[str, str]
    """Variables for the service's processes."""
    listener: socket.socket
    url: str
    """Where the API answers."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on `port`, or on a free one where that is taken (and says so).

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
    """The URL of a listener, as a person on this machine types it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 -- read
    return f"http://{host}:{port}"


@contextlib.contextmanager
def ground(data: Path, host: str, port: int) -> Iterator[Ground]:
    """Servers started, database migrated, port taken.

    Raises:
        EmbeddedError: an embedded server cannot be had.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(host, port))
        environment = stack.enter_context(serving(data, asyncio.run, done))
        if (owner := environment.get("INSTEP_OWNER_DATABASE_URL") or variable("INSTEP_OWNER_DATABASE_URL")) is not None:
            migrate(owner)
            done("the database is migrated")
        else:
            warn("INSTEP_OWNER_DATABASE_URL is not set: migrations were not run")
        url = address(listener)
        if variable("INSTEP_PUBLIC_URL") is None:
            environment["INSTEP_PUBLIC_URL"] = url
        yield Ground(data, environment, listener, url)


def programs(on: Ground, extra: Mapping[str, str], *, logs: Path | None) -> tuple[Program, Program]:
    """The API and the worker."""
    environment = {**on.environment, **extra}
    if logs is None:
        environment.setdefault("INSTEP_LOG_FORMAT", variable("INSTEP_LOG_FORMAT") or "console")
    descriptor = on.listener.fileno()
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
    """Whether an HTTP server says 200 there."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


async def until_working(supervisor: Supervisor, on: Ground, api: Program, worker: Program) -> None:
    """Wait for the API to answer and for the worker to be seen at work.

    Raises:
        DidNotStart: one of them ended again and again, or says nothing.
    """
    await until_ready(supervisor, api, lambda: answers(on.url))
    await until_ready(supervisor, worker, lambda: answers(on.url, "/ready"))


async def until_ready(supervisor: Supervisor, program: Program, ready: Callable[[], bool]) -> None:
    """Wait for a program's first sign of life.

    Raises:
        DidNotStart: it ended again and again, or says nothing.
    """
    deadline = asyncio.get_running_loop().time() + READY_TIMEOUT
    while not await asyncio.to_thread(ready):
        late = asyncio.get_running_loop().time() > deadline
        if late or supervisor.failures.get(program.name, 0) >= GIVE_UP_AFTER:
            words = ""
            if program.log is not None and program.log.exists():
                words = ":\n" + "\n".join(program.log.read_text(errors="replace").splitlines()[-12:])
            raise DidNotStart(f"{program.name} does not start{words}")
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def stop_signals() -> AsyncIterator[asyncio.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set."""
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
    """Do `work`, or leave it when a person asks to stop.

    Raises:
        Stopped: they did.
    """
    working = asyncio.ensure_future(work)
    asked = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Stopped
        working.result()
    finally:
        for task in (working, asked):
            task.cancel()
        await asyncio.gather(working, asked, return_exceptions=True)


async def serve(on: Ground) -> None:
    """Run API and worker until a person stops them."""
    async with stop_signals() as stop, Supervisor(warn) as supervisor:
        api, worker = programs(on, {}, logs=None)
        supervisor.start(api)
        supervisor.start(worker)
        with contextlib.suppress(Stopped):
            await unless_stopped(until_working(supervisor, on, api, worker), stop)
            done(f"Instep answers on {on.url} — its documentation is {on.url}/docs")
            step("Ctrl-C stops it")
            await stop.wait()
        step("stopping")


def up(data: Path, host: str, port: int) -> None:
    """All of `instep up`."""
    with ground(data, host, port) as on:
        asyncio.run(serve(on))
    done("stopped")


def stop_on_sigterm() -> None:
    """Let SIGTERM, a closed terminal and the end of `make` unwind like Ctrl-C, outside of the event loop too."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if os.name == "posix":
        signal.signal(signal.SIGHUP, interrupt)
    tie()
