"""Evidence holds still: all pages are of one instant, or the next page is refused.

The property test reads evidence page by page while polls come, rows change, and communities are synced and lost.
Whatever happens, a client that reached the last page has exactly the rows and the sums that the first page
announced; else it was told `evidence-changed`.
"""

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from app.communities.models import Publication
from app.inquiries.models import Inquiry, ResponseWait
from app.kit.clock import SetClock
from app.kit.db import in_workspace
from app.kpis import all_kpis
from app.platforms.contract import Metric
from tests.conftest import Agency
from tests.kpis.conftest import Client, assert_announced, empty_project, fill

WINDOW: dict[str, Any] = {"from": "2026-09-15", "to": "2026-10-16"}


def _clock(client: Client) -> SetClock:
    clock = client.agency.resources.clock
    assert isinstance(clock, SetClock)
    return clock


async def _page(client: Client, key: str, **params: Any) -> tuple[int, Any]:
    response = await client.agency.http.get(f"{client.path}/{key}/evidence", params={**WINDOW, **params})
    return response.status_code, response.json()


async def _poll(client: Client, chance: random.Random, at: datetime) -> None:
    """Everything that a poll brings, with its own time."""
    place = client.places[chance.choice(("vk", "mastodon"))]
    post = await client.publish(place, at)
    await client.measure(place, at, {post: {Metric.REACTIONS: chance.randrange(1, 9)}})
    await client.size(place, at, chance.randrange(400, 900))
    await client.ask(place, at, at if chance.random() < 0.5 else None, seconds=0)


async def _later_poll(client: Client, chance: random.Random) -> None:
    now = client.agency.resources.clock.now()
    await _poll(client, chance, now)
    for place in client.places.values():
        await client.mark_polled(place, now)


async def _earlier_rows(client: Client, chance: random.Random) -> None:
    await _poll(client, chance, client.agency.resources.clock.now() - timedelta(days=chance.randrange(1, 20)))


async def _new_click(client: Client, chance: random.Random) -> None:
    link_id = await client.link(client.places["vk"])
    await client.click(link_id, [(client.agency.resources.clock.now(), chance.randrange(200), None)])


async def _handled(client: Client, chance: random.Random) -> None:
    """A customer who was waiting is answered."""
    now, workspace_id = client.agency.resources.clock.now(), client.agency.workspace_id
    async with client.agency.resources.transaction(workspace_id) as session:
        await session.execute(
            update(Inquiry)
            .where(in_workspace(Inquiry, workspace_id), Inquiry.handled_at.is_(None))
            .values(handled_at=now)
        )
        await session.execute(
            update(ResponseWait)
            .where(in_workspace(ResponseWait, workspace_id), ResponseWait.ended_at.is_(None))
            .values(ended_at=now, ended_by="answer", working_seconds=7)
        )


async def _lost_post(client: Client, chance: random.Random) -> None:
    """Corrected data: a post is gone with all of its rows, as when a person is erased."""
    workspace_id = client.agency.workspace_id
    async with client.agency.resources.transaction(workspace_id) as session:
        ids = (await session.scalars(Publication.__table__.select().with_only_columns(Publication.id))).all()
        of_post = Publication.id == chance.choice(sorted(ids))
        await session.execute(delete(Publication).where(in_workspace(Publication, workspace_id), of_post))


async def _never_polled(client: Client, chance: random.Random) -> None:
    """What is known of a community is lost: its figures become unknown."""
    place = client.places[chance.choice(("vk", "mastodon"))]
    nothing = {"size_seen_at": None, "posts_seen_at": None, "conversations_seen_at": None}
    await client.mark_polled(place, **nothing)


async def _synced(client: Client, chance: random.Random) -> None:
    """A community that was never polled is polled for the first time, and its past is found."""
    now = client.agency.resources.clock.now()
    await client.mark_polled(client.places["telegram"], now)
    await client.size(client.places["telegram"], now - timedelta(hours=1), 10)


async def _paused(client: Client, chance: random.Random) -> None:
    await client.mark_polled(client.places["vk"], status="paused")


async def _moved_time(client: Client, chance: random.Random) -> None:
    """Nothing but time: communities become stale, and midnight passes."""
    _clock(client).advance(timedelta(hours=chance.choice((1, 13, 80))))


EVENTS = (
    *(_later_poll, _earlier_rows, _new_click, _handled, _lost_post, _never_polled, _synced, _paused, _moved_time),
)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 8))])
async def test_all_pages_are_as_announced_or_refused(agency: Agency, seed: int) -> None:
    chance, outcomes = random.Random(seed), Counter[str]()
    client = await fill(await empty_project(agency, f"Project {seed}"), seed)
    await client.connect("telegram")
    for key in all_kpis():
        for _ in range(2):
            outcomes[await _read_all(client, key, chance)] += 1
    assert outcomes["complete"] > len(all_kpis()) / 3
    assert outcomes["refused"], "some change was noticed"


