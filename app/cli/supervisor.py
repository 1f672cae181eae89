"""Keeps child processes running: starts them again when they end, and ends them all together.

Ctrl-C reaches the supervisor alone; it asks its children to stop, and makes them after a while. When
the supervisor itself is killed, each child learns it from its lifeline.
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

from app.cli.parent_watch import VARIABLE

GRACE = 15.0
"""Seconds from SIGTERM to SIGKILL."""


@dataclass(frozen=True)
class Program:
    """What is run: `python -m module arguments`."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    log: Path | None = None
    """Where its output goes; to the supervisor's own where None."""
    descriptors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Backoff:
    """Pauses between restarts, in seconds: doubling, and short again after a good while alive."""

    first: float = 0.5
    longest: float = 30.0
    good_while: float = 30.0

    def after(self, failures: int) -> float:
        """The pause after so many short lives in a row."""
        return min(self.first * 2.0 ** max(failures - 1, 0), self.longest)


class Supervisor:
    """`async with Supervisor(say) as supervisor: supervisor.start(program)`."""

    def __init__(self, say: Callable[[str], None], *, grace: float = GRACE, backoff: Backoff | None = None) -> None:
        self._say = say
        self._grace = grace
        self._backoff = backoff or Backoff()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self.processes: dict[str, int] = {}
        """Process ids of the children that run now."""
        self.failures: dict[str, int] = {}
        """Short lives in a row."""

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
        """Run a program until `stop`."""
        self._tasks.append(asyncio.create_task(self._supervise(program), name=program.name))

    async def stop(self) -> None:
        """Ask all children to stop, and see to it."""
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
                self._say(f"{program.name} ended ({how}); starting it again in {pause:g} s{where}")
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
                env={**os.environ, **program.environment, VARIABLE: str(self._read)},
                pass_fds=(self._read, *program.descriptors),
                start_new_session=True,
            )
        finally:
            if output is not None:
                os.close(output)

    async def _ended_by_itself(self, process: asyncio.subprocess.Process) -> bool:
        """Wait for the end; on `stop`, bring it about. Whether nobody had asked for it."""
        ended = asyncio.create_task(process.wait())
        asked = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not self._stopping.is_set():
            return True
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            await asyncio.wait({ended}, timeout=self._grace)
            if ended.done():
                break
        return False
