"""Polling a community: what it stores, and which failures it survives."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from app.communities import publications
from app.communities.models import Community, CommunityToken, Publication
from app.communities.polling import fair_share
from app.communities.polling.fair_share import DailyDemand
from app.communities.polling.rate_limits import RateLimitKey, RateLimitReached
from app.inquiries.models import Message
from app.kit import jobs
from app.kit.clock import SetClock
from app.kit.ids import uuid7
from app.metrics.models import PostSnapshot
from app.platforms.contract import AuthExpired, Gone, LimitScope, MissingPermission, Throttled, Transient
from tests.communities.conftest import HOUR, START, World
from tests.conftest import Agency

POLL = "communities.poll"


async def health(agency: Agency, community: dict[str, Any]) -> Any:
    return await agency.get(f"/v1/communities/{community['id']}/health")


async def rows(agency: Agency, model: Any) -> int:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return int((await connection.execute(select(func.count()).select_from(model))).scalar_one())


def fill(world: World, posts: int = 5) -> None:
    world.posts = [world.post(n, START - n * HOUR, reactions=n, comments=0) for n in range(1, posts + 1)]
    world.messages = [world.message_from("ivan", 1, START - HOUR), world.message_from("olga", 2, START - HOUR / 2)]


async def test_a_connected_community_is_read_to_the_end(
    agency: Agency, community: dict[str, Any], world: World
) -> None:
    fill(world)
    assert community["status"] == "connecting"
    await agency.work(POLL)
    seen = await health(agency, community)
    assert seen["status"] == "healthy"
    assert seen["publications"] == 5
    assert seen["backfill"]["done_at"] is not None
    assert seen["next_poll_at"] is not None
    assert world.calls.count("posts") == 3, "three pages of two"
    assert await rows(agency, Message) == 2
    assert await rows(agency, PostSnapshot) == 5
    by_metric = {row["metric"]: row for row in (await agency.get(f"/v1/communities/{community['id']}/metrics"))["data"]}
    assert (by_metric["reactions"]["status"], by_metric["reactions"]["posts"]) == ("ok", {"ok": 5})
    assert (by_metric["views"]["status"], by_metric["views"]["captured_at"]) == ("unsupported", None)


async def test_nothing_is_stored_twice_when_all_is_read_again(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    fill(world)
    await agency.work(POLL)
    await agency.post(f"/v1/communities/{community['id']}/sync", status=202)
    world.calls.clear()
    await agency.work(POLL)
    assert set(world.calls) == {"community", "conversations", "posts", "metrics"}, "everything was read again"
    assert await rows(agency, Publication) == 5
    assert await rows(agency, Message) == 2
    assert await rows(agency, PostSnapshot) == 5, "the same instant: the same snapshots"


async def test_counters_are_read_by_the_age_of_the_post(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    """In a day: a new post 8 times in its first 2 hours, then hourly; one of ten days once."""
    world.posts = [world.post(1, START, 1), world.post(2, START - timedelta(days=10), 1)]
    await agency.work(POLL)
    for _ in range(24 * 12):
        clock.advance(timedelta(minutes=5))
        await agency.work(POLL)
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        rows = await connection.execute(
            select(Publication.external_id, func.count())
            .join(PostSnapshot, PostSnapshot.publication_id == Publication.id)
            .group_by(Publication.external_id)
        )
        assert {row[0]: row[1] for row in rows} == {"1": 1 + 8 + 22, "2": 2}


async def test_a_part_that_waits_for_a_limit_holds_up_no_other(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    """Conversations are read at once, posts when their limit allows it; that is no failure."""
    fill(world, 1)
    await agency.work(POLL)
    world.posts.insert(0, world.post(9, clock.now(), 1))
    clock.advance(timedelta(minutes=5))
    until = clock.now() + timedelta(hours=3)
    world.fail["posts"] = [RateLimitReached(until)]  # raised by the rate limiter before the call
    before = world.calls.count("conversations")
    await agency.work(POLL)
    assert world.calls.count("conversations") > before
    health = await agency.get(f"/v1/communities/{community['id']}/health")
    assert (health["status"], health["throttled_until"]) == ("healthy", None)
    assert datetime.fromisoformat(health["next_poll_at"]) < until, "the others are polled meanwhile"
    clock.advance(timedelta(minutes=5))
    await agency.work(POLL)
    assert await rows(agency, Publication) == 2


async def test_a_deleted_post_is_known_to_be_gone(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    fill(world, 2)
    await agency.work(POLL)
    del world.posts[0]
    clock.advance(timedelta(days=1))
    await agency.work(POLL)
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        gone = (
            (await connection.execute(select(Publication.external_id).where(Publication.gone_at.is_not(None))))
            .scalars()
            .all()
        )
    assert gone == ["1"]


async def test_a_worker_that_dies_before_its_commit_loses_and_doubles_nothing(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    """The worker dies after the platform's response and before it is stored."""
    fill(world)

    class Killed(BaseException):
        pass

    def die(method: str) -> None:
        if method == "posts" and world.calls.count("posts") == 2:
            world.after = None
            raise Killed

    world.after = die
    with pytest.raises(Killed):
        await agency.work(POLL)
    assert await rows(agency, Publication) == 2, "the first page was stored with its cursor"
    assert await agency.due(POLL) == [], "the dead worker still holds the lease"
    clock.advance(timedelta(seconds=31))
    async with agency.resources.db.read_connection(None) as connection:
        left = (await connection.scalars(select(jobs.Job.id).where(jobs.Job.workspace_id == agency.workspace_id))).all()
    for job_id in left:
        await jobs.perform(agency.resources, job_id)
    await agency.work(POLL)
    assert await rows(agency, Publication) == 5
    assert await rows(agency, Message) == 2


