"""One module finds the platforms' data; tests that need them are skipped with a reason where they are absent."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import imports
from tests.cli.processes import ROOT, clean_environment
from tests.platforms import data

PLACE = ROOT / "tests/platforms/data.py"
SOURCES = sorted((ROOT / "tests").rglob("*.py"))


def test_one_place_knows_where_the_data_is() -> None:
    knowing = {path for path in SOURCES if re.search(r"platform-data|\bTEST_PLATFORM_DATA\b", path.read_text())}
    assert knowing - {Path(__file__)} == {PLACE}


def test_what_needs_the_data_skips_for_no_other_reason() -> None:
    reached = {one for path in SOURCES if PLACE in imports.reached(path) for one in imports.reached(path)}
    skipping = {path for path in reached if re.search(r"pytest\.skip|skipif|importorskip|mark\.skip", path.read_text())}
    assert skipping - {Path(__file__)} == {PLACE}


def test_the_mark_is_set_by_imports(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("platform_data"), "this module imports the place"
    reaching = {path.name for path in SOURCES if PLACE in imports.reached(path)}
    assert {"test_recordings.py", "test_graph_schema.py", "test_facebook_specs.py", "lexicons.py"} <= reaching
    assert {"test_conventions.py", "test_tables.py", "conftest.py", "imports.py"}.isdisjoint(reaching)


def test_imports_are_followed() -> None:
    folder = ROOT / "tests"
    lexicons = folder / "platforms/bluesky/test_lexicons.py"
    assert {PLACE, folder / "platforms/recorded/__init__.py", folder / "sandbox/lexicons.py"} <= imports.imported(
        lexicons
    )
    assert {folder / "sandbox/schemas.py", folder / "conftest.py", folder / "platforms/conftest.py"} <= (
        imports.reached(lexicons) - imports.imported(lexicons)
    )
    assert folder / "sandbox/conftest.py" not in imports.imported(lexicons)


def test_data_that_are_not_there_are_a_reason_to_skip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data, "FOLDER", tmp_path / "none")
    with pytest.raises(pytest.skip.Exception) as caught:
        data.data("vk/schema")
    for part in ("schemas and recordings", "no part of this repository", str(tmp_path / "none"), data.VARIABLE):
        assert part in str(caught.value)


def test_a_part_that_is_not_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    (tmp_path / "vk").mkdir()
    assert data.data() == tmp_path
    assert data.data("vk") == tmp_path / "vk"
    with pytest.raises(FileNotFoundError):
        data.data("vk/schema")


@pytest.mark.parametrize(
    ("named", "expected"), [("", "beside"), (None, "beside"), ("moved", "moved"), ("gone", "gone")]
)
def test_the_environment_moves_or_hides_it(tmp_path: Path, named: str | None, expected: str) -> None:
    environment = clean_environment(PYTHONPATH=str(ROOT))
    environment.pop(data.VARIABLE, None)
    if named is not None:
        environment[data.VARIABLE] = str(tmp_path / named) if named else ""
    there = ROOT.parent / "shared" / "platform-data" if expected == "beside" else tmp_path / expected
    source = "from tests.platforms.data import FOLDER; print(FOLDER)"
    process = subprocess.run(
        [sys.executable, "-c", source], env=environment, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == str(there.resolve())


def test_ci_runs_what_needs_the_data_without_them_too() -> None:
    (run,) = (line for line in (ROOT / ".ci/run").read_text().splitlines() if line.startswith(data.VARIABLE))
    hidden = re.fullmatch(rf"""{data.VARIABLE}=(/\S+) make test ARGS="-n 0 -m 'platform_data and not long'\"""", run)
    assert hidden is not None
    assert not Path(hidden[1]).exists()
