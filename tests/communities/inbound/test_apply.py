"""Applying events: counters, comments counted from events, gaps, and that a failure concerns one event only."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.communities.inbound import reconcile, store
from app.inquiries import intake
from app.kit.clock import SetClock
from app.kit.db import actor_of
from app.platforms.capabilities import Event, MessageChange
from app.platforms.contract import MessageKind, Metric, PostMetrics, RemoteMessage, RemotePerson, RemotePost, Transient
from app.posts import matching
from tests.communities.conftest import HOUR, START, World
from tests.communities.inbound.conftest import InboundSetup

MINUTE = timedelta(minutes=1)


def posted(number: int, at: datetime = START) -> RemotePost:
    """A post of the community."""
    post_id = f"p{number}"
    return RemotePost(post_id, f"https://fake.test/{post_id}", f"Post {number}", at, PostMetrics(post_id, {}))


def comment(number: int, at: datetime = START, post: str = "p1", *, ours: bool = False) -> RemoteMessage:
    """A comment under a post."""
    author = RemotePerson("a" if ours else "olga", "", is_community=ours)
    return RemoteMessage(f"c{number}", f"{post} olga", MessageKind.COMMENT, author, "Where?", at, post_id=post)


async def snapshots(inbound: InboundSetup) -> list[tuple[Any, ...]]:
    """All stored snapshots of counters."""
    return await inbound.rows(
        "SELECT p.external_id, s.at, s.views, s.reactions, s.comments FROM post_snapshot s "
        "JOIN publication p ON p.workspace_id = s.workspace_id AND p.id = s.publication_id ORDER BY 1, 2"
    )


async def test_what_an_event_changes_is_changed_by_the_platform(
    inbound: InboundSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    actors: list[str] = []

    async def record_actor(session: AsyncSession, *_: object) -> None:
        actors.append(str(actor_of(session)))

    for module, function in ((matching, "match_seen"), (intake, "store")):
        monkeypatch.setattr(module, function, record_actor)
    community_id = await inbound.connect("a")
    actors.clear()
    await inbound.deliver(await inbound.open(community_id), Event("1", "a", posts=(posted(1),), messages=(comment(1),)))
    assert actors == ["platform:fake", "platform:fake"]


# ── counters ──────────────────────────────────────────────────────────────────────────────────────


async def test_counters_are_kept_as_of_the_platforms_moment(inbound: InboundSetup, clock: SetClock) -> None:
    path = await inbound.open(await inbound.connect("a"))
    await inbound.deliver(path, Event("post", "a", posts=(posted(1),)))
    clock.advance(HOUR)

    def event_of(event_id: str, minutes: int, **counters: int) -> Event:
        metrics = PostMetrics("p1", {Metric(name): value for name, value in counters.items()})
        return Event(event_id, "a", metrics=(metrics,), at=START + minutes * MINUTE)

    unknown = Event("u", "a", metrics=(PostMetrics("p9", {Metric.VIEWS: 1}),), at=START)
    later, early, same = (
        event_of("1", 30, reactions=5),
        event_of("2", 10, reactions=3, views=40),
        event_of("3", 30, views=90),
    )
    await inbound.deliver(path, later, same, unknown)
    await inbound.deliver(path, early)
    await inbound.deliver(path, later)
    assert await snapshots(inbound) == [
        ("p1", START + 10 * MINUTE, 40, 3, None),
        ("p1", START + 30 * MINUTE, 90, 5, None),
    ]
    assert await inbound.rows("SELECT sum(reactions), sum(views), sum(comments) FROM rollup_day") == [(5, 90, None)]
    ((missing,),) = await inbound.rows("SELECT missing FROM post_last")
    assert missing == dict.fromkeys(("reach", "shares", "quotes", "saves"), "unsupported"), (
        "a counter that was not pushed is not missing"
    )


async def test_a_moment_far_in_the_future_is_not_the_newest_for_ever(inbound: InboundSetup, clock: SetClock) -> None:
    path = await inbound.open(await inbound.connect("a"))
    await inbound.deliver(path, Event("post", "a", posts=(posted(1),)))

    def event_of(event_id: str, at: datetime, reactions: int) -> Event:
        return Event(event_id, "a", metrics=(PostMetrics("p1", {Metric.REACTIONS: reactions}),), at=at)

    ahead = START + MINUTE
    await inbound.deliver(path, event_of("2", ahead, 2), event_of("1", ahead - timedelta(seconds=1), 1))
    assert [row[3] for row in await snapshots(inbound)] == [1, 2], "a clock may be a little ahead: its order counts"
    await inbound.deliver(path, event_of("3", START + timedelta(days=900), 3))
    clock.advance(HOUR)
    await inbound.deliver(path, event_of("4", START + HOUR, 4))
    assert await inbound.rows("SELECT reactions, at FROM post_last") == [(4, START + HOUR)]


async def test_a_post_that_an_event_deletes_is_gone(inbound: InboundSetup) -> None:
    path = await inbound.open(await inbound.connect("a"))
    await inbound.deliver(path, Event("1", "a", posts=(posted(1),)))
    await inbound.deliver(path, Event("2", "a", metrics=(PostMetrics("p1", {}, gone=True),), at=START + MINUTE))
    assert await inbound.rows("SELECT gone_at, measure_at FROM publication") == [(START + MINUTE, None)]
    assert await snapshots(inbound) == []


async def test_comments_that_the_platform_does_not_count_are_counted_by_us(
    inbound: InboundSetup, clock: SetClock
) -> None:
    inbound.allow(counted_metrics=frozenset({Metric.COMMENTS}))
    path = await inbound.open(await inbound.connect("a"))
    await inbound.deliver(path, Event("p", "a", posts=(posted(1),)))
    assert await snapshots(inbound) == [("p1", START, None, None, 0)], "it appeared without any"
    clock.advance(MINUTE)
    one, two = comment(1), comment(2, ours=True)
    await inbound.deliver(path, Event("1", "a", messages=(one,)), Event("2", "a", messages=(one, two)))
    clock.advance(MINUTE)
    edited = replace(one, text="Where to?", edited_at=START + MINUTE)
    await inbound.deliver(path, Event("3", "a", messages=(edited,)), Event("1", "a", messages=(one,)))
    await inbound.deliver(
        path, Event("4", "a", messages=(comment(3, post="p9"), comment(4, START - timedelta(days=31))))
    )
    direct = replace(comment(5), kind=MessageKind.MESSAGE)
    await inbound.deliver(
        path, Event("5", "a", messages=(direct,)), Event("6", "a", messages=(replace(comment(6), deleted=True),))
    )
    assert (await snapshots(inbound))[1:] == [("p1", START + MINUTE, None, None, 2)]
    clock.advance(MINUTE)
    await inbound.deliver(path, Event("7", "a", messages=(comment(7),)))
    assert (await snapshots(inbound))[2:] == [("p1", START + 3 * MINUTE, None, None, 3)]
    assert await inbound.rows("SELECT comments FROM publication") == [(3,)]
    assert await inbound.rows("SELECT sum(comments) FROM rollup_day WHERE source = 'observed'") == [(3,)]


async def test_where_the_platform_counts_them_we_do_not(inbound: InboundSetup) -> None:
    path = await inbound.open(await inbound.connect("a"))
    await inbound.deliver(path, Event("1", "a", posts=(posted(1),), messages=(comment(1),)))
    assert await snapshots(inbound) == []


# ── one failure is one ────────────────────────────────────────────────────────────────────────────


async def test_an_event_that_cannot_be_applied_holds_up_no_other(
    inbound: InboundSetup, world: World, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await inbound.connect("a"), await inbound.connect("b")
    path = await inbound.open(a)
    real = intake.store

    async def fails(session: Any, ref: Any, seen: Sequence[Any]) -> None:
        await real(session, ref, seen)
        if any(message.external_id == "m2" for message, _ in seen):
            raise RuntimeError("this one")

    events = [
        Event(f"e{n}", "b" if n == 4 else "a", messages=(world.message_from("olga", n, START),)) for n in range(5)
    ]
    with monkeypatch.context() as broken:
        broken.setattr(intake, "store", fails)
        await inbound.deliver(path, *events)
        assert await inbound.messages() == [(a, "m0"), (a, "m1"), (a, "m3"), (b, "m4")]
        await inbound.deliver(path, Event("e5", "a", messages=(world.message_from("olga", 5, START),)))
        assert (a, "m5") in await inbound.messages(), "nor those that come later"
    assert await inbound.rows("SELECT event_id FROM inbound_event WHERE status = 'pending'") == [("e2",)]
    clock.advance(HOUR)
    await inbound.agency.work(store.APPLY)
    assert (a, "m2") in await inbound.messages()
    assert await inbound.rows("SELECT count(*) FROM inbound_event WHERE status = 'pending'") == [(0,)]


async def test_one_run_takes_along_what_was_stored_meanwhile(
    inbound: InboundSetup, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One ring of the doorbell may stand for several commits."""
    from app.kit import jobs

    path = await inbound.open(await inbound.connect("a"))
    for n in range(5):
        await inbound.call(path, Event(f"e{n}", "a", messages=(world.message_from("olga", n, START),)))
    first, *others = await inbound.agency.due(store.APPLY)
    assert len(others) == 4
    await jobs.perform(inbound.agency.resources, first)
    assert len(await inbound.messages()) == 5
    assert await inbound.agency.due(store.APPLY) == []


