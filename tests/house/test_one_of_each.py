"""There is one cache, one group-commit writer, one advisory lock, and one place that decides on a platform's errors.

A second one is found by its telltale calls. `functools.cache` is a memo of a pure function, which is never outdated.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]

HOME: Final = {
    "cache": ("app/kit/cache.py",),
    "writer": ("app/kit/group_commit.py",),
    # Files are locked between processes of one machine; whoever migrates holds a session's lock.
    "lock": ("app/kit/db.py", "migrations/session.py", "app/cli/"),
    "ladder": ("app/communities/platform_calls.py", "app/platforms/"),
}
"""The files of each mechanism."""
TELLTALE_NAMES: Final = {
    "cachetools": "cache",
    "OrderedDict": "cache",
    "WeakKeyDictionary": "cache",
    "WeakValueDictionary": "cache",
    "create_future": "writer",
    "flock": "lock",
    "Lock": "lock",
}
ERRORS: Final = frozenset({
    "AuthExpired", "Gone", "Malformed", "MissingPermission", "OutcomeUnknown", "PlatformError", "Rejected",
    "Throttled", "Transient", "RateLimitReached",
})  # fmt: skip
"""What a call to a platform raises."""
MOST_HANDLERS: Final = 2
"""A ladder has more `except` clauses than this for the errors of one call."""


def _identifiers(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name
        case ast.Import(names=aliases):
            yield from (alias.name.partition(".")[0] for alias in aliases)
        case ast.ImportFrom(module=module, names=aliases):
            yield from ((module or "").partition(".")[0], *(alias.name for alias in aliases))


def _is_dict_of_cache(node: ast.AST) -> bool:
    """Whether a dict is made whose name says that it is a cache."""
    match node:
        case (
            ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name), value=ast.Dict())
            | ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=ast.Dict())
        ):
            return "cache" in name.lower()
    return False


def _catches_platform_error(handler: ast.ExceptHandler) -> bool:
    caught = ast.walk(handler.type) if handler.type is not None else ()
    return any(isinstance(node, ast.Name) and node.id in ERRORS for node in caught)


def mechanisms(source: str) -> Iterator[tuple[str, int]]:
    """The mechanisms whose telltale calls a file has, with their lines."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        for name in _identifiers(node):
            if name in TELLTALE_NAMES:
                yield TELLTALE_NAMES[name], line
            if "advisory" in name:
                yield "lock", line
        match node:
            case ast.Constant(value=str(text)) if "pg_advisory" in text or "pg_try_advisory" in text:
                yield "lock", line
            case ast.Try(handlers=handlers):
                if sum(_catches_platform_error(handler) for handler in handlers) > MOST_HANDLERS:
                    yield "ladder", line
        if _is_dict_of_cache(node):
            yield "cache", line


def seconds_of_a_kind(root: Path) -> list[str]:
    """Where a mechanism is built outside of its own files."""
    return [
        f"{relative}:{line} looks like another {mechanism}: use {HOME[mechanism][0]}"
        for folder in ("app", "workers", "migrations")
        for path in sorted((root / folder).rglob("*.py"))
        for relative in (path.relative_to(root).as_posix(),)
        for mechanism, line in mechanisms(path.read_text())
        if not relative.startswith(HOME[mechanism])
    ]


def test_no_mechanism_is_built_a_second_time() -> None:
    assert seconds_of_a_kind(ROOT) == []


def test_each_mechanism_is_found_where_it_lives() -> None:
    """Otherwise the telltale calls are out of date."""
    for mechanism, (path, *_) in HOME.items():
        if mechanism != "ladder":
            assert mechanism in {kind for kind, _ in mechanisms((ROOT / path).read_text())}


PLANTED: Final = {
    "cache": (
        "from cachetools import TTLCache",
        "class A:\n    def __init__(self):\n        self._cache: dict[str, int] = {}",
        "import weakref\nknown = weakref.WeakKeyDictionary()",
    ),
    "writer": ("import asyncio\nasync def f():\n    await asyncio.get_running_loop().create_future()",),
    "lock": (
        "from sqlalchemy import func\nx = func.pg_advisory_xact_lock(1)",
        "x = text('SELECT pg_try_advisory_xact_lock(1)')",
        "import asyncio\nx = asyncio.Lock()",
    ),
    "ladder": (
        """
async def f():
    try:
        await g()
    except Throttled:
        pass
    except (AuthExpired, Gone):
        pass
    except PlatformError:
        pass
""",
    ),
}


@pytest.mark.parametrize(
    ("mechanism", "source"), [(mechanism, source) for mechanism, sources in PLANTED.items() for source in sources]
)
def test_a_planted_second_one_is_found(tmp_path: Path, mechanism: str, source: str) -> None:
    planted = tmp_path / "app" / "inquiries" / "jobs.py"
    planted.parent.mkdir(parents=True)
    planted.write_text(source)
    assert any(f"looks like another {mechanism}:" in complaint for complaint in seconds_of_a_kind(tmp_path))
