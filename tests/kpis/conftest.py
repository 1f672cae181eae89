"""A project that has been watched for weeks: two communities, posts, sizes, customers, clicks.

What is stored goes through the rooms' own services where they keep rollups, and the tests recount
from what was put in, or from the evidence, never from the code under test.
"""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import and_, select, update

from app.communities.events import CommunityRef, SeenMember
from app.communities.inbound.models import Hook
from app.communities.models import Community, Publication
from app.inquiries.models import Inquiry, ResolvedEpisode, ResponseWait
from app.kit.db import in_workspace
from app.kit.ids import uuid7
from app.links import recording
from app.links.recording import Visit
from app.metrics import service as metrics
from app.platforms import adapter
from app.platforms.contract import Metric, MetricStatus, PostMetrics
from app.posts.models import Post
from app.projects.models import ResponseTarget
from tests.conftest import Agency

CONNECTED = datetime(2026, 9, 20, 9, 30, tzinfo=UTC)
BACKFILL = datetime(2026, 8, 20, 9, 30, tzinfo=UTC)
ZONE = "Europe/Minsk"
ALL: dict[str, Any] = {"from": "2026-09-10", "to": "2026-10-15"}


@dataclass
class Client:
    """A project and what is put into it."""

    agency: Agency
    project_id: str
    zone: ZoneInfo
    places: dict[str, CommunityRef] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where its KPIs are."""
        return f"/v1/projects/{self.project_id}/kpis"

    async def kpi(self, key: str, **params: Any) -> Any:
        """A KPI's answer."""
        return await self.agency.get(f"{self.path}/{key}", **params)

    async def evidence(self, key: str, limit: int = 7, **params: Any) -> list[dict[str, Any]]:
        """All rows behind a KPI, page by page; they are as many, and add up to what, each page announces."""
        rows: list[dict[str, Any]] = []
        cursor: dict[str, Any] = {}
        announced: Any = None
        while True:
            page = await self.agency.get(f"{self.path}/{key}/evidence", limit=limit, **params, **cursor)
            assert announced in (None, (page["as_of"], page["expected"]))
            announced = page["as_of"], page["expected"]
            assert len(page["data"]) <= limit
            rows += page["data"]
            if page["next_cursor"] is None:
                assert_announced(rows, page["expected"])
                return rows
            assert len(page["data"]) == limit
            cursor = {"cursor": page["next_cursor"]}

    def day(self, at: datetime) -> date:
        """The local day of an instant."""
        return at.astimezone(self.zone).date()

    async def connect(
        self, platform: str, *, created_at: datetime = CONNECTED, backfill_since: datetime = BACKFILL
    ) -> CommunityRef:
        """A community, as connecting it leaves it: not polled yet."""
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            community = Community(
                workspace_id=self.agency.workspace_id,
                project_id=uuid.UUID(self.project_id),
                platform=platform,
                address=f"https://social.example/{uuid.uuid4().hex}",
                base_url="https://social.example",
                status="healthy",
                backfill_since=backfill_since,
                created_at=created_at,
            )
            session.add(community)
            await session.flush()
        place = CommunityRef(
            self.agency.workspace_id, uuid.UUID(self.project_id), community.id, platform, self.zone.key
        )
        self.places[platform] = place
        return place

    async def mark_polled(self, place: CommunityRef, at: datetime | None = None, **values: Any) -> None:
        """Mark the community as polled, in all respects."""
        seen = at or self.agency.resources.clock.now()
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            await session.execute(
                update(Community)
                .where(in_workspace(Community, self.agency.workspace_id), Community.id == place.community_id)
                .values({"size_seen_at": seen, "posts_seen_at": seen, "conversations_seen_at": seen, **values})
            )

    async def size(self, place: CommunityRef, at: datetime, size: int) -> None:
        """A size was read."""
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            await metrics.record_size(session, place, at, size)

    async def members(self, place: CommunityRef, members: Sequence[SeenMember]) -> None:
        """The platform said who joined and who left."""
        await self.open_hook(place)
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            await metrics.record_members(session, place, members)

    async def open_hook(self, place: CommunityRef, **values: Any) -> None:
        """The community has a hook, with these values."""
        ours = and_(Hook.workspace_id == self.agency.workspace_id, Hook.community_id == place.community_id)
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            hook = await session.scalar(select(Hook).where(ours))
            if hook is None:
                hook = Hook(
                    workspace_id=self.agency.workspace_id,
                    id=uuid7(),
                    community_id=place.community_id,
                    public_id=uuid.uuid4(),
                    sealed="",
                    created_at=CONNECTED,
                )
                session.add(hook)
            for name, value in values.items():
                setattr(hook, name, value)

    async def publish(self, place: CommunityRef, at: datetime) -> uuid.UUID:
        """A post appeared."""
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            publication = Publication(
                workspace_id=self.agency.workspace_id,
                community_id=place.community_id,
                project_id=place.project_id,
                external_id=uuid.uuid4().hex,
                url="https://social.example/1",
                text="…",
                published_at=at,
            )
            session.add(publication)
            await session.flush()
            return publication.id

    async def measure(
        self, place: CommunityRef, at: datetime, posts: dict[uuid.UUID, dict[Metric, int]], why: str = "unsupported"
    ) -> None:
        """Counters were read; those that are not given are missing."""
        values = [
            (
                publication_id,
                PostMetrics("1", counters, {metric: MetricStatus(why) for metric in Metric if metric not in counters}),
            )
            for publication_id, counters in posts.items()
        ]
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            await metrics.record_posts(session, place, at, values)

    async def ask(
        self,
        place: CommunityRef,
        at: datetime,
        answered: datetime | None = None,
        *,
        seconds: int | None = None,
        resolved: bool = False,
        kind: str = "question",
        due: datetime | None = None,
    ) -> None:
        """A customer wrote, and was answered (or the inquiry was resolved without words); `due`: the target's end."""
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            inquiry = Inquiry(
                workspace_id=self.agency.workspace_id,
                id=uuid7(),
                project_id=place.project_id,
                community_id=place.community_id,
                thread_id=uuid.uuid4().hex,
                channel="comment",
                kind=kind,
                status="answered" if answered else "open",
                customer_id="1",
                customer_name="Olga",
                preview="How much?",
                opened_at=at,
                last_message_at=answered or at,
                handled_at=answered,
            )
            session.add(inquiry)
            await session.flush()
            session.add(
                ResponseWait(
                    workspace_id=self.agency.workspace_id,
                    inquiry_id=inquiry.id,
                    project_id=place.project_id,
                    community_id=place.community_id,
                    started_at=at,
                    due_at=due,
                    ended_at=answered,
                    ended_by=None if answered is None else "resolution" if resolved else "answer",
                    opening=True,
                    working_seconds=seconds,
                )
            )
            if resolved and answered is not None:
                session.add(
                    ResolvedEpisode(
                        workspace_id=self.agency.workspace_id,
                        inquiry_id=inquiry.id,
                        project_id=place.project_id,
                        community_id=place.community_id,
                        started_at=at,
                        resolved_at=answered,
                        automatic=False,
                        working_seconds=seconds or 0,
                        target_seconds=3600,
                    )
                )

    async def agree(self, since: date) -> None:
        """A target for responses is agreed from a day on."""
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            session.add(
                ResponseTarget(
                    workspace_id=self.agency.workspace_id,
                    project_id=uuid.UUID(self.project_id),
                    holds_from=since,
                    first_response_minutes=60,
                    updated_at=self.agency.resources.clock.now(),
                )
            )

    async def plan(
        self,
        place: CommunityRef,
        planned_at: datetime,
        published_at: datetime | None = None,
        category: str | None = "engaging",
    ) -> None:
        """A post is planned, and was published or not."""
        now = self.agency.resources.clock.now()
        async with self.agency.resources.transaction(self.agency.workspace_id) as session:
            session.add(
                Post(
                    workspace_id=self.agency.workspace_id,
                    project_id=place.project_id,
                    community_id=place.community_id,
                    origin="planned",
                    text="…",
                    category=category,
                    status="published" if published_at is not None else "planned",
                    timezone=self.zone.key,
                    planned_at=planned_at,
                    published_at=published_at,
                    created_at=now,
                    updated_at=now,
                )
            )

    async def link(self, place: CommunityRef | None = None) -> uuid.UUID:
        """A tracked link."""
        body: dict[str, Any] = {"project_id": self.project_id, "target": "https://nina.example/menu"}
        if place is not None:
            body["community_id"] = str(place.community_id)
        return uuid.UUID((await self.agency.post("/v1/links", body))["id"])

    async def click(self, link_id: uuid.UUID, clicks: Sequence[tuple[datetime, int, str | None]]) -> None:
        """Visitors followed a link: when, which, and why it is a bot."""
        for at, visitor, bot in clicks:
            visit = Visit(self.agency.workspace_id, link_id, at, self.day(at), visitor.to_bytes(16, "big"), bot, None)
            await recording.store(self.agency.resources.db, self.agency.workspace_id, [visit])