# ── what it missed ────────────────────────────────────────────────────────────────────────────────


async def gaps(inbound: InboundSetup, community_id: str) -> tuple[int | None, str | None]:
    hook_health = await inbound.health(community_id)
    return hook_health["gaps"], hook_health["last_gap_at"]


async def poll(inbound: InboundSetup, community_id: str) -> None:
    await inbound.agency.post(f"/v1/communities/{community_id}/sync", status=202)
    await inbound.agency.work("communities.poll")


async def test_what_a_poll_finds_first_counts_as_missed(inbound: InboundSetup, world: World, clock: SetClock) -> None:
    """The control: items that were delivered, are older than the hook, or of kinds it never delivered, are no gaps."""
    a = await inbound.connect("a")
    path = await inbound.open(a)
    await inbound.deliver(path, Event("1", "a", messages=(world.message_from("olga", 1, START),)))
    clock.advance(HOUR)
    old, received, ours = (
        world.message_from("olga", 0, START - MINUTE),
        world.message_from("olga", 2, START + MINUTE),
        comment(3, START + HOUR),
    )
    undelivered = world.message_from("olga", 4, START + 30 * MINUTE)
    await inbound.deliver(path, Event("2", "a", messages=(received,)))
    world.messages = [old, world.message_from("olga", 1, START), received, undelivered, ours]
    world.posts = [world.post(1, START + MINUTE, 0)]
    await poll(inbound, a)
    assert await gaps(inbound, a) == (1, "2026-10-15T12:30:00Z")
    await poll(inbound, a)
    assert await inbound.rows("SELECT external_id, post, kind, sent_at, found_at FROM inbound_gap") == [
        ("m4", False, "message", START + 30 * MINUTE, START + HOUR)
    ], "once, however often it is found"
    await inbound.deliver(path, Event("3", "a", posts=(posted(9, START + HOUR),)))
    clock.advance(HOUR)
    world.posts = [world.post(2, START + 2 * HOUR - 10 * MINUTE, 0), *world.posts]
    await poll(inbound, a)
    assert (await gaps(inbound, a))[0] == 2, "posts are delivered by now"
    clock.advance(reconcile.WINDOW)
    assert await gaps(inbound, a) == (0, None)


