"""No test's parameters hold live objects, and no test creates coroutines before they are awaited.

A skip or a failure would leave them behind, and the warning about it would fail another test.
"""

import ast
import asyncio
import io
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, aclosing, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import pytest

from tests.cli.processes import ROOT, clean_environment
from tests.parameters import alive


async def _answer() -> int:
    return 1


@dataclass
class _Holds:
    """A dataclass that holds something."""

    what: object


class _Keeps:
    """An object of the tests' own class that holds a value."""

    def __init__(self, what: object) -> None:
        self.what = what

    def method(self) -> None:
        """The object of a bound method is searched too."""


def _closed_over(what: object) -> Callable[[], object]:
    return lambda: what


def _by_default(what: object) -> Callable[[], object]:
    def function(default: object = what) -> object:
        return default

    return function


HELD: dict[str, Callable[[object], object]] = {
    "bare": lambda one: one,
    "tuple": lambda one: (1, ("x", one)),
    "list": lambda one: [[one]],
    "dict": lambda one: {"a": {"b": one}},
    "dataclass": _Holds,
    "object": _Keeps,
    "bound method": lambda one: _Keeps(one).method,
    "partial": lambda one: partial(_by_default, one),
    "closure": _closed_over,
    "default": _by_default,
    "all of it": lambda one: (_Holds([{"a": _Keeps(partial(print, one))}]),),
}
"""The containers that a parameter may be in."""


async def test_what_is_alive_is_found_wherever_it_is() -> None:
    with ExitStack() as stack:
        coroutine = stack.enter_context(closing(_answer()))
        for name, keep in HELD.items():
            (findings,) = alive(keep(coroutine))
            assert findings.endswith("is a coroutine"), name
        assert list(alive({"asks": [_Holds(coroutine)]})) == ["['asks'][0].what is a coroutine"]
        knot: list[Any] = [coroutine]
        knot.append(knot)
        assert list(alive(knot)) == ["[0] is a coroutine"]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[list[object]]:
    """Open resources: files and a child process."""
    (tmp_path / "text").touch()
    with (
        (tmp_path / "text").open() as text,
        (tmp_path / "text").open("rb", buffering=0) as raw,
        tempfile.NamedTemporaryFile() as temporary,
        subprocess.Popen(["true"]) as process,
    ):
        yield [text, raw, temporary, process]


async def test_each_kind_that_is_alive_is_found(opened: list[object]) -> None:
    async def items() -> Any:
        yield 1

    class Promise:
        def __await__(self) -> Iterator[None]:
            yield

    async with AsyncExitStack() as stack:
        task = asyncio.create_task(_answer())
        stack.push_async_callback(lambda: task)
        live: list[object] = [
            stack.enter_context(closing(_answer())),
            task,
            asyncio.get_running_loop(),
            asyncio.get_running_loop().create_future(),
            Promise(),
            stack.enter_context(closing(one for one in (1, 2))),
            await stack.enter_async_context(aclosing(items())),
            iter([1]),
            map(str, (1,)),
            io.BytesIO(b"read once"),
            stack.enter_context(socket.socket()),
            stack.enter_context(httpx.Client()),
            await stack.enter_async_context(httpx.AsyncClient()),
            await stack.enter_async_context(httpx.AsyncHTTPTransport()),
            await stack.enter_async_context(aiohttp.ClientSession()),
            *opened,
            stack.enter_context(ThreadPoolExecutor()),
            ExitStack(),
        ]
        for one in live:
            assert len(list(alive((one,)))) == 1, type(one)


def test_what_only_makes_it_is_none_of_that() -> None:
    class Client(httpx.AsyncClient):
        """A class is no client."""

    with httpx.Client() as ended:
        pass
    dead = (
        _answer, Client, partial(httpx.AsyncClient, timeout=3), Path(__file__).open, Path(__file__), range(3),
        "text", 1, None, re.compile("x"), ended, SimpleNamespace(a=1), asyncio, _Holds({"a": [1]}),
    )  # fmt: skip
    assert [list(alive(one)) for one in dead] == [[]] * len(dead)


def test_collecting_them_is_an_error(tmp_path: Path) -> None:
    planted = tmp_path / "test_planted.py"
    planted.write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('one', [1, [2]])\n"
        "def test_good(one): ...\n"
        "@pytest.mark.parametrize(('name', 'one'), [('a', [(n for n in (1, 2))])])\n"
        "def test_bad(name, one): ...\n"
    )
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest", str(planted)]
    answer = subprocess.run(
        command, cwd=ROOT, env=clean_environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, check=False
    )
    assert answer.returncode == pytest.ExitCode.INTERRUPTED, answer.stdout
    assert "::test_bad[a-one0]: of one, [0] is a generator" in answer.stdout
    assert "test_good" not in answer.stdout


# ── within a test ─────────────────────────────────────────────────────────────────────────────────


def _made_too_early(source: str) -> list[int]:
    """The lines of loops that await their loop variable, which was created before the loop."""
    findings = []
    for node in ast.walk(ast.parse(source)):
        loops: list[ast.For] | list[ast.comprehension] = [node] if isinstance(node, ast.For) else []
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            loops = node.generators
        parameters = {
            name.id
            for loop in loops
            if "as_completed" not in ast.unparse(loop.iter)
            for name in ast.walk(loop.target)
            if isinstance(name, ast.Name)
        }
        findings += [
            inner.lineno
            for inner in ast.walk(node)
            if isinstance(inner, ast.Await) and isinstance(inner.value, ast.Name) and inner.value.id in parameters
        ]
    return findings


def test_no_loop_awaits_what_was_made_before_it() -> None:
    findings = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in (ROOT / "tests").rglob("*.py")
        for line in _made_too_early(path.read_text())
    }
    assert findings == set(), "make them in the loop: `for call in (lambda: made.posts(), ...): await call()`"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("async def f():\n for call in (a(), b()):\n  await call", [3]),
        ("async def f():\n for kind, call in ((1, a()),):\n  with g():\n   x = await call", [4]),
        ("async def f():\n return [await call for call in (a(), b())]", [2]),
        ("async def f():\n for call in (a, b):\n  await call()", []),
        ("async def f():\n for done in asyncio.as_completed(tasks):\n  await done", []),
        ("async def f():\n for n in (1, 2):\n  await task", []),
    ],
)
def test_such_a_loop_is_found(source: str, lines: list[int]) -> None:
    assert _made_too_early(source) == lines
