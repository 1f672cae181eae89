"""Comments that a platform does not count (Telegram's) are counted from its events, at any depth."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import select

from app.communities import publications
from app.communities.events import CommunityRef
from app.communities.inbound import store
from app.communities.models import Community, Publication
from app.inquiries.models import Inquiry
from app.kit.clock import SetClock
from app.kit.db import fetch
from app.metrics.models import PostLast
from app.platforms.capabilities import Event
from app.platforms.contract import MessageKind, Metric, PostMetrics, RemoteMessage, RemotePerson, RemotePost
from tests.communities.conftest import START
from tests.conftest import Agency

POSTED = START - timedelta(minutes=5)


async def settle(agency: Agency, project_id: str) -> CommunityRef:
    ref = CommunityRef(agency.workspace_id, UUID(project_id), uuid4(), "telegram", "Europe/Minsk")
    async with agency.resources.transaction(agency.workspace_id) as session:
        session.add(
            Community(
                workspace_id=ref.workspace_id,
                id=ref.community_id,
                project_id=ref.project_id,
                platform=ref.platform,
                address=f"https://t.me/c/{ref.community_id}",
                base_url="https://api.telegram.test",
                external_id="-1001",
                aliases=["-1002"],
                status="healthy",
                backfill_since=START - timedelta(days=1),
                created_at=START,
            )
        )
    return ref


def post(number: int) -> Event:
    post = RemotePost(str(number), "https://t.me/c/1", "News", POSTED, PostMetrics(str(number), {}))
    return Event(f"post {number}", None, posts=(post,))


def comment(name: str, *, post_id: str | None = None, above: str | None = None, by: str = "olga") -> Event:
    """A comment on a post, or a reply to a comment, which does not name the post."""
    message = RemoteMessage(
        external_id=name,
        thread_id=f"root_{by}",
        kind=MessageKind.COMMENT,
        author=RemotePerson(by, by.title()),
        text="How much?",
        sent_at=POSTED + timedelta(minutes=1),
        post_id=post_id,
        in_reply_to=above,
    )
    return Event(f"event of {name}", None, messages=(message,))


async def apply_events(agency: Agency, ref: CommunityRef, events: Sequence[Event]) -> None:
    """Store these events together, and apply them."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        await store.store_stream_events(session, ref, events)
    await agency.work(store.APPLY)


async def counted(agency: Agency, ref: CommunityRef) -> dict[str, int | None]:
    query = select(Publication.external_id, Publication.comments).where(
        Publication.workspace_id == ref.workspace_id, Publication.community_id == ref.community_id
    )
    async with agency.resources.transaction(agency.workspace_id) as session:
        return {row.external_id: row.comments for row in await session.execute(query)}


async def test_an_answer_to_a_comment_counts_for_the_post_above(
    agency: Agency, project_id: str, clock: SetClock
) -> None:
    ref = await settle(agency, project_id)
    await apply_events(agency, ref, [post(1), post(2)])
    assert await counted(agency, ref) == {"1": 0, "2": 0}
    deep = [comment("c", above="b", by="ivan"), comment("b", above="a", by="vera"), comment("a", post_id="1")]
    await apply_events(agency, ref, deep)
    assert await counted(agency, ref) == {"1": 3, "2": 0}
    await apply_events(agency, ref, [comment("d", above="c", by="vera")])
    await apply_events(agency, ref, [comment("e", above="nobody knows what")])
    assert await counted(agency, ref) == {"1": 4, "2": 0}
    await apply_events(agency, ref, [comment("d", above="c", by="vera"), *deep])
    assert await counted(agency, ref) == {"1": 4, "2": 0}, "sent again"


async def test_an_inquiry_that_begins_below_a_comment_stands_under_the_post(
    agency: Agency, project_id: str, clock: SetClock
) -> None:
    ref = await settle(agency, project_id)
    await apply_events(agency, ref, [post(1), comment("a", post_id="1")])
    await apply_events(agency, ref, [comment("b", above="a", by="vera")])
    async with agency.resources.transaction(agency.workspace_id) as session:
        rows = await session.execute(
            select(Inquiry.customer_name, Publication.external_id)
            .join(Publication, Publication.id == Inquiry.publication_id)
            .where(Inquiry.community_id == ref.community_id)
        )
        assert {(row.customer_name, row.external_id) for row in rows} == {("Olga", "1"), ("Vera", "1")}


async def test_the_community_itself_deep_in_a_thread_is_no_customer(
    agency: Agency, project_id: str, clock: SetClock
) -> None:
    """The parser of a hook's call does not know that this group, or channel, is the community itself."""
    ref = await settle(agency, project_id)
    await apply_events(agency, ref, [post(1), comment("a", post_id="1")])
    await apply_events(agency, ref, [comment("b", above="a", by="-1002"), comment("c", above="b", by="-1001")])
    (inquiry,) = (await agency.get("/v1/inquiries", community_id=str(ref.community_id)))["data"]
    assert (inquiry["status"], inquiry["customer"]["name"]) == ("answered", "Olga")
    thread = (await agency.get(f"/v1/inquiries/{inquiry['id']}"))["messages"]
    assert sorted(one["direction"] for one in thread) == ["agency", "agency", "customer"]
    assert await counted(agency, ref) == {"1": 3}


async def test_a_poll_without_a_count_keeps_the_old_one(agency: Agency, project_id: str, clock: SetClock) -> None:
    ref = await settle(agency, project_id)
    await apply_events(agency, ref, [post(1), comment("a", post_id="1")])
    async with agency.resources.transaction(agency.workspace_id) as session:
        publication_ids = await publications.ids_by_external_id(session, ref, ["1"])
        measured = {ref: [(publication_ids["1"], PostMetrics("1", {}))]}
        await publications.store_metrics(session, measured, clock.now(), 1.0, since={publication_ids["1"]: clock.now()})
    await apply_events(agency, ref, [comment("b", post_id="1", by="vera")])
    assert await counted(agency, ref) == {"1": 2}


async def test_a_platforms_clock_that_is_ahead_loses_no_count(agency: Agency, project_id: str, clock: SetClock) -> None:
    ref = await settle(agency, project_id)
    clock.advance(POSTED - timedelta(seconds=30) - clock.now())
    await apply_events(agency, ref, [post(1)])
    clock.advance(timedelta(seconds=1))
    await apply_events(agency, ref, [comment("a", post_id="1")])
    async with agency.resources.transaction(agency.workspace_id) as session:
        last = await session.scalar(
            select(PostLast.comments)
            .join(Publication, Publication.id == PostLast.publication_id)
            .where(Publication.community_id == ref.community_id)
        )
    assert last == 1


async def test_counters_that_are_only_pushed_are_not_polled(agency: Agency, project_id: str, clock: SetClock) -> None:
    """A metrics poll of a platform that only pushes counters would mark the pushed ones as pending."""
    ref = await settle(agency, project_id)
    counted_at = POSTED + timedelta(minutes=2)
    event = Event("counts", None, metrics=(PostMetrics("1", {Metric.REACTIONS: 7}),), at=counted_at)
    await apply_events(agency, ref, [post(1), comment("a", post_id="1"), event])
    async with agency.resources.transaction(agency.workspace_id) as session:
        community = await fetch(session, Community, ref.community_id)
        _, waiting = await publications.timezone_and_pending(session, community, START + timedelta(days=9))
        assert waiting.counters is False
    current = await agency.get(f"/v1/communities/{ref.community_id}/metrics")
    status = {one["metric"]: one["status"] for one in current["data"]}
    assert (status["reactions"], status["comments"], status["views"]) == ("ok", "ok", "unsupported")
