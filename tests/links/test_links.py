"""Making, listing and changing tracked links."""

import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.kit.actors import SYSTEM
from app.kit.clock import SetClock
from app.links import service
from app.links.redirects import ROUTE_TTL
from tests.conftest import Agency
from tests.links.conftest import add_community

TARGET = "https://shop.example/?a=1"


async def test_a_link_is_made_and_read_again(agency: Agency, project_id: str, community_id: str) -> None:
    body = {"project_id": project_id, "community_id": community_id, "target": TARGET, "title": "Autumn"}
    made = await agency.post("/v1/links", body)
    assert made["url"].endswith(f"/r/{made['slug']}")
    assert len(made["slug"]) == 8
    assert made["target"] == TARGET
    assert await agency.get(f"/v1/links/{made['id']}") == made
    changed = await agency.patch(f"/v1/links/{made['id']}", {"title": None, "archived": True})
    assert changed["title"] is None
    assert changed["archived_at"] is not None
    assert await agency.patch(f"/v1/links/{made['id']}", {}) == changed


async def test_a_slug_is_unique_across_workspaces(
    agency: Agency, rival: Agency, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slug = f"autumn-{uuid.uuid4().hex[:8]}"
    await agency.post("/v1/links", {"project_id": project_id, "target": TARGET, "slug": slug})
    theirs = (await rival.post("/v1/projects", {"title": "Rival", "timezone": "Europe/Minsk"}))["id"]
    taken = await rival.post("/v1/links", {"project_id": theirs, "target": TARGET, "slug": slug}, status=409)
    assert taken["code"] == "slug-taken"
    assert (await rival.get("/v1/links"))["data"] == []
    # A generated slug that is taken is generated again.
    fresh = [slug, f"x{uuid.uuid4().hex[:7]}"]
    expected = fresh[1]
    monkeypatch.setattr(service, "_new_slug", lambda: fresh.pop(0))
    made = await rival.post("/v1/links", {"project_id": theirs, "target": TARGET})
    assert made["slug"] == expected
    assert (await rival.get(f"/v1/links/{made['id']}"))["slug"] == expected


async def test_invalid_links_are_refused(agency: Agency, rival: Agency, project_id: str, community_id: str) -> None:
    for target in ("javascript:alert(1)", "https://a:b@shop.example/", "https://shop.example/ x"):
        await agency.post("/v1/links", {"project_id": project_id, "target": target}, status=422)
    for path in ("/r/abc", "/x/%2e./%72/abc"):
        loop = f"{agency.resources.settings.public_url}{path}"
        refused = await agency.post("/v1/links", {"project_id": project_id, "target": loop}, status=422)
        assert refused["code"] == "redirect-loop"
    for slug in ("ab", "a b c", "a/b/c", "ж" * 5, "a" * 65):
        await agency.post("/v1/links", {"project_id": project_id, "target": TARGET, "slug": slug}, status=422)
    other = (await agency.post("/v1/projects", {"title": "Other", "timezone": "Europe/Minsk"}))["id"]
    foreign = {"project_id": other, "target": TARGET, "community_id": community_id}
    assert (await agency.post("/v1/links", foreign, status=422))["code"] == "community-of-another-project"
    unknown = {"project_id": project_id, "target": TARGET, "post_id": str(uuid.uuid4())}
    assert (await agency.post("/v1/links", unknown, status=404))["code"] == "not-found"
    await rival.post("/v1/links", {"project_id": project_id, "target": TARGET}, status=404)


async def test_lists_are_filtered_and_paged(agency: Agency, rival: Agency, project_id: str) -> None:
    community_id = await add_community(agency, project_id)
    made = [
        await agency.post(
            "/v1/links",
            {"project_id": project_id, "target": TARGET, "community_id": community_id if n % 2 else None},
        )
        for n in range(5)
    ]
    seen: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = await agency.get("/v1/links", limit=2, **more)
        seen += [link["id"] for link in page["data"]]
        more = {"cursor": page["next_cursor"]}
        if page["next_cursor"] is None:
            break
    assert seen == [link["id"] for link in reversed(made)]
    assert len((await agency.get("/v1/links", community_id=community_id))["data"]) == 2
    assert (await agency.get("/v1/links", archived=True))["data"] == []
    for path in ("", "/clicks", "/clicks/days"):
        await rival.get(f"/v1/links/{made[0]['id']}{path}", status=404)
    await rival.patch(f"/v1/links/{made[0]['id']}", {"title": "mine"}, status=404)


async def test_a_target_changes_and_its_history_is_kept(
    agency: Agency, rival: Agency, project_id: str, stranger: httpx.AsyncClient, clock: SetClock
) -> None:
    link = await agency.post("/v1/links", {"project_id": project_id, "target": TARGET})
    path, browser = f"/v1/links/{link['id']}", {"User-Agent": "curl/8"}
    assert (await stranger.get(f"/r/{link['slug']}", headers=browser)).headers["location"] == TARGET
    clock.advance(timedelta(hours=1))
    winter = "https://shop.example/winter"
    changed = await agency.patch(path, {"target": winter})
    assert (changed["target"], changed["target_version"]) == (winter, 2)
    assert (await stranger.get(f"/r/{link['slug']}", headers=browser)).headers["location"] == winter, "at once, here"
    assert await agency.patch(path, {"target": winter}) == changed, "nothing changed"
    loop = f"{agency.resources.settings.public_url}/r/abc"
    assert (await agency.patch(path, {"target": loop}, status=422))["code"] == "redirect-loop"
    history = (await agency.get(f"{path}/targets"))["data"]
    assert [(one["version"], one["target"], one["since"]) for one in history] == [
        (2, winter, "2026-10-15T13:00:00Z"),
        (1, TARGET, "2026-10-15T12:00:00Z"),
    ]
    assert {one["actor"].partition(":")[0] for one in history} == {"key"}
    clicks = (await agency.get(f"{path}/clicks"))["data"]
    assert [click["target_version"] for click in clicks] == [2, 1], "a click keeps the target that it led to"
    await rival.get(f"{path}/targets", status=404)


async def test_another_process_learns_of_a_new_target_within_the_documented_time(
    agency: Agency, project_id: str, stranger: httpx.AsyncClient, clock: SetClock, app: FastAPI
) -> None:
    link = await agency.post("/v1/links", {"project_id": project_id, "target": TARGET})
    await stranger.get(f"/r/{link['slug']}")
    async with agency.resources.transaction(agency.workspace_id, SYSTEM) as session:  # as another process does
        changes = {"target": "https://shop.example/winter"}
        await service.change(session, SYSTEM, public_url="", link_id=uuid.UUID(link["id"]), changes=changes)
    assert (await stranger.get(f"/r/{link['slug']}")).headers["location"] == TARGET
    clock.advance(ROUTE_TTL)
    for _ in range(2):  # the first one after that time may still be answered while the new one is read
        location = (await stranger.get(f"/r/{link['slug']}")).headers["location"]
    assert location == "https://shop.example/winter"