async def test_an_event_a_little_later_is_not_missed(inbound: InboundSetup, world: World, clock: SetClock) -> None:
    a = await inbound.connect("a")
    path = await inbound.open(a)
    await inbound.deliver(path, Event("1", "a", messages=(world.message_from("olga", 1, START),)))
    clock.advance(HOUR)
    recent = world.message_from("olga", 2, START + HOUR - MINUTE)
    world.messages = [recent]
    await poll(inbound, a)
    assert await gaps(inbound, a) == (0, None), "its event may still come"
    clock.advance(reconcile.GRACE)
    assert (await gaps(inbound, a))[0] == 1
    await inbound.deliver(path, Event("2", "a", messages=(recent,)))
    assert await gaps(inbound, a) == (0, None)
    clock.advance(store.RETENTION - timedelta(days=1))
    await poll(inbound, a)
    assert await inbound.rows("SELECT count(*) FROM inbound_gap") == [(0,)]


async def test_pending_events_are_not_missed(inbound: InboundSetup, world: World, clock: SetClock) -> None:
    a = await inbound.connect("a")
    path = await inbound.open(a)
    await inbound.deliver(path, Event("1", "a", messages=(world.message_from("olga", 1, START),)))
    clock.advance(HOUR)
    message = world.message_from("olga", 2, START + 30 * MINUTE)
    await inbound.call(path, Event("2", "a", messages=(message,)))
    world.messages = [message]
    await poll(inbound, a)
    assert await gaps(inbound, a) == (0, None)