def assert_announced(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """The rows are as many, and add up to, as announced."""
    for total in expected:
        of_kind = [row for row in rows if row["kind"] == total["kind"]]
        assert len(of_kind) == total["rows"]
        assert total["field"] is None or sum(row[total["field"]] for row in of_kind) == total["sum"]
    assert len(rows) == sum(total["rows"] for total in expected)


async def empty_project(agency: Agency, name: str = "Coffee at Nina's", zone: str = ZONE) -> Client:
    """A project without anything in it."""
    made = await agency.post("/v1/projects", {"title": name, "timezone": zone})
    return Client(agency, made["id"], ZoneInfo(zone))


@pytest.fixture
async def client(agency: Agency) -> Client:
    """A project in Minsk, without communities."""
    return await empty_project(agency)


async def fill(client: Client, seed: int = 1) -> Client:
    """Weeks of life, the same for the same seed."""
    chance = random.Random(seed)
    now = client.agency.resources.clock.now()
    await client.agree(BACKFILL.date())
    for platform in ("vk", "mastodon"):
        place = await client.connect(platform)
        await _posts(client, place, chance, now)
        size, at = chance.randrange(500, 900), CONNECTED
        while at < now:
            # Some days nobody looked.
            if chance.random() > 0.15:
                await client.size(place, at, size)
            size += chance.randrange(-4, 9)
            at += timedelta(hours=chance.choice((9, 15, 25)))
        for _ in range(16):
            wrote = BACKFILL + chance.random() * (now - BACKFILL)
            wait = chance.random() * (now - wrote)
            due, kind = wrote + chance.random() * timedelta(days=9), chance.choice(("question", "thanks"))
            if chance.random() < 0.2:
                await client.ask(place, wrote, due=due, kind=kind)
            else:
                seconds, resolved = int(wait.total_seconds() // 3), chance.random() < 0.25
                await client.ask(place, wrote, wrote + wait, seconds=seconds, resolved=resolved, due=due, kind=kind)
        for _ in range(6):
            planned = BACKFILL + chance.random() * (now - BACKFILL)
            late = timedelta(minutes=chance.choice((0, 5, 16, 200)))
            published = min(planned + late, now) if chance.random() < 0.8 else None
            await client.plan(place, planned, published, chance.choice((None, "engaging", "promotional")))
        await client.mark_polled(place, now - timedelta(hours=2))
    for of in (*client.places.values(), None):
        link_id = await client.link(of)
        clicks = [
            (now - timedelta(hours=6) * chance.random(), chance.randrange(6), chance.choice((None, None, "preview")))
            for _ in range(15)
        ]
        await client.click(link_id, clicks)
        again = now - timedelta(minutes=1)
        await client.click(link_id, [(again, 99, None), (again + timedelta(seconds=1), 99, None)])
    await run_campaign(client, chance)
    return client


async def run_campaign(client: Client, chance: random.Random) -> None:
    """A channel in which a campaign runs: its size and who joined, some of them through the campaign's link."""
    now, channel = client.agency.resources.clock.now(), await client.connect("telegram")
    size = 500
    for days in range(24, -1, -1):
        await client.size(channel, now - timedelta(days=days), size)
        size += chance.randrange(1, 9)
    await client.mark_polled(channel, now - timedelta(hours=2))
    period = {"from": "2026-10-06", "to": "2026-10-12"}
    body = {"project_id": client.project_id, "type": "ad", "title": "Autumn", **period}
    path = f"/v1/campaigns/{(await client.agency.post('/v1/campaigns', body))['id']}"
    invite = {"community_id": str(channel.community_id), "address": "https://t.me/+AbCdEfGhIjKlMnOp"}
    await client.agency.post(f"{path}/invite-links", invite)
    link_id = await client.link(client.places["vk"])
    await client.agency.post(f"{path}/links", {"link_id": str(link_id)}, status=200)
    for day in ("2026-10-06", "2026-10-09"):
        await client.agency.post(f"{path}/spend", {"day": day, "amount": "1200.50", "currency": "RUB"})
    await client.click(link_id, [(now - timedelta(minutes=9 + number), number, None) for number in range(9)])
    at = now - timedelta(days=8)
    members = [
        SeenMember(bytes([number]), at + timedelta(hours=number), joined, link)
        for number, joined, link in (
            *((number, True, "https://t.me/+AbCdEfGh") for number in range(5)),
            *((number, True, None) for number in range(5, 8)),
            (8, True, "https://t.me/+Zzzzzzzz"),
            (9, False, None),
        )
    ]
    again = SeenMember(bytes([0]), at + timedelta(days=2), joined=True, invite_link="https://t.me/+AbCdEfGh")
    await client.members(channel, [*members, again])
    # The next poll, with which joins and leaves are compared.
    await client.size(channel, now - timedelta(minutes=30), size)


async def _posts(client: Client, place: CommunityRef, chance: random.Random, now: datetime) -> None:
    supported = sorted(adapter(place.platform).spec.metrics)
    posts: dict[uuid.UUID, tuple[datetime, dict[Metric, int]]] = {}
    for _ in range(8):
        at = BACKFILL + chance.random() * (now - BACKFILL)
        posts[await client.publish(place, at)] = (at, {metric: chance.randrange(20) for metric in supported})
    for hours in range(0, int((now - CONNECTED) / timedelta(hours=1)), 50):
        at = CONNECTED + timedelta(hours=hours)
        looked_at = {post: counters for post, (published, counters) in posts.items() if published < at}
        for counters in looked_at.values():
            # Reactions are taken back, too.
            counters.update({metric: max(0, counters[metric] + chance.randrange(-1, 6)) for metric in supported})
        await client.measure(place, at, {post: dict(counters) for post, counters in looked_at.items()})


@pytest.fixture
async def busy(client: Client) -> Client:
    """That project, with weeks of life."""
    return await fill(client)
