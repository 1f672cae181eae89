"""The rooms, their size and what each imports; and circles of imports, between rooms and between modules.

`python -m tests.house.rooms` prints them and ends with 1 if there is a circle. An import within a function, or for
types alone, counts like any other: it hides a circle from Python, but it is one.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("app", "sandbox", "workers", "migrations")

Graph = Mapping[str, frozenset[str]]
"""What each module, or room, imports."""


@dataclass
class Room:
    """A package directly in `app`, a module directly in it, or another folder of the top level."""

    lines: int = 0
    imports: set[str] = field(default_factory=set)


def room_of(module: str) -> str:
    """The room that a module is in: of `app.kit.db` it is `app.kit`, of `sandbox.social.feed` it is `sandbox`."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "app" else parts[0]


def sources(root: Path) -> dict[str, Path]:
    """The files of the rooms by the names of their modules; a package is its `__init__.py`."""
    files = {}
    for folder in TOPS:
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


@cache
def _named(source: str, package: str) -> tuple[str, ...]:
    """The full names that a module imports; of `from a import b` both `a.b` and `a`, the likelier first."""
    return tuple(_imports(ast.parse(source), package))


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def module_graph(files: Mapping[str, Path]) -> Graph:
    """Which modules each module imports, of those in `files`; migrations, which Alembic loads by their path, too."""
    graph = {}
    for module, path in files.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        imported = set()
        for name in _named(path.read_text(), package):
            target = name if name in files else name.rpartition(".")[0]
            if target in files and target != module:
                imported.add(target)
        graph[module] = frozenset(imported)
    return graph


def rooms(files: Mapping[str, Path], graph: Graph) -> dict[str, Room]:
    """The rooms by name."""
    by_name: dict[str, Room] = {}
    for module, path in files.items():
        name = room_of(module)
        if name == "app":
            continue
        room = by_name.setdefault(name, Room())
        room.lines += len(path.read_text().splitlines())
        room.imports |= {room_of(target) for target in graph[module]} - {name, "app"}
    return by_name


def circles(graph: Graph) -> list[list[str]]:
    """For each strongly connected component one shortest circle, in the order of imports."""
    reachable = {node: _reachable(graph, node) for node in graph}
    circles = []
    seen: set[str] = set()
    for node in sorted(graph):
        if node in seen or node not in reachable[node]:
            continue
        seen |= {other for other in reachable[node] if node in reachable[other]}
        circles.append(_circle(graph, node))
    return circles


def _reachable(graph: Graph, start: str) -> set[str]:
    """What `start` imports, directly or not; itself only if it is in a circle."""
    reachable: set[str] = set()
    todo = [start]
    while todo:
        for target in graph.get(todo.pop(), frozenset()) - reachable:
            reachable.add(target)
            todo.append(target)
    return reachable


def _circle(graph: Graph, start: str) -> list[str]:
    """A shortest path from `start` back to itself."""
    paths = [[start]]
    seen: set[str] = set()
    while True:
        longer = []
        for path in paths:
            for target in sorted(graph.get(path[-1], frozenset())):
                if target == start:
                    return path
                if target not in seen:
                    seen.add(target)
                    longer.append([*path, target])
        paths = longer


def report(root: Path = ROOT) -> tuple[str, int]:
    """A table of the rooms with the circles below, and the number of circles."""
    files = sources(root)
    graph = module_graph(files)
    found_rooms = rooms(files, graph)
    width = max(map(len, found_rooms))
    lines = [f"{name:{width}} {room.lines:>6}  {' '.join(sorted(room.imports))}" for name, room in found_rooms.items()]
    of_rooms = circles({name: frozenset(room.imports) for name, room in found_rooms.items()})
    of_modules = circles(graph)
    lines += [f"circle: {' → '.join([*circle, circle[0]])}" for circle in (*of_rooms, *of_modules)]
    return "\n".join(lines), len(of_rooms) + len(of_modules)


def main() -> int:
    """Print and count."""
    text, number = report()
    print(text)  # noqa: T201 -- it is a command
    return 1 if number else 0


if __name__ == "__main__":
    sys.exit(main())