async def test_missed_is_null_for_a_hook_that_received_nothing(
    inbound: InboundSetup, world: World, clock: SetClock
) -> None:
    """A hook that never received an event has an unknown number of gaps, not 0."""
    a = await inbound.connect("a")
    path = await inbound.open(a)
    clock.advance(HOUR)
    world.messages = [world.message_from("olga", 1, START + MINUTE)]
    await poll(inbound, a)
    assert await gaps(inbound, a) == (None, None)
    assert (await inbound.health(a))["last_event_at"] is None
    await inbound.deliver(path, Event("1", "a", messages=(world.message_from("olga", 2, START + HOUR),)))
    assert await gaps(inbound, a) == (0, None)


async def test_without_a_hook_nothing_is_missed(inbound: InboundSetup, world: World, clock: SetClock) -> None:
    a = await inbound.connect("a")
    clock.advance(HOUR)
    world.messages = [world.message_from("olga", 1, START)]
    await poll(inbound, a)
    assert await inbound.rows("SELECT count(*) FROM inbound_gap") == [(0,)]
    assert await inbound.health(a) is None


def test_an_event_is_written_down_whole() -> None:
    event = Event(
        "1",
        "a",
        (comment(1),),
        (posted(1),),
        ("c9",),
        (PostMetrics("p1", {Metric.VIEWS: 2}, gone=False),),
        START,
        changes=(MessageChange("c1", START, "Where to?", hidden=True),),
    )
    assert store.EVENT.validate_json(store.EVENT.dump_json(event)) == event


async def test_edits_and_hidden_comments_change_what_is_stored(inbound: InboundSetup, clock: SetClock) -> None:
    """An event may name the message alone, and events arrive in any order."""
    path = await inbound.open(await inbound.connect("a"))
    at = clock.now()
    later, latest = at + timedelta(minutes=1), at + timedelta(minutes=2)

    def event(name: str, *changes: MessageChange) -> Event:
        return Event(name, "a", changes=changes)

    await inbound.deliver(path, Event("new", "a", messages=(replace(comment(1, at), external_id="1"),)))
    await inbound.deliver(path, event("second", MessageChange("1", latest, text="Three cups, please")))
    await inbound.deliver(path, event("first", MessageChange("1", later, text="Two cups, please")))
    await inbound.deliver(
        path, event("hide", MessageChange("1", later, hidden=True), MessageChange("9", later, text="x"))
    )
    await inbound.deliver(path, event("again", MessageChange("1", later, text="Two cups, please")))
    (inquiry,) = (await inbound.agency.get("/v1/inquiries"))["data"]
    assert inquiry["preview"] == "Three cups, please"
    (visible,) = (await inbound.agency.get(f"/v1/inquiries/{inquiry['id']}"))["messages"]
    assert (visible["text"], visible["hidden"]) == ("Three cups, please", True)
    assert visible["edited_at"] == latest.isoformat().replace("+00:00", "Z")
    await inbound.deliver(path, event("show", MessageChange("1", latest, hidden=False)))
    (visible,) = (await inbound.agency.get(f"/v1/inquiries/{inquiry['id']}"))["messages"]
    assert visible["hidden"] is False


async def test_a_message_that_an_event_only_announces_is_read(inbound: InboundSetup, clock: SetClock) -> None:
    """Once, however often it is announced; later, if the platform is unwell; not where it is gone, or too old."""
    path = await inbound.open(await inbound.connect("a"))
    mention = replace(comment(1, clock.now()), kind=MessageKind.MENTION, thread_id="mention-1", post_id=None)
    old = replace(mention, external_id="c2", thread_id="mention-2", sent_at=clock.now() - timedelta(days=4000))
    inbound.fake_platform.announced = {"m1": [Transient("unwell"), mention], "m2": [old]}
    await inbound.deliver(path, Event("1", "a", announced=("m1", "m2", "gone")), Event("2", "a", announced=("m1",)))
    assert await inbound.messages() == []
    for _ in range(2):
        await inbound.agency.work(store.READ_ANNOUNCED)
        clock.advance(HOUR)
    assert [external_id for _, external_id in await inbound.messages()] == ["c1"]
    (inquiry,) = (await inbound.agency.get("/v1/inquiries"))["data"]
    assert (inquiry["channel"], inquiry["preview"]) == ("mention", "Where?")
    assert await inbound.agency.due(store.READ_ANNOUNCED) == []
