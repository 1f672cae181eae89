"""The supervisor restarts children that end, and none outlives it."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.cli.supervisor import Backoff, Program, Supervisor
from tests.cli.processes import ROOT, eventually, family, gone, line, script

SLEEPS = "import time\nprint('here', flush=True)\ntime.sleep(600)\n"
IGNORES_SIGTERM = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SLEEPS}"

SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from app.cli.supervisor import Program, Supervisor
async def main():
    async with Supervisor(print) as supervisor:
        supervisor.start(Program("one", "patient", environment={"PYTHONPATH": sys.argv[1]}))
        while "one" not in supervisor.processes:
            await asyncio.sleep(0.01)
        print("child", supervisor.processes["one"], flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules that children can run."""
    (tmp_path / "patient.py").write_text(SLEEPS)
    (tmp_path / "stubborn.py").write_text(IGNORES_SIGTERM)
    (tmp_path / "short.py").write_text("raise SystemExit(3)\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    return tmp_path


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, condition, "the condition holds")


async def test_a_child_that_is_killed_is_started_again(modules: Path) -> None:
    reports: list[str] = []
    log = modules / "log"
    async with Supervisor(reports.append, backoff=Backoff(first=0.01)) as supervisor:
        supervisor.start(Program("one", "patient", log=log))
        await until(lambda: log.exists() and "here" in log.read_text())
        first = supervisor.processes["one"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: log.read_text().count("here") == 2)
        second = supervisor.processes["one"]
    assert second != first
    assert not psutil.pid_exists(second)
    assert len(reports) == 1
    assert "SIGKILL" in reports[0]


async def test_early_exits_of_a_child_are_counted(modules: Path) -> None:
    reports: list[str] = []
    async with Supervisor(reports.append, backoff=Backoff(first=0.01)) as supervisor:
        supervisor.start(Program("one", "short"))
        await until(lambda: supervisor.failures.get("one", 0) >= 3)
    assert "with code 3" in reports[0]
    assert modules.exists()


def test_pauses_double_up_to_a_limit() -> None:
    backoff = Backoff(first=0.5, longest=30)
    assert [backoff.after(failures) for failures in (0, 1, 2, 3, 10)] == [0.5, 0.5, 1.0, 2.0, 30.0]


async def test_a_child_that_ignores_sigterm_is_killed(modules: Path) -> None:
    log = modules / "log"
    async with Supervisor(print, grace=0.2) as supervisor:
        supervisor.start(Program("one", "stubborn", log=log))
        await until(lambda: log.exists() and "here" in log.read_text())
        process = supervisor.processes["one"]
    assert not psutil.pid_exists(process)


def test_children_end_with_a_killed_supervisor(modules: Path) -> None:
    with script(SUPERVISOR, modules) as supervisor:
        lines = [line(supervisor), line(supervisor)]
        child = next(int(word.split()[1]) for word in lines if word.startswith("child"))
        processes = family(child)
        supervisor.kill()
        eventually(lambda: gone(processes), "the child ends")
