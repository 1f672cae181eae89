"""Keeps child processes running: restarts them when they end, and stops them all together.

Ctrl-C reaches the supervisor alone; it sends SIGTERM to its children, and SIGKILL after a grace period. When
the supervisor itself is killed, the children stop by their pipe from it (see `parent_watch`).
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from app.cli.parent_watch import PIPE_VARIABLE

GRACE = 15.0
"""Seconds from SIGTERM to SIGKILL."""


@dataclass(frozen=True)
class Program:
    """A program to run: `python -m module arguments`."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    log: Path | None = None
    """The file that its output is appended to; None: the supervisor's own output."""
    descriptors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Backoff:
    """Pauses between restarts, in seconds: doubling with each early exit, reset by a run longer than `good_while`."""

    first: float = 0.5
    longest: float = 30.0
    good_while: float = 30.0

    def after(self, failures: int) -> float:
        """The pause after so many consecutive early exits."""
        return min(self.first * 2.0 ** max(failures - 1, 0), self.longest)


class Supervisor:
    """`async with Supervisor(report) as supervisor: supervisor.start(program)`."""

    def __init__(self, report: Callable[[str], None], *, grace: float = GRACE, backoff: Backoff | None = None) -> None:
        self._report = report
        self._grace = grace
        self._backoff = backoff or Backoff()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self.processes: dict[str, int] = {}
        """The process ids of the running children, by program name."""
        self.failures: dict[str, int] = {}
        """The consecutive early exits, by program name."""

    async def __aenter__(self) -> Self:
        self._read, self._write = os.pipe()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        os.close(self._write)
        os.close(self._read)

    def start(self, program: Program) -> None:
        """Run a program, restarting it when it ends, until `stop`."""
        self._tasks.append(asyncio.create_task(self._supervise(program), name=program.name))

    async def stop(self) -> None:
        """Stop all children, and wait for their end."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)
        self._tasks.clear()

    async def _supervise(self, program: Program) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            process = await self._spawn(program)
            self.processes[program.name] = process.pid
            if await self._ended_by_itself(process):
                failures = 1 if time.monotonic() - began > self._backoff.good_while else failures + 1
                self.failures[program.name] = failures
                pause = self._backoff.after(failures)
                where = f"; see {program.log}" if program.log else ""
                code = process.returncode or 0
                how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
                self._report(f"{program.name} ended ({how}); starting it again in {pause:g} s{where}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
            self.processes.pop(program.name, None)

    async def _spawn(self, program: Program) -> asyncio.subprocess.Process:
        output = None
        if program.log is not None:
            program.log.parent.mkdir(parents=True, exist_ok=True)
            output = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app.cli.parent_watch", program.module, *program.arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **program.environment, PIPE_VARIABLE: str(self._read)},
                pass_fds=(self._read, *program.descriptors),
                start_new_session=True,
            )
        finally:
            if output is not None:
                os.close(output)

    async def _ended_by_itself(self, process: asyncio.subprocess.Process) -> bool:
        """Wait until a process ends, or stop it on `stop`. Whether it ended before `stop`."""
        ended = asyncio.create_task(process.wait())
        stop_wait = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ended, stop_wait}, return_when=asyncio.FIRST_COMPLETED)
        stop_wait.cancel()
        if not self._stopping.is_set():
            return True
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            await asyncio.wait({ended}, timeout=self._grace)
            if ended.done():
                break
        return False
