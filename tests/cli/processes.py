"""Starting processes in tests, and checking that they have ended."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
CONDITION_TIMEOUT = 90.0
"""Seconds; an API takes three to start, and over thirty on a machine with six times as much to do as it can."""


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition()`, or fail."""
    deadline = time.monotonic() + CONDITION_TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def about(marker: str | Path) -> list[psutil.Process]:
    """Running processes whose command line contains `marker`."""
    processes = []
    for process in psutil.process_iter():
        try:
            command_line = " ".join(process.cmdline())
            if str(marker) in command_line and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                processes.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return processes


def family(process: int) -> list[psutil.Process]:
    """A process and all its descendants."""
    parent = psutil.Process(process)
    return [parent, *parent.children(recursive=True)]


def gone(processes: list[psutil.Process]) -> bool:
    """Whether none of them runs; a zombie has ended."""
    return not any(_lives(process) for process in processes)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two calls
        return False


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without this project's settings and the test run's servers."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("INSTEP_", "PYTEST_")) and name not in {"DATABASE_URL", "REDIS_URL"}
    }
    return {**variables, **more}


@contextmanager
def script(source: str, *arguments: str | Path, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Run Python source, with pipes for input and output; killed at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-c", source, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=clean_environment(**environment),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: "subprocess.Popen[str]") -> str:
    """The next line it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
