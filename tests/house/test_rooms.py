"""There is no circle of imports, neither between rooms nor between modules."""

from pathlib import Path

import pytest

from tests.house.rooms import TOPS, circles, main, module_graph, report, room_of, rooms, sources

ROOT = Path(__file__).resolve().parents[2]


def planted(root: Path, **files: str) -> Path:
    """Rooms of these files; `__` stands for a folder."""
    for name, source in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.parents:
            if folder.is_relative_to(root) and folder != root:
                (folder / "__init__.py").touch()
        path.write_text(source)
    return root


def test_rooms_do_not_import_each_other_in_a_circle() -> None:
    files = sources(ROOT)
    found_rooms = rooms(files, module_graph(files))
    assert {"app.kit", "app.main", *TOPS[1:]} <= found_rooms.keys()
    assert circles({name: frozenset(room.imports) for name, room in found_rooms.items()}) == []


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph = module_graph(sources(ROOT))
    assert "app.kit.db" in graph["app.access.service"], "the imports are not seen"
    assert circles(graph) == []


def test_what_is_printed_names_each_room(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == bool(report()[1])
    printed = capsys.readouterr().out.splitlines()
    (kit,) = (line.split() for line in printed if line.startswith("app.kit "))
    assert int(kit[1]) > 1000
    assert kit[2:] == ["app.settings"]


@pytest.mark.parametrize(
    ("b", "expected"),
    [
        ("from app.one.a import x", ["app.one.a", "app.two.b"]),
        ("from app.one import a", ["app.one.a", "app.two.b"]),
        ("import app.one.a", ["app.one.a", "app.two.b"]),
        ("def f():\n    from app.one import a", ["app.one.a", "app.two.b"]),
        ("from ..one import a", ["app.one.a", "app.two.b"]),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app.one.a import x",
            ["app.one.a", "app.two.b"],
        ),
        ("import app.one.another", None),
        ("import json", None),
    ],
)
def test_a_planted_circle_is_found(tmp_path: Path, b: str, expected: list[str] | None) -> None:
    files = sources(planted(tmp_path, app__one__a="import app.two.b", app__two__b=b))
    assert circles(module_graph(files)) == ([expected] if expected else [])


def test_a_circle_of_rooms_without_one_of_modules_is_found(tmp_path: Path) -> None:
    root = planted(
        tmp_path, app__one__a="import app.two.c", app__two__b="import app.one.d", app__one__d="", app__two__c=""
    )
    files = sources(root)
    graph = module_graph(files)
    assert circles(graph) == []
    found_rooms = rooms(files, graph)
    assert circles({name: frozenset(room.imports) for name, room in found_rooms.items()}) == [["app.one", "app.two"]]
    text, number = report(root)
    assert (text.splitlines()[-1], number) == ("circle: app.one → app.two → app.one", 1)


def test_a_long_circle_and_two_of_them_are_found() -> None:
    graph = {"a": {"b", "x"}, "b": {"c"}, "c": {"d"}, "d": {"a"}, "x": {"y"}, "y": {"x"}, "z": {"a"}}
    assert circles({node: frozenset(targets) for node, targets in graph.items()}) == [["a", "b", "c", "d"], ["x", "y"]]


def test_a_module_is_in_the_room_of_its_folder() -> None:
    assert [room_of(name) for name in ("app.kit.db", "app.main", "sandbox.a.b", "workers.main")] == [
        "app.kit",
        "app.main",
        "sandbox",
        "workers",
    ]
