"""The documentation's examples work: a platform and a KPI are one new file each, and no other file is changed."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import app.kpis
import app.platforms
from app.clients import subjects
from app.kit import registry
from app.kit.clock import SetClock
from app.kit.resources import Resources
from tests.cli.processes import ROOT, clean_environment
from tests.conftest import Agency, sign_up

PLAZA = ROOT / "docs/examples/plaza.py"
SUITE = "tests/platforms/test_every_adapter.py"
AT = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)


def kpi_of_the_page() -> str:
    """The first Python block below the heading about KPIs."""
    text = (ROOT / "docs/extending.md").read_text().partition("\n## Adding a KPI\n")[2]
    match = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert match is not None
    return match[1]


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both files importable as if they were in their folders."""
    files = {app.kpis.FOLDER: ("shares.py", kpi_of_the_page()), app.platforms.FOLDER: (PLAZA.name, PLAZA.read_text())}
    for folder, (name, text) in files.items():
        place = tmp_path / folder
        place.mkdir()
        (place / name).write_text(text)
        package = importlib.import_module(folder)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(place)])
    app.kpis.all_kpis.cache_clear()
    app.platforms.adapters.cache_clear()
    yield
    monkeypatch.undo()
    for name in (f"{app.kpis.FOLDER}.shares", f"{app.platforms.FOLDER}.plaza"):
        sys.modules.pop(name, None)
    app.kpis.all_kpis.cache_clear()
    app.platforms.adapters.cache_clear()


class PlazaServer:
    """The HTTP server of the platform Plaza."""

    def __init__(self) -> None:
        self.posts = [
            {"id": n, "text": f"post {n}", "at": self.at(n), "author_id": 7, "likes": n, "comments": 0}
            for n in range(120, 0, -1)
        ]
        self.comments = [
            {"id": 500, "text": "Where is it?", "at": self.at(120), "author_id": 9, "author": "Olga", "post_id": 120}
        ]

    def at(self, number: int) -> int:
        return int((AT - timedelta(hours=121 - number)).timestamp())

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") != "Bearer plaza-token":
            return httpx.Response(401)
        *_, last = request.url.path.split("/")
        query = request.url.params
        if last in {"posts", "comments"}:
            kept: list[dict[str, Any]] = self.posts if last == "posts" else self.comments
            if "ids" in query:
                items = [item for item in kept if str(item["id"]) in query["ids"].split(",")]
            else:
                items = [item for item in kept if item["id"] < int(query.get("before", 10**9))][: int(query["limit"])]
            return httpx.Response(200, json={"items": items})
        return httpx.Response(200, json={"id": 7, "name": "Coffee", "members": 300})


@pytest.fixture
async def caller(app: FastAPI, resources: Resources, dropped: None) -> AsyncIterator[Agency]:
    """An agency on a service whose worker calls Plaza."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(PlazaServer())) as client:
        equipped = replace(resources, http=client)
        app.state.resources = equipped
        made = await sign_up(app, equipped)
        yield made
        await made.http.aclose()


async def test_the_examples_are_found_and_work(caller: Agency, clock: SetClock) -> None:
    matrix = {row["key"]: row for row in (await caller.get("/v1/platforms"))["data"]}
    assert matrix["plaza"]["metrics"]["views"]["status"] == "unsupported"
    assert "shares" in {row["key"] for row in (await caller.get("/v1/kpis"))["data"]}

    project = await caller.post("/v1/projects", {"title": "Coffee house", "timezone": "Europe/Minsk"})
    body = {
        "project_id": project["id"],
        "platform": "plaza",
        "address": "https://plaza.example/Coffee",
        "backfill_days": 31,
        "credentials": {"community": "plaza-token"},
    }
    community = await caller.post("/v1/communities", body)
    for _ in range(5):
        await caller.work("communities.poll")
        clock.advance(timedelta(minutes=6))
    health = await caller.get(f"/v1/communities/{community['id']}/health")
    assert (health["status"], health["publications"]) == ("healthy", 120)
    inquiries = (await caller.get("/v1/inquiries"))["data"]
    assert len(inquiries) == 1

    path = f"/v1/projects/{project['id']}/kpis"
    size = await caller.get(f"{path}/community_size")
    assert size["value"] == 300
    engagement = await caller.get(f"{path}/engagement")
    assert engagement["value"] == sum(range(121))
    shares = await caller.get(f"{path}/shares")
    assert (shares["value"], shares["status"], shares["reason"]) == (None, "unknown", "unsupported")
    explained = await caller.get(f"{path}/shares/explain")
    assert explained["key"] == "shares"


def test_the_example_passes_the_suite_of_all_adapters(tmp_path: Path) -> None:
    (tmp_path / "dropped").mkdir()
    shutil.copy(PLAZA, tmp_path / "dropped")
    (tmp_path / "drop_in.py").write_text(
        "import importlib\n"
        f"importlib.import_module({app.platforms.FOLDER!r}).__path__.append({str(tmp_path / 'dropped')!r})\n"
        f"importlib.import_module('tests.platforms.specimens').__path__.append({str(PLAZA.parent / 'specimens')!r})\n"
    )
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "drop_in", "-k", "plaza or found", SUITE],
        cwd=ROOT,
        env=clean_environment(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)])),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout
    passed = re.search(r"(\d+) passed", answer.stdout)
    assert passed is not None
    assert int(passed[1]) > 50


def test_the_registries_are_as_they_were() -> None:
    assert isinstance(app.platforms.adapters(), MappingProxyType)
    assert "plaza" not in app.platforms.adapters()
    assert "shares" not in app.kpis.all_kpis()


@pytest.fixture
def subject_dropped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's subject of client links, as if it were in a room."""
    text = (ROOT / "docs/extending.md").read_text().partition("\n## Adding something that clients read")[2]
    match = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert match is not None
    module = ModuleType("app.example.client_subjects")
    exec(match[1], module.__dict__)
    monkeypatch.setattr(subjects, "rooms", lambda part: [*registry.rooms(part), module])
    subjects.subjects.cache_clear()
    yield
    subjects.subjects.cache_clear()


async def test_the_page_s_subject_is_read_and_agreed_to(
    agency: Agency, stranger: httpx.AsyncClient, subject_dropped: None
) -> None:
    project = await agency.post("/v1/projects", {"title": "Coffee", "timezone": "Europe/Minsk"})
    nina = {"name": "Nina", "email": "nina@coffee.example"}
    contact = await agency.post(f"/v1/projects/{project['id']}/contacts", nina)
    about = {"contact_id": contact["id"], "subject_kind": "working_hours", "subject_id": project["id"]}
    made = await agency.post("/v1/client-links", {**about, "purpose": "agree"})
    path = f"/s/{made['link'].rpartition('/')[2]}"
    page = (await stranger.get(path)).text
    assert "Are these hours good for you?" in page
    assert "09:00–18:00" in page
    seen = (await stranger.get(path, headers={"Accept": "application/json"})).json()["content_hash"]
    answer = await stranger.post(f"{path}/statements", json={"answer": "agree", "content_hash": seen})
    assert (answer.status_code, answer.json()["revision"]) == (201, "1")