async def _read_all(client: Client, key: str, chance: random.Random) -> str:
    """Read all pages of a random size, with something happening after some of them."""
    limit = chance.choice((1, 2, 3, 5, 11, 50, 200))
    rows: list[dict[str, Any]] = []
    status, page = await _page(client, key, limit=limit)
    assert status == 200
    first = page
    left = chance.randrange(4)
    while True:
        assert (page["as_of"], page["expected"]) == (first["as_of"], first["expected"])
        assert len(page["data"]) <= limit
        rows += page["data"]
        if page["next_cursor"] is None:
            assert_announced(rows, first["expected"])
            assert len({str(sorted(row.items(), key=str)) for row in rows}) == len(rows), "no row twice"
            return "complete"
        _clock(client).advance(timedelta(seconds=1))
        if left and chance.random() < 0.3:
            left -= 1
            await chance.choice(EVENTS)(client, chance)
        status, page = await _page(client, key, limit=limit, cursor=page["next_cursor"])
        if status != 200:
            assert (status, page["code"]) == (409, "evidence-changed")
            return "refused"


async def test_a_walk_is_not_cut_short_by_a_community_that_is_lost(busy: Client) -> None:
    _, first = await _page(busy, "engagement", limit=5)
    await busy.mark_polled(busy.places["vk"], posts_seen_at=None)
    status, page = await _page(busy, "engagement", limit=5, cursor=first["next_cursor"])
    assert (status, page["code"]) == (409, "evidence-changed")


async def test_later_polls_are_on_no_page(busy: Client) -> None:
    _, first = await _page(busy, "engagement", limit=5)
    answered = await busy.kpi("engagement", **WINDOW)
    _clock(busy).advance(timedelta(minutes=5))
    await _later_poll(busy, random.Random(1))
    assert (await busy.kpi("engagement", **WINDOW))["value"] > answered["value"]
    rows, page = list(first["data"]), first
    while page["next_cursor"] is not None:
        status, page = await _page(busy, "engagement", limit=5, cursor=page["next_cursor"])
        assert status == 200
        rows += page["data"]
    assert sum(row["difference"] for row in rows) == answered["value"]
    linked = (await busy.agency.http.get(answered["links"]["evidence"])).json()
    assert linked["expected"] == first["expected"], "the answer's own link leads to the same rows"
    assert linked["as_of"] == first["as_of"]


async def test_a_change_of_the_past_is_noticed(busy: Client) -> None:
    _, first = await _page(busy, "engagement", limit=5)
    workspace_id = busy.agency.workspace_id
    async with busy.agency.resources.transaction(workspace_id) as session:
        await session.execute(
            update(Publication)
            .where(in_workspace(Publication, workspace_id))
            .values(published_at=Publication.published_at - timedelta(days=1))
        )
    status, page = await _page(busy, "engagement", limit=5, cursor=first["next_cursor"])
    assert (status, page["code"]) == (409, "evidence-changed")


async def test_an_instant_to_come_is_refused(busy: Client) -> None:
    to_come = (busy.agency.resources.clock.now() + timedelta(minutes=1)).isoformat()
    for part in ("evidence", "explain"):
        refused = await busy.agency.get(f"{busy.path}/engagement/{part}", 422, as_of=to_come)
        assert refused["code"] == "invalid-as-of"


async def test_value_explanation_and_evidence_share_an_instant(busy: Client) -> None:
    """Whatever comes after the answer, its links lead to the same figures."""
    chance = random.Random(3)
    answers = {key: await busy.kpi(key, **WINDOW) for key in all_kpis()}
    _clock(busy).advance(timedelta(minutes=5))
    for _ in range(2):
        await _later_poll(busy, chance)
    await _new_click(busy, chance)
    await _handled(busy, chance)
    _clock(busy).advance(timedelta(minutes=5))
    changed = set()
    for key, answer in answers.items():
        explained = (await busy.agency.http.get(answer["links"]["explain"])).json()
        for name in ("value", "status", "reason", "excluded"):
            assert explained[name] == answer[name], (key, name)
        if (await busy.kpi(key, **WINDOW))["value"] != answer["value"]:
            changed.add(key)
    assert {
        "engagement",
        "engagement_rate",
        "community_size",
        "clicks",
        "inquiries_received",
        "handled_rate",
    } <= changed
