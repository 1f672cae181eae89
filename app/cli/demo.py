"""`instep demo`: all of Instep over a sandbox social network, with a sample agency."""

import asyncio
import contextlib
import json
import socket
from importlib.util import find_spec
from pathlib import Path

from rich.markup import escape

from app.cli.console import console, done, step, warn
from app.cli.sample import Sample, seed
from app.cli.supervisor import Program, Supervisor
from app.cli.up import (
    DidNotStart,
    Ground,
    Stopped,
    ground,
    programs,
    stop_signals,
    unless_stopped,
    until_ready,
    until_working,
)

PLATFORMS = ("vk",)
"""The platforms that the sandbox stands in for. Mastodon's servers are named by their accounts'
addresses, so that a real account can be connected beside the sandbox's."""
SHOWN = ("mastodon", "vk")
"""The platforms on which the sample agency has communities."""
PACE = 0.1
"""A demonstration looks ten times as often as a service does."""


def reserved_port(keep: Path) -> int:
    """The sandbox's port: the same at every start, since links and accounts name it; another if it is taken."""
    known = int(keep.read_text()) if keep.exists() else 0
    for candidate in (known, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            port = int(probe.getsockname()[1])
            keep.parent.mkdir(parents=True, exist_ok=True)
            keep.write_text(str(port))
            return port
    raise AssertionError("port 0 is never taken")


def sandbox(on: Ground) -> tuple[Program, str, Path]:
    """The sandbox as a program, its URL, and the file it writes when it listens."""
    folder = on.data / "sandbox"
    port = reserved_port(folder / "port")
    announced = folder / "announced"
    announced.unlink(missing_ok=True)
    ledger = folder / "ledger.jsonl"  # a second start takes the same world up again
    shown = ("--platforms", ",".join(SHOWN))
    arguments = ("--port", str(port), "--port-file", str(announced), "--ledger", str(ledger), *shown)
    program = Program("sandbox", "sandbox", arguments, {}, on.data / "log" / "sandbox.log")
    return program, f"http://127.0.0.1:{port}", announced


async def play(on: Ground) -> None:
    """Run API, worker and sandbox, seed, show, and go on until a person stops it."""
    town, sandbox_url, announced = sandbox(on)
    extra = {
        "INSTEP_PLATFORM_URLS": json.dumps(dict.fromkeys(PLATFORMS, sandbox_url)),
        "INSTEP_POLL_PACE": str(PACE),
        "INSTEP_OUTBOUND_ALLOW": sandbox_url.removeprefix("http://"),
    }
    api, worker = programs(on, extra, logs=on.data / "log")
    async with stop_signals() as stop, Supervisor(warn) as supervisor:

        async def begin() -> None:
            supervisor.start(town)
            await until_ready(supervisor, town, announced.exists)
            done(f"the sandbox social network is up on {sandbox_url}")
            supervisor.start(api)
            supervisor.start(worker)
            await until_working(supervisor, on, api, worker)
            done("API and worker are up")
            step("filling in a sample agency")
            show(on.url, await seed(on.url, sandbox_url, keep=on.data / "sample.json"))

        with contextlib.suppress(Stopped):
            await unless_stopped(begin(), stop)
            await stop.wait()
        step("stopping")


def show(url: str, sample: Sample) -> None:
    """Print what a newcomer wants: answers first, so that what to do next is still in sight."""
    for answer in sample.answers:
        console.print()
        console.print(f"[bold]{escape(answer.title)}[/]")
        console.print(f"[dim]$[/] {escape(answer.curl)}")
        console.print(escape(json.dumps(answer.body, indent=2, ensure_ascii=False)))
    console.print()
    console.print(f"[bold]Documentation[/]  {url}/docs")
    console.print(f"[bold]API key[/]        {escape(sample.api_key)}")
    console.print()
    step("it goes on watching: ask again in a minute. Ctrl-C stops all of it; the next start finds its data")


def demo(data: Path, host: str, port: int) -> None:
    """All of `instep demo`. `DidNotStart` where the sandbox is not installed, as in the container image."""
    if find_spec("sandbox") is None:
        raise DidNotStart("the sandbox is no part of this installation: run `make demo` in a checkout of Instep")
    with ground(data, host, port) as on:
        asyncio.run(play(on))
    done("stopped")
