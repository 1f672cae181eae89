"""What the documentation says is what the code does."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from app.cli.database import APP, OWNER
from app.cli.main import app as cli
from tests.cli.processes import ROOT
from tests.conftest import Agency
from tests.shipping import generated
from tests.shipping.metrics import families

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))


@pytest.mark.parametrize(
    "path",
    [
        "docs/settings.md",
        ".env.example",
        "docs/platforms.md",
        "docs/kpis.md",
        "docs/permissions.md",
        "docs/errors.md",
        "docs/goals.md",
        "docs/operations.md",
    ],
)
def test_what_the_code_knows_is_written_down(path: str) -> None:
    """If this fails: python -m tests.shipping.generated."""
    assert (ROOT / path).read_text() == generated.files()[path]


def test_a_change_in_a_table_would_be_seen() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    spoiled = page.replace("`INSTEP_PUBLIC_URL`", "`INSTEP_PUBLIC`", 1)
    assert generated.within(spoiled, "settings", f"\n{generated.settings_table()}\n") == page != spoiled


@pytest.mark.parametrize("path", PAGES)
def test_links_lead_somewhere(path: str) -> None:
    page = ROOT / path
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES)
def test_files_it_names_are_there(path: str) -> None:
    named = re.findall(r"`((?:app|tests|docs|workers|migrations|docker)/[\w./-]+)`", (ROOT / path).read_text())
    for name in named:
        assert (ROOT / name).exists() or name == "app/kpis/catalogue/shares.py", name


@pytest.mark.parametrize("path", PAGES)
def test_commands_it_names_are_there(path: str) -> None:
    group = get_command(cli)
    commands = getattr(group, "commands")  # noqa: B009 -- a group has them, a command in general has not
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / path).read_text()
    for name, more in re.findall(r"(?:`|^\.venv/bin/)instep ([a-z]+)(?: ([a-z]+))?", text, re.MULTILINE):
        assert name in commands, name
        if hasattr(commands[name], "commands"):
            assert more in commands[name].commands, f"{name} {more}"
    for name in re.findall(r"`make ([a-z]+)", text):
        assert name in targets, name


def test_metrics_it_names_are_there() -> None:
    named = set(re.findall(r"`(instep_[a-z_]+)", (ROOT / "docs/operations.md").read_text())) - {OWNER, APP}
    assert named == families()


def test_decisions_are_numbered_and_listed() -> None:
    folder = ROOT / "docs/decisions"
    records = sorted(path.name for path in folder.glob("0*.md"))
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    listed = re.findall(r"\]\((0[\w-]+\.md)\)", (folder / "README.md").read_text())
    assert listed == records
    for name in records:
        text = (folder / name).read_text()
        assert [line for line in text.splitlines() if line.startswith("## ")] == [
            "## Context",
            "## Decision",
            "## Consequences",
        ], name


def test_pages_are_plain_text() -> None:
    for path in PAGES:
        assert "\t" not in Path(ROOT / path).read_text(), path


async def test_requests_of_the_readme_are_answered(agency: Agency) -> None:
    paths = re.findall(r'"http://127\.0\.0\.1:8000(/v1/[^"…]+)"', (ROOT / "README.md").read_text())
    assert len(paths) >= 2
    for path in paths:
        await agency.get(path)


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 170
