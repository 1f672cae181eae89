"""What a folder declares is found, and a file that declares nothing is an error."""

import sys
from pathlib import Path

import pytest

from app.kit.registry import RegistryError, declared, rooms


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package of this test's own."""
    package = tmp_path / "shelf"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "shelf"]:
        monkeypatch.delitem(sys.modules, name)
    return package


def test_each_file_is_found_by_its_name(folder: Path) -> None:
    (folder / "b.py").write_text("THING = 2\n")
    (folder / "a.py").write_text("THING = 1\n")
    (folder / "_private.py").write_text("raise RuntimeError('not imported')\n")
    assert declared("shelf", "THING", int) == {"a": 1, "b": 2}


def test_a_file_that_declares_nothing_is_an_error(folder: Path) -> None:
    (folder / "empty.py").write_text("OTHER = 1\n")
    with pytest.raises(RegistryError, match=r"shelf\.empty must declare THING of type int"):
        declared("shelf", "THING", int)


def test_a_package_may_declare_several_and_must_declare_one(folder: Path) -> None:
    (folder / "pair").mkdir()
    for name, text in {"__init__": "", "one": "THING = 1", "two": "THING = 2", "common": "OTHER = 3"}.items():
        (folder / "pair" / f"{name}.py").write_text(text)
    (folder / "ours.py").write_text("OTHER = 4")
    assert declared("shelf", "THING", int, exclude=frozenset({"ours"})) == {"pair.one": 1, "pair.two": 2}
    (folder / "none").mkdir()
    (folder / "none" / "__init__.py").touch()
    with pytest.raises(RegistryError, match=r"shelf\.none must declare THING"):
        declared("shelf", "THING", int, exclude=frozenset({"ours"}))


def test_every_room_with_routes_is_found() -> None:
    modules = {module.__name__ for module in rooms("routes")}
    assert {"app.access.routes", "app.kpis.routes", "app.links.routes"} <= modules
    assert "app.communities.inbound.routes" in modules, "packages in a room too"
