"""Who joins a community and who leaves it, from the platform's call to the rows."""

import itertools
import json
import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.communities.events import CommunityRef
from app.communities.inbound import subscriptions
from app.communities.models import Community
from app.kit.clock import SetClock
from app.platforms.capabilities import Event, HookState, JoinOrLeave
from app.platforms.contract import Rejected
from app.platforms.vk.adapter import Vk
from tests.communities.conftest import START
from tests.communities.inbound.conftest import InboundSetup
from tests.communities.inbound.test_comment_counts import apply_events
from tests.conftest import Agency

HOUR = timedelta(hours=1)
NUMBERS = itertools.count(1)
CLOSED = HookState(subscribed=False)
OUTDATED = HookState(subscribed=False, outdated=True, detail="it does not send who joins")


async def settle(agency: Agency, project_id: str) -> CommunityRef:
    """A VK community that was polled."""
    ref = CommunityRef(agency.workspace_id, UUID(project_id), uuid4(), "vk", "Europe/Minsk")
    async with agency.resources.transaction(agency.workspace_id) as session:
        session.add(
            Community(
                workspace_id=ref.workspace_id,
                id=ref.community_id,
                project_id=ref.project_id,
                platform="vk",
                address=f"https://vk.com/club{ref.community_id}",
                base_url="https://api.vk.ru/method",
                external_id="77",
                status="healthy",
                backfill_since=START - timedelta(days=1),
                created_at=START,
            )
        )
    return ref


def vk_event(kind: str, person: int, **more: Any) -> tuple[Event, ...]:
    """As the Callback API sends it."""
    subject = {"user_id": person, **more}
    body = {"type": kind, "group_id": 77, "event_id": f"e{next(NUMBERS)}", "object": subject}
    return Vk.parse_event(json.dumps(body).encode())


async def stored(agency: Agency) -> list[tuple[bool, datetime]]:
    """What is known of who joined and left, in the order of time."""
    async with agency.resources.transaction(agency.workspace_id) as session:
        rows = await session.execute(text("SELECT joined, at FROM member_change ORDER BY at, joined DESC"))
        return [(row.joined, row.at) for row in rows]


async def test_an_event_counts_when_it_was_received_and_once(agency: Agency, project_id: str, clock: SetClock) -> None:
    ref = await settle(agency, project_id)
    joined, left = vk_event("group_join", 5, join_type="approved"), vk_event("group_leave", 5, self=1)
    received_at = clock.now()
    await apply_events(agency, ref, vk_event("group_join", 5, join_type="request"))
    await apply_events(agency, ref, joined)
    clock.advance(HOUR)
    await apply_events(agency, ref, (*joined, *left))
    clock.advance(HOUR)
    await apply_events(agency, ref, (*left, *joined))
    assert await stored(agency) == [(True, received_at), (False, received_at + HOUR)]


@pytest.mark.parametrize("seed", range(4))
async def test_neither_order_nor_repeats_change_what_is_known(
    agency: Agency, project_id: str, seed: int, clock: SetClock
) -> None:
    """Of events that are received together, in whatever batches they are applied."""
    ref, chance = await settle(agency, project_id), random.Random(seed)
    events = [vk_event("group_join", person, join_type="join") for person in range(1, 9)]
    events += [vk_event("group_leave", person) for person in range(1, 5)]
    sent = [*events, *chance.sample(events, 6)]
    chance.shuffle(sent)
    while sent:
        batch = [sent.pop() for _ in range(min(chance.randrange(1, 6), len(sent)))]
        await apply_events(agency, ref, [one for (one,) in batch])
    assert await stored(agency) == [(True, clock.now())] * 8 + [(False, clock.now())] * 4


async def test_only_the_communitys_own_members_count(inbound: InboundSetup) -> None:
    """Who joins a channel's discussion group does not join the channel."""
    path = await inbound.open(await inbound.connect("a"))
    for number, account_id in enumerate(("a", "a talks", None)):
        member = JoinOrLeave(f"person {number}", START, joined=True)
        await inbound.deliver(path, Event(f"{number}", account_id, members=(member,)))
    assert await inbound.rows("SELECT count(*) FROM member_change") == [(2,)]


@pytest.mark.parametrize(("state", "times"), [(OUTDATED, 2), (CLOSED, 1), (HookState(subscribed=True), 1)])
async def test_a_hook_that_gets_too_few_kinds_of_event_is_subscribed_again(
    inbound: InboundSetup, clock: SetClock, state: HookState, times: int
) -> None:
    """One that somebody has taken away at the platform is not: another service may have taken its place."""
    await inbound.open(await inbound.connect("a"))
    await inbound.agency.work(subscriptions.SUBSCRIBE)
    inbound.fake_platform.state = state
    clock.advance(subscriptions.FIRST_PROBE_AFTER)
    await inbound.agency.work(subscriptions.PROBE, subscriptions.SUBSCRIBE)
    assert len(inbound.fake_platform.urls) == times
    inbound.fake_platform.state = HookState(subscribed=True)
    clock.advance(timedelta(days=1))
    await inbound.agency.work(subscriptions.PROBE, subscriptions.SUBSCRIBE)
    assert len(inbound.fake_platform.urls) == times


async def test_a_hook_that_the_platform_refused_is_left_to_a_person(inbound: InboundSetup, clock: SetClock) -> None:
    await inbound.open(await inbound.connect("a"))
    inbound.fake_platform.fail = [Rejected("the address is not https")]
    await inbound.agency.work(subscriptions.SUBSCRIBE)
    inbound.fake_platform.state = OUTDATED
    clock.advance(subscriptions.FIRST_PROBE_AFTER)
    await inbound.agency.work(subscriptions.PROBE, subscriptions.SUBSCRIBE)
    assert inbound.fake_platform.urls == []
