"""Projects, briefs and working hours over HTTP."""

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit import events
from app.projects.events import ProjectZoneChanged
from tests.conftest import Agency

CAFE = {"title": "Coffee at Nina's", "timezone": "Europe/Minsk"}


async def test_a_project_is_made_read_and_listed_newest_first(agency: Agency, rival: Agency) -> None:
    first = await agency.post("/v1/projects", CAFE)
    second = await agency.post("/v1/projects", {**CAFE, "title": "  Bakery  "})
    assert (first["version"], first["archived_at"], second["title"]) == (1, None, "Bakery")
    assert await agency.get(f"/v1/projects/{first['id']}") == first
    page = await agency.get("/v1/projects", limit=1)
    rest = await agency.get("/v1/projects", limit=1, cursor=page["next_cursor"])
    assert [page["data"], rest["data"], rest["next_cursor"]] == [[second], [first], None]
    await rival.get(f"/v1/projects/{first['id']}", status=404)
    assert (await rival.get("/v1/projects"))["data"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"timezone": "Europe/Atlantis"},
        {"timezone": "europe/minsk"},
        {"timezone": "+03:00"},
        {"title": " "},
        {"title": None},
        {"colour": "red"},
    ],
)
async def test_invalid_projects_are_refused(agency: Agency, wrong: dict[str, Any]) -> None:
    await agency.post("/v1/projects", {**CAFE, **wrong}, status=422)
    project = await agency.post("/v1/projects", CAFE)
    await agency.patch(f"/v1/projects/{project['id']}", wrong, status=422)


async def test_a_patch_changes_only_its_fields(agency: Agency) -> None:
    path = f"/v1/projects/{(await agency.post('/v1/projects', CAFE))['id']}"
    renamed = await agency.patch(path, {"title": "Nina's"})
    assert (renamed["title"], renamed["timezone"], renamed["version"]) == ("Nina's", "Europe/Minsk", 2)
    assert (await agency.patch(path, {}))["version"] == 2
    archived = await agency.patch(path, {"archived": True})
    assert archived["archived_at"] is not None
    assert await agency.patch(path, {"archived": True}) == archived
    assert (await agency.get("/v1/projects", archived="false"))["data"] == []
    assert (await agency.get("/v1/projects", archived="true"))["data"] == [archived]
    assert (await agency.patch(path, {"archived": False}))["archived_at"] is None


