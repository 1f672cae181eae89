"""Requests beside a step of a poll or a job, which has locked rows of the community: what only asks waits for none."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.models import Community, Publication, UnreadItem
from app.communities.service import POLL
from app.communities.syncing import REQUEST_READS
from app.kit.clock import SetClock
from app.kit.db import Database, fetch, in_workspace
from app.kit.deadlines import REQUESTS
from app.kit.resources import Resources
from tests.communities.conftest import START, World
from tests.conftest import Agency

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def impatient(agency: Agency, app: FastAPI, resources: Resources) -> AsyncIterator[None]:
    """Requests do not wait for a lock for long, so that one that would wait is soon refused."""
    db = Database(resources.settings.database_url, pool=2, clock=resources.clock, deadlines=replace(REQUESTS, lock=0.3))
    app.state.resources = replace(resources, db=db)
    yield
    await db.close()


@pytest.fixture
async def watched(agency: Agency, community: dict[str, Any], world: World, clock: SetClock) -> str:
    """A community with two posts, polled once, of whose posts one could not be read; its id."""
    world.posts = [world.post(number, START - number * HOUR, reactions=number) for number in (1, 2)]
    await agency.work(POLL)
    async with agency.resources.transaction(agency.workspace_id) as session:
        session.add(
            UnreadItem(
                workspace_id=agency.workspace_id,
                community_id=UUID(community["id"]),
                part="comments",
                external_id="1",
                failures=1,
                code="transient",
                reason="Away.",
                since=clock.now(),
                retry_at=clock.now() + HOUR,
                list_name="",
            )
        )
    clock.advance(timedelta(minutes=1))
    return str(community["id"])


async def lock_community(session: AsyncSession, agency: Agency, community_id: str) -> None:
    """As each step of a poll does."""
    await fetch(session, Community, UUID(community_id), for_update=True)


async def lock_publications(session: AsyncSession, agency: Agency, community_id: str) -> None:
    """As storing counters does."""
    await session.execute(select(Publication).where(in_workspace(Publication, agency.workspace_id)).with_for_update())


async def lock_unread(session: AsyncSession, agency: Agency, community_id: str) -> None:
    """As remembering what could not be read does."""
    of_workspace = UnreadItem.workspace_id == agency.workspace_id
    await session.execute(update(UnreadItem).where(of_workspace).values(failures=2))


LOCKS = (lock_community, lock_publications, lock_unread)


async def requested(agency: Agency, community_id: str) -> tuple[bool, bool, bool]:
    """Whether the lists, the counters, and what could not be read are requested."""
    now = agency.resources.clock.now()
    async with agency.resources.transaction(agency.workspace_id) as session:
        community = await fetch(session, Community, UUID(community_id))
        of_community = in_workspace(Publication, agency.workspace_id) & (Publication.community_id == community.id)
        totals = (await session.scalars(select(Publication.total).where(of_community))).all()
        retries = select(UnreadItem.retry_at).where(UnreadItem.community_id == community.id)
        retry_at = await session.scalar(retries)
        lists = community.requested("posts") is not None and community.requested("conversations") is not None
        return lists, totals == [None, None], retry_at is not None and retry_at <= now


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.__name__.removeprefix("lock_"))
async def test_a_sync_waits_for_no_lock(agency: Agency, watched: str, world: World, lock: Any) -> None:
    """Whatever a poll or a measuring has locked: it is requested once that has ended, and read."""
    path = f"/v1/communities/{watched}/sync"
    async with agency.resources.transaction(agency.workspace_id) as session:
        await lock(session, agency, watched)
        answer = await agency.post(path, status=202)
        assert answer["id"] == watched
        await agency.post(path, status=202)
        assert await requested(agency, watched) == (False, False, False), "of it nothing is written beside the lock"
    assert len(await agency.due(REQUEST_READS)) == 1, "the second joins the first"
    world.calls.clear()
    await agency.work(REQUEST_READS)
    assert await requested(agency, watched) == (True, True, True)
    await agency.work()
    assert {"community", "posts", "conversations", "metrics"} <= set(world.calls)
    assert (await requested(agency, watched))[:2] == (False, False), "read"


async def test_what_changes_a_locked_community_is_busy(agency: Agency, watched: str) -> None:
    """The control: the lock is one that a request would wait for."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        await lock_community(session, agency, watched)
        assert (await agency.post(f"/v1/communities/{watched}/pause", status=503))["code"] == "busy"
    await agency.post(f"/v1/communities/{watched}/pause", status=200)


async def test_without_a_lock_it_is_requested_at_once(agency: Agency, watched: str) -> None:
    await agency.post(f"/v1/communities/{watched}/sync", status=202)
    assert await requested(agency, watched) == (True, True, True)
    assert (await agency.due(REQUEST_READS), len(await agency.due(POLL))) == ([], 1)


async def test_what_is_paused_meanwhile_is_not_read(agency: Agency, watched: str, world: World) -> None:
    async with agency.resources.transaction(agency.workspace_id) as session:
        await lock_community(session, agency, watched)
        await agency.post(f"/v1/communities/{watched}/sync", status=202)
    await agency.post(f"/v1/communities/{watched}/pause", status=200)
    world.calls.clear()
    assert await agency.work(REQUEST_READS) == 1
    await agency.work()
    assert (await requested(agency, watched), world.calls) == ((False, False, False), [])
    async with agency.resources.transaction(agency.workspace_id) as session:
        await lock_community(session, agency, watched)
        refused = await agency.post(f"/v1/communities/{watched}/sync", status=409)
        assert refused["code"] == "community-paused", "known without the lock"


async def test_what_points_to_a_locked_community_is_stored(agency: Agency, watched: str, project_id: str) -> None:
    """A link, say: its foreign key needs the community to stay, not to be free."""
    about = {"project_id": project_id, "community_id": watched}
    async with agency.resources.transaction(agency.workspace_id) as session:
        await lock_community(session, agency, watched)
        await agency.post("/v1/links", {**about, "target": "https://nina.example/menu"}, status=201)