async def test_a_page_and_its_cursor_are_kept_together(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that could not be stored is fetched again: its cursor was not stored either."""
    fill(world)
    real, stored = publications.store, 0

    async def fail_once(*args: Any) -> publications.UpsertResult:
        nonlocal stored
        stored += 1
        if stored == 2:
            raise RuntimeError("the disk is full")
        return await real(*args)

    monkeypatch.setattr(publications, "store", fail_once)
    await agency.work(POLL)
    assert await rows(agency, Publication) == 2
    clock.advance(timedelta(minutes=1))
    await agency.work(POLL)
    assert await rows(agency, Publication) == 5


async def test_a_limit_is_respected_to_the_second(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    fill(world)
    world.fail["posts"] = [Throttled("Too fast.", retry_after=90, scope=LimitScope.TOKEN)]
    await agency.work(POLL)
    assert (await health(agency, community))["throttled_until"] == "2026-10-15T12:01:30Z"
    made = len(world.calls)
    clock.advance(timedelta(seconds=89))
    await agency.work(POLL)
    assert len(world.calls) == made, "not one call before the time"
    clock.advance(timedelta(seconds=1))
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["publications"], seen["throttled_until"]) == ("healthy", 5, None)


async def test_one_bad_minute_does_not_disconnect(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    for expected in ("degraded", "degraded", "reauth_required"):
        world.fail["conversations"] = [AuthExpired("Token refused.")]
        clock.advance(timedelta(minutes=10))
        await agency.work(POLL)
        seen = await health(agency, community)
        assert seen["status"] == expected
    assert seen["code"] == "auth-expired"
    assert "Reconnect" in seen["reason"]
    await agency.post(
        f"/v1/communities/{community['id']}/reconnect", {"credentials": {"user": "new-token"}}, status=200
    )
    await agency.work(POLL)
    assert (await health(agency, community))["status"] == "healthy"


async def poll_and_read(agency: Agency, community: dict[str, Any], clock: SetClock) -> Any:
    """The health after another poll, of everything, a minute later."""
    clock.advance(timedelta(minutes=1))
    await agency.post(f"/v1/communities/{community['id']}/sync", status=202)
    await agency.work(POLL)
    return await health(agency, community)


async def test_what_is_no_refusal_does_not_count_as_one(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    for error in (Transient("Bad gateway."), Transient("Bad gateway."), AuthExpired("Token refused.")):
        world.fail["conversations"] = [error]
        assert (await poll_and_read(agency, community, clock))["status"] == "degraded"
    # A failing gateway between two refusals does not show whether the token is valid; a response does.
    world.fail["conversations"] = [Transient("Bad gateway.")]
    assert (await poll_and_read(agency, community, clock))["code"] == "transient"
    world.fail["conversations"] = [AuthExpired("Token refused.")]
    assert (await poll_and_read(agency, community, clock))["status"] == "degraded"
    world.fail["conversations"] = [MissingPermission("Not allowed.", scopes=("messages",))]
    assert (await poll_and_read(agency, community, clock))["code"] == "missing-permission"
    for expected in ("degraded", "degraded", "reauth_required"):
        world.fail["conversations"] = [AuthExpired("Token refused.")]
        assert (await poll_and_read(agency, community, clock))["status"] == expected


async def test_a_refused_token_stays_refused_until_the_platform_takes_it(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    for _ in range(3):
        world.fail["conversations"] = [AuthExpired("Token refused.")]
        refused = await poll_and_read(agency, community, clock)
    assert refused["status"] == "reauth_required"
    for part in ("conversations", "community", "posts"):
        world.fail = {part: [Transient("Bad gateway.")]}
        seen = await poll_and_read(agency, community, clock)
        assert (seen["status"], seen["code"], seen["reason"]) == ("reauth_required", "auth-expired", refused["reason"])
    due = clock.now().fromisoformat(seen["next_poll_at"])
    assert due < clock.now() + timedelta(hours=1), "the gateway is asked again before the token is"
    world.fail = {"conversations": [AuthExpired("Token refused.")]}
    assert (await poll_and_read(agency, community, clock))["status"] == "reauth_required"
    world.fail = {"conversations": [MissingPermission("Not allowed.", scopes=("messages",))]}
    seen = await poll_and_read(agency, community, clock)
    assert (seen["status"], seen["code"]) == ("degraded", "missing-permission"), "it was taken, and may not do all"
    assert (await poll_and_read(agency, community, clock))["status"] == "healthy"


async def test_a_fault_of_our_own_does_not_pass_for_health(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agency.work(POLL)
    fill(world)

    async def fail(*_: Any) -> publications.UpsertResult:
        raise RuntimeError("on the post of Ivan Ivanov")

    with monkeypatch.context() as broken:
        broken.setattr(publications, "store", fail)
        clock.advance(timedelta(minutes=10))
        states = []
        for _ in range(4):
            await agency.work(POLL)
            seen = await health(agency, community)
            states.append((seen["status"], seen["code"]))
            clock.advance(timedelta(seconds=30))
    assert states == [("healthy", None)] * 2 + [("degraded", "internal-error")] * 2, "once may be chance"
    assert "Ivan" not in seen["reason"]
    assert "Instep" in seen["reason"]
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"], seen["reason"], seen["publications"]) == ("healthy", None, None, 5)


async def test_counters_are_read_when_due_however_seldom_lists_are(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    """Its limit is shared with many: intervals of lists are multiplied by more than 1000, those of counters not."""
    world.posts = [world.post(1, START, 1)]
    await agency.work(POLL)
    shared = RateLimitKey(community["id"], 86_400, 1000)
    async with agency.resources.transaction(agency.workspace_id) as session:
        await fair_share.record_demand(session, uuid7(), {shared: DailyDemand(content=1e6)})
        row = (await session.scalars(select(Community))).one()
        row.costs = {"posts": {shared.text: 1.0}}
    await agency.post(f"/v1/communities/{community['id']}/sync", status=202)
    await agency.work(POLL)
    assert (await health(agency, community))["lag"]["interval_multiplier"] > 1000
    world.calls.clear()
    for _ in range(24):
        clock.advance(timedelta(minutes=5))
        await agency.work(POLL)
    assert world.calls.count("metrics") == 8, "each quarter of an hour in its first two hours"
    assert world.calls.count("posts") == 0


async def test_a_part_that_may_not_be_read_does_not_stop_the_others(
    agency: Agency, community: dict[str, Any], world: World
) -> None:
    fill(world)
    world.fail["conversations"] = [MissingPermission("Not allowed.", scopes=("messages",))]
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["missing_scopes"], seen["publications"]) == ("degraded", ["messages"], 5)


async def test_an_address_that_leads_nowhere_fails_for_good(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    world.fail["community"] = [Gone("No such account.")]
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"], seen["next_poll_at"]) == ("failed", "gone", None)
    clock.advance(timedelta(days=1))
    assert await agency.due() == []


async def test_a_failed_connection_is_tried_again_on_request(
    agency: Agency, community: dict[str, Any], world: World
) -> None:
    world.fail["community"] = [Gone("No such account.")]
    await agency.work(POLL)
    assert (await health(agency, community))["status"] == "failed"
    requested = await agency.post(f"/v1/communities/{community['id']}/sync", status=202)
    assert requested["status"] == "connecting"
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"], seen["reason"]) == ("healthy", None, None)


async def test_the_backfill_shows_its_progress(agency: Agency, community: dict[str, Any], world: World) -> None:
    """While it pages, it is not done, and other parts are still polled. A pinned post does not make it skip any."""

    class Killed(BaseException):
        pass

    def die(method: str) -> None:
        if method == "posts" and world.calls.count("posts") == 2:
            raise Killed

    world.posts = [world.post(n, START - n * timedelta(days=18), 1) for n in range(1, 4)]
    world.posts.insert(0, world.post(0, START - timedelta(days=90) + HOUR, 1))  # it is pinned
    world.after = die
    with pytest.raises(Killed):
        await agency.work(POLL)
    seen = await health(agency, community)
    assert seen["backfill"]["done_at"] is None
    assert (seen["backfill"]["progress"], seen["backfill"]["reached"]) == (0.2, "2026-09-27T12:00:00Z")
    assert seen["next_poll_at"] == "2026-10-15T12:00:00Z", "a worker is at it"


async def test_a_platform_that_is_unwell_is_left_alone_for_longer_and_longer(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    world.fail["community"] = [Transient("Bad gateway.")] * 3
    waits = []
    for _ in range(3):
        await agency.work(POLL)
        seen = await health(agency, community)
        due = clock.now().fromisoformat(seen["next_poll_at"])
        waits.append((due - clock.now()).total_seconds())
        clock.advance(due - clock.now())
    assert waits == [30, 60, 120]
    await agency.work(POLL)
    assert (await health(agency, community))["status"] == "healthy"


async def test_two_spellings_of_one_community_are_found_out(
    agency: Agency, community: dict[str, Any], world: World, project_id: str
) -> None:
    await agency.work(POLL)
    other = await agency.post(
        "/v1/communities", {"project_id": project_id, "platform": "fake", "address": "https://fake.test/number1"}
    )
    await agency.work(POLL)
    seen = await health(agency, other)
    assert (seen["status"], seen["code"]) == ("failed", "rejected")
    assert "connected already" in seen["reason"]


async def test_connecting_twice_is_a_conflict_and_leaves_one_job(
    agency: Agency, community: dict[str, Any], project_id: str
) -> None:
    body = {"project_id": project_id, "platform": "fake", "address": "https://fake.test/NAME"}
    answer = await agency.post("/v1/communities", body, status=409)
    assert answer["code"] == "already-connected"
    assert len(await agency.due(POLL)) == 1


async def test_a_paused_community_is_not_called(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock
) -> None:
    await agency.work(POLL)
    await agency.post(f"/v1/communities/{community['id']}/pause", status=200)
    made = len(world.calls)
    clock.advance(timedelta(days=1))
    await agency.work(POLL)
    assert len(world.calls) == made
    await agency.post(f"/v1/communities/{community['id']}/resume", status=200)
    await agency.work(POLL)
    assert len(world.calls) > made


async def test_tokens_are_sealed_and_never_shown(agency: Agency, project_id: str, world: World) -> None:
    body = {
        "project_id": project_id,
        "platform": "fake",
        "address": "https://fake.test/sealed",
        "credentials": {"user": "very-secret-token"},
    }
    made = await agency.post("/v1/communities", body)
    response = await agency.http.get(f"/v1/communities/{made['id']}/health")
    assert "very-secret" not in response.text
    assert response.json()["tokens"][0]["kind"] == "user"
    async with agency.resources.transaction(agency.workspace_id) as session:
        sealed = (await session.scalars(select(CommunityToken.sealed))).one()
    assert "very-secret" not in sealed
    assert agency.resources.keyring.open(sealed) == "very-secret-token"
    assert await rows(agency, Community) == 1


async def test_requesting_a_poll_never_deadlocks_with_the_worker(
    agency: Agency, community: dict[str, Any], world: World
) -> None:
    """A worker locks the job's row before the community's; a request that locks both must use the same order."""
    async with agency.resources.transaction(agency.workspace_id) as worker:
        await worker.scalar(select(jobs.Job.id).where(jobs.Job.workspace_id == agency.workspace_id).with_for_update())
        asking = asyncio.create_task(agency.post(f"/v1/communities/{community['id']}/sync", status=202))
        async with agency.resources.db.read_connection(None) as connection:
            waiting = text(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            while not (await connection.execute(waiting)).scalar_one():
                assert not asking.done()
        query = select(Community.id).with_for_update(nowait=True)
        assert await worker.scalar(query) is not None
    await asking
