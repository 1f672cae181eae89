"""What changes after it was read, with no event that says so: edits, deletions, answers in the platform's own app."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.communities.models import Community, Publication
from app.inquiries.models import Inquiry, Message
from app.kit.clock import SetClock
from app.platforms.contract import MessageKind, Page, RemoteMessage, RemotePerson
from tests.communities.conftest import HOUR, START, Fake, World
from tests.conftest import Agency

POLL = "communities.poll"
MINUTE = timedelta(minutes=1)


def comment(number: int, post: str, text: str, sent_at: datetime, *, own: bool = False) -> RemoteMessage:
    author = RemotePerson("c1", "The Fake", is_community=True) if own else RemotePerson(f"guest{number}", "Guest")
    return RemoteMessage(
        external_id=f"c{number}",
        thread_id=f"thread-{post}",
        kind=MessageKind.COMMENT,
        author=author,
        text=text,
        sent_at=sent_at,
        post_id=post,
    )


async def messages(agency: Agency) -> dict[str, tuple[str, bool]]:
    """The text of each message, and whether it is deleted."""
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        rows = await connection.execute(select(Message.external_id, Message.text, Message.deleted_at))
        return {str(row[0]): (row[1], row[2] is not None) for row in rows}


async def statuses(agency: Agency) -> list[str]:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return list((await connection.scalars(select(Inquiry.status))).all())


async def post_texts(agency: Agency) -> set[str]:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return set((await connection.scalars(select(Publication.text))).all())


async def work(agency: Agency, clock: SetClock, duration: timedelta, step: timedelta = 5 * MINUTE) -> None:
    until = clock.now() + duration
    while clock.now() < until:
        clock.advance(step)
        await agency.work(POLL)


@pytest.fixture
def posted(world: World) -> World:
    """Two posts; the first with a customer's comment."""
    world.posts = [world.post(1, START - HOUR, 1, comments=1), world.post(2, START - 2 * HOUR, 1)]
    world.comments["1"] = [comment(1, "1", "Is it open on sunday?", START - HOUR / 2)]
    world.page = 10
    return world


