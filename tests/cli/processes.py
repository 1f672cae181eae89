"""Starting processes in tests, and seeing that they are gone."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
WAIT_TIMEOUT = 30.0


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until `holds`, or fail."""
    deadline = time.monotonic() + WAIT_TIMEOUT
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def about(marker: str | Path) -> list[psutil.Process]:
    """Living processes whose command line holds `marker`."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if str(marker) in words and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def family(process: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    parent = psutil.Process(process)
    return [parent, *parent.children(recursive=True)]


def gone(processes: list[psutil.Process]) -> bool:
    """Whether none of them lives; a zombie is dead."""
    return not any(_lives(process) for process in processes)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two questions
        return False


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without this project's settings and the run's servers."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("INSTEP_", "PYTEST_")) and name not in {"DATABASE_URL", "REDIS_URL"}
    }
    return {**kept, **more}


@contextmanager
def script(source: str, *arguments: str | Path, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Run Python source; its input and output are pipes. Killed at the end if it still lives."""
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
