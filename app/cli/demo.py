"""`instep demo`: all of Instep over a sandbox social network, with a sample agency."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.markup import escape

from app.cli.console import console, done, step, table, warn
from app.cli.environment import variable
from app.cli.sample import Sample, seed
from app.cli.supervisor import Program, Supervisor
from app.cli.up import (
    DidNotStart,
    Installation,
    Stopped,
    programs,
    start_installation,
    stop_signals,
    unless_stopped,
    until_ready,
    until_working,
)

REPLACED_PLATFORMS = ("vk",)
"""Platforms whose base URL is replaced by the sandbox's. Mastodon's is part of an account's address, so that real
accounts can be connected as well."""
SAMPLE_PLATFORMS = ("mastodon", "vk")
"""The platforms on which the sample agency has communities."""
FRONTEND_ORIGINS = "http://localhost:*,http://127.0.0.1:*"
"""Pages that may call the API of a demonstration: a frontend that is being written on this machine."""
INTERVAL_MULTIPLIER = 0.1
"""A demonstration polls ten times as often as a service."""


def reserved_port(port_file: Path) -> int:
    """The sandbox's port: the same at every start, as addresses contain it; a free one where that is taken."""
    previous = int(port_file.read_text()) if port_file.exists() else 0
    for candidate in (previous, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            port = int(probe.getsockname()[1])
            port_file.parent.mkdir(parents=True, exist_ok=True)
            port_file.write_text(str(port))
            return port
    raise AssertionError("port 0 is never taken")


def sandbox(installation: Installation) -> tuple[Program, str, Path]:
    """The sandbox as a program, its URL, and the file that exists once it listens."""
    folder = installation.data / "sandbox"
    port = reserved_port(folder / "port")
    announced = folder / "announced"
    announced.unlink(missing_ok=True)
    ledger = folder / "ledger.jsonl"  # a second start restores the sandbox's state from it
    platforms = ("--platforms", ",".join(SAMPLE_PLATFORMS))
    arguments = ("--port", str(port), "--port-file", str(announced), "--ledger", str(ledger), *platforms)
    program = Program("sandbox", "sandbox", arguments, {}, installation.data / "log" / "sandbox.log")
    return program, f"http://127.0.0.1:{port}", announced


async def run(installation: Installation) -> None:
    """Run API, worker and sandbox, create and print the sample agency, and go on until stopped by a signal."""
    sandbox_program, sandbox_url, announced = sandbox(installation)
    extra = {
        "INSTEP_PLATFORM_URLS": json.dumps(dict.fromkeys(REPLACED_PLATFORMS, sandbox_url)),
        "INSTEP_POLL_INTERVAL_MULTIPLIER": str(INTERVAL_MULTIPLIER),
        "INSTEP_OUTBOUND_ALLOW": sandbox_url.removeprefix("http://"),
        "INSTEP_CORS_ORIGINS": variable("INSTEP_CORS_ORIGINS") or FRONTEND_ORIGINS,
    }
    api, worker = programs(installation, extra, logs=installation.data / "log")
    async with stop_signals() as stop, Supervisor(warn) as supervisor:

        async def begin() -> None:
            supervisor.start(sandbox_program)
            await until_ready(supervisor, sandbox_program, announced.exists)
            done(f"the sandbox social network is up on {sandbox_url}")
            supervisor.start(api)
            supervisor.start(worker)
            await until_working(supervisor, installation, api, worker)
            done("API and worker are up")
            step("filling in a sample agency")
            sample = await seed(installation.url, sandbox_url, state_file=installation.data / "sample.json")
            show(installation.url, sample)

        with contextlib.suppress(Stopped):
            await unless_stopped(begin(), stop)
            await stop.wait()
        step("stopping")


def show(url: str, sample: Sample) -> None:
    """Print the head of each response, then the documentation's URL and the API key, last to stay visible."""
    for answer in sample.answers:
        console.print()
        console.print(f"[bold]{escape(answer.title)}[/]")
        console.print(f"[dim]$[/] {escape(answer.curl)}")
        console.print(escape(head(answer.body)))
    if sample.month is not None:
        console.print()
        console.print(f"[bold]{escape(sample.month.title)}[/]")
        table(("what", "stands", "figures"), sample.month.rows, shrinks=0)
    console.print()
    console.print(f"[bold]Documentation[/]  {url}/docs")
    console.print(f"[bold]All figures[/]    {url}/v1/portfolio/kpis")
    console.print(f"[bold]All goals[/]      {url}/v1/portfolio/goals")
    console.print(f"[bold]API key[/]        {escape(sample.api_key)}")
    if sample.month is not None and sample.month.client_page is not None:
        console.print(f"[bold]Client's page[/]  {url}{sample.month.client_page}", soft_wrap=True)
        console.print("               (open it in a browser: agree to a goal, or decline it, without an account)")
    console.print(f"[bold]Sign in[/]        {url}/account/sign-in")
    for person in sample.people:
        seat = f"{person.seat.replace('_', ' ').capitalize():<18}"
        console.print(f"[bold]{seat}[/] {escape(person.email)}  {escape(person.password)}")
    console.print()
    step("it goes on watching: ask again in a minute. Ctrl-C stops all of it; the next start finds its data")


HEAD = ("key", "title", "unit", "window", "value", "status", "reason")
"""What is printed of a KPI; its series, breakdown, freshness and coverage fill screens."""


def head(body: Mapping[str, Any]) -> str:
    """The head of a KPI as JSON, with an ellipsis in place of the rest."""
    text = json.dumps({name: body[name] for name in HEAD}, indent=2, ensure_ascii=False)
    return f"{text.removesuffix('}').rstrip()},\n  …\n}}"


def demo(data: Path, host: str, port: int) -> None:
    """The command `instep demo`. Raises `DidNotStart` without the sandbox, which the container image leaves out."""
    if find_spec("sandbox") is None:
        raise DidNotStart("the sandbox is no part of this installation: run `make demo` in a checkout of Instep")
    with start_installation(data, host, port) as installation:
        asyncio.run(run(installation))
    done("stopped")