async def test_an_edited_comment_is_read_again(
    agency: Agency, community: dict[str, Any], posted: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    assert await messages(agency) == {"c1": ("Is it open on sunday?", False)}
    posted.comments["1"] = [replace(posted.comments["1"][0], text="Is it open on Sunday at ten?")]
    await work(agency, clock, HOUR)
    assert await messages(agency) == {"c1": ("Is it open on Sunday at ten?", False)}


async def test_a_deleted_comment_does_not_stay_open(
    agency: Agency, community: dict[str, Any], posted: World, clock: SetClock
) -> None:
    """Also where another one was written instead, so that the counter is as before."""
    await agency.work(POLL)
    assert await statuses(agency) == ["open"]
    posted.comments["1"] = [comment(2, "1", "Thanks, all clear.", START, own=True)]
    await work(agency, clock, HOUR)
    assert (await messages(agency))["c1"] == ("Is it open on sunday?", True)
    assert "open" not in await statuses(agency)


async def test_the_last_comment_may_be_deleted(
    agency: Agency, community: dict[str, Any], posted: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    posted.comments["1"] = []
    posted.posts[0] = posted.post(1, START - HOUR, 1, comments=0)
    await work(agency, clock, HOUR)
    assert (await messages(agency))["c1"][1]
    assert "open" not in await statuses(agency)


async def test_an_answer_in_the_platforms_app_is_found_while_the_inquiry_is_open(
    agency: Agency, community: dict[str, Any], posted: World, clock: SetClock
) -> None:
    """It moves no counter of the post: it is deeper in the tree."""
    await agency.work(POLL)
    answered_at = clock.now() + MINUTE
    posted.comments["1"].append(comment(2, "1", "Yes, from nine.", answered_at, own=True))
    await work(agency, clock, HOUR / 2)
    assert await statuses(agency) == ["answered"]
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        assert (await connection.scalars(select(Inquiry.first_answered_at))).all() == [answered_at]
    posted.calls.clear()
    await work(agency, clock, 2 * HOUR)
    assert posted.calls.count("comments") <= 1, "what is answered is not looked at that often"


async def test_an_old_open_thread_is_looked_at_again(
    agency: Agency, community: dict[str, Any], posted: World, clock: SetClock
) -> None:
    posted.posts = [posted.post(1, START - timedelta(days=60), 1, comments=1)]
    await agency.work(POLL)
    posted.comments["1"] = [comment(2, "1", "Welcome!", START, own=True)]
    await work(agency, clock, HOUR)
    assert (await messages(agency))["c1"][1]


async def test_a_list_that_is_cut_off_deletes_nothing(
    agency: Agency, community: dict[str, Any], posted: World, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agency.work(POLL)

    async def cut_off(*_: Any) -> Page[RemoteMessage]:
        return Page((), None, more=False, complete=False)

    monkeypatch.setattr(Fake, "comments", cut_off)
    await work(agency, clock, HOUR)
    assert await messages(agency) == {"c1": ("Is it open on sunday?", False)}


async def test_a_comment_that_is_listed_again_is_not_deleted(
    agency: Agency, community: dict[str, Any], posted: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    listed, posted.comments["1"] = posted.comments["1"], [comment(2, "1", "Welcome!", START, own=True)]
    await work(agency, clock, HOUR)
    assert (await messages(agency))["c1"][1]
    posted.comments["1"] = listed
    await work(agency, clock, 8 * HOUR, step=HOUR / 4)
    assert not (await messages(agency))["c1"][1]
    assert await statuses(agency) == ["open"]


async def test_an_empty_list_below_a_post_with_comments_deletes_nothing(
    agency: Agency, community: dict[str, Any], posted: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    posted.comments["1"] = []
    await work(agency, clock, HOUR)
    assert await messages(agency) == {"c1": ("Is it open on sunday?", False)}


async def test_comments_from_before_the_backfill_are_not_taken_for_deleted(
    agency: Agency, community: dict[str, Any], posted: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    async with agency.resources.transaction(agency.workspace_id) as session:
        row = (await session.scalars(select(Community))).one()
        row.backfill_since = START - HOUR / 4
        publication = (await session.scalars(select(Publication).where(Publication.external_id == "1"))).one()
        publication.published_at = START
    posted.comments["1"] = [comment(2, "1", "And on Monday?", START)]
    await work(agency, clock, HOUR)
    assert await messages(agency) == {"c1": ("Is it open on sunday?", False), "c2": ("And on Monday?", False)}


async def test_an_edited_post_is_read_again(
    agency: Agency, community: dict[str, Any], posted: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    posted.posts[1] = replace(posted.posts[1], text="Post 2, corrected", edited_at=START)
    await work(agency, clock, 8 * HOUR, step=HOUR / 4)
    assert await post_texts(agency) == {"Post 1", "Post 2, corrected"}


async def test_a_sync_reads_edits_at_once(
    agency: Agency, community: dict[str, Any], posted: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    clock.advance(MINUTE)
    posted.posts[1] = replace(posted.posts[1], text="Post 2, corrected")
    await agency.post(f"/v1/communities/{community['id']}/sync", status=202)
    await agency.work(POLL)
    assert await post_texts(agency) == {"Post 1", "Post 2, corrected"}


async def test_the_plan_knows_what_looking_again_costs(
    agency: Agency, community: dict[str, Any], posted: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    posted.calls.clear()
    await work(agency, clock, timedelta(days=1), step=HOUR / 4)
    assert posted.calls.count("posts") <= 24 * 2 + 4 * 2, "every hour, and every six hours the recent ones again"
    assert posted.calls.count("comments") <= 24 * 4 + 8, "an open thread: every quarter of an hour"
