"""Old visitor rows are deleted; clicks stay."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select

from app.kit.clock import SetClock
from app.links import jobs as tidying
from app.links.models import Visitor
from app.links.recording import REPEAT_WINDOW, VISITOR_RETENTION
from tests.conftest import Agency
from tests.links.agents import PEOPLE


async def visitor_rows(agency: Agency) -> int:
    async with agency.resources.transaction(agency.workspace_id) as session:
        return await session.scalar(select(func.count()).select_from(Visitor)) or 0


async def test_visitor_rows_are_deleted_and_clicks_kept(
    agency: Agency, stranger: httpx.AsyncClient, project_id: str, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "_PAGE_SIZE", 2)
    link = await agency.post("/v1/links", {"project_id": project_id, "target": "https://shop.example/"})

    async def follow(person: str) -> None:
        await stranger.get(f"/r/{link['slug']}", headers={"User-Agent": PEOPLE[person]})

    for person in list(PEOPLE)[:5]:
        await follow(person)
    clock.advance(VISITOR_RETENTION + timedelta(seconds=1))
    await follow("Firefox")
    before = await visitor_rows(agency)
    await agency.recur("links.tidy")
    assert await agency.work("links.tidy_workspace") > 1, "a page at a time"
    assert (before > 1, await visitor_rows(agency)) == (True, 1)

    clock.advance(REPEAT_WINDOW - timedelta(seconds=1))
    await follow("Firefox")  # the one that was kept still counts once
    totals = (await agency.get(f"/v1/links/{link['id']}/clicks"))["totals"]
    assert (totals["people"], totals["repeats"]) == (6, 1)