async def test_a_stale_version_is_refused(agency: Agency) -> None:
    path = f"/v1/projects/{(await agency.post('/v1/projects', CAFE))['id']}"
    etag = (await agency.http.get(path)).headers["etag"]
    answers = await asyncio.gather(
        *(agency.http.patch(path, json={"title": name}, headers={"If-Match": etag}) for name in ("One", "Two"))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    won = next(answer for answer in answers if answer.status_code == 200)
    assert won.headers["etag"] == (await agency.http.get(path)).headers["etag"] != etag
    assert (await agency.http.get(path, headers={"If-None-Match": won.headers["etag"]})).status_code == 304


@pytest.fixture
def zone_changes() -> Iterator[list[ProjectZoneChanged]]:
    seen: list[ProjectZoneChanged] = []

    async def listener(_: AsyncSession, event: ProjectZoneChanged) -> None:
        seen.append(event)

    events.subscribe(ProjectZoneChanged)(listener)
    yield seen
    events._handlers[ProjectZoneChanged].remove(listener)


async def test_another_zone_publishes_an_event_and_the_same_one_does_not(
    agency: Agency, zone_changes: list[ProjectZoneChanged]
) -> None:
    project = await agency.post("/v1/projects", CAFE)
    path = f"/v1/projects/{project['id']}"
    await agency.patch(path, {"timezone": "Europe/Minsk", "title": "Nina's"})
    assert zone_changes == []
    await agency.patch(path, {"timezone": "Asia/Tbilisi"})
    assert zone_changes == [ProjectZoneChanged(uuid.UUID(project["id"]), "Europe/Minsk", "Asia/Tbilisi")]


async def test_every_version_of_a_brief_is_kept(agency: Agency, rival: Agency) -> None:
    path = f"/v1/projects/{(await agency.post('/v1/projects', CAFE))['id']}/brief"
    empty = await agency.get(path)
    assert (empty["version"], empty["created_at"], empty["business"], empty["faq"]) == (0, None, "", [])
    faq = [{"question": "Открыты ли вы в воскресенье?", "answer": "Да, с десяти."}]
    first = await agency.put(path, {"business": "A café.", "faq": faq})
    assert (first["version"], first["faq"], first["tone"]) == (1, faq, "")
    assert await agency.put(path, {"business": "A café.", "faq": faq}) == first
    second = await agency.put(path, {"business": "A café.", "tone": "Warm."}, 200, **{"If-Match": '"v1"'})
    assert (second["version"], second["faq"]) == (2, [])
    lost = await agency.put(path, {"business": "Mine."}, status=412, **{"If-Match": '"v1"'})
    await agency.put(path, {"business": "Mine."}, status=412, **{"If-Match": '"v2-gone", "v1"'})
    assert lost["code"] == "precondition-failed"
    page = await agency.get(f"{path}/versions", limit=1)
    rest = await agency.get(f"{path}/versions", limit=1, cursor=page["next_cursor"])
    assert [page["data"], rest["data"]] == [[second], [first]]
    await rival.get(path, status=404)
    await rival.put(path, {}, status=404)


async def test_of_two_first_briefs_one_wins(agency: Agency) -> None:
    path = f"/v1/projects/{(await agency.post('/v1/projects', CAFE))['id']}/brief"
    answers = await asyncio.gather(
        *(agency.http.put(path, json={"business": text}, headers={"If-Match": '"v0"'}) for text in ("One", "Two"))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_working_hours_are_office_hours_until_they_are_set(agency: Agency, rival: Agency) -> None:
    path = f"/v1/projects/{(await agency.post('/v1/projects', CAFE))['id']}/working-hours"
    stored = await agency.get(path)
    assert stored["timezone"] == "Europe/Minsk"
    assert stored["week"]["friday"] == [{"opens": "09:00", "closes": "18:00"}]
    assert stored["week"]["saturday"] == []
    shifts = [{"opens": "14:00", "closes": "24:00"}, {"opens": "08:00", "closes": "13:00"}]
    expected = {
        "week": {"monday": shifts},
        "holidays": ["2027-01-01"],
        "special_days": [{"day": "2026-12-31", "hours": [{"opens": "09:00", "closes": "12:00"}]}],
    }
    stored = await agency.put(path, expected)
    assert stored["week"]["monday"] == shifts[::-1]
    assert stored["week"]["tuesday"] == []
    assert stored["special_days"] == expected["special_days"]
    assert await agency.get(path) == stored
    await agency.put(path, expected, status=412, **{"If-Match": '"v1"'})
    await rival.put(path, expected, status=404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"week": {"monday": [{"opens": "09:00", "closes": "12:00"}, {"opens": "11:00", "closes": "13:00"}]}},
        {"week": {"monday": [{"opens": "18:00", "closes": "09:00"}]}},
        {"week": {"monday": [{"opens": "9:00", "closes": "12:00"}]}},
        {"week": {"monday": [{"opens": "09:00", "closes": "24:30"}]}},
        {"week": {}, "holidays": ["2026-02-30"]},
        {"week": {}, "holidays": ["2026-01-01"], "special_days": [{"day": "2026-01-01", "hours": []}]},
        {"week": {}, "special_days": [{"day": "2026-01-01", "hours": []}] * 2},
        {"holidays": []},
    ],
)
async def test_impossible_hours_are_refused(agency: Agency, wrong: dict[str, Any]) -> None:
    path = f"/v1/projects/{(await agency.post('/v1/projects', CAFE))['id']}/working-hours"
    await agency.put(path, wrong, status=422)
