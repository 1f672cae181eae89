"""Calls to hooks: their communities, their verification, and that acknowledged events are stored."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from app.communities.events import CommunityRef
from app.communities.inbound import ingest, store, subscriptions
from app.kit.actors import SYSTEM
from app.kit.clock import SetClock
from app.platforms.capabilities import Event
from tests.communities.conftest import START, World
from tests.communities.inbound.conftest import InboundSetup
from tests.conftest import Agency


def message_from(world: World, number: int, account: str | None, event_id: str | None = None) -> Event:
    """An event with a customer's message."""
    return Event(event_id or f"e{number}", account, messages=(world.message_from("olga", number, START),))


# ── whom it is about ──────────────────────────────────────────────────────────────────────────────


async def test_one_call_has_events_of_several_communities(inbound: InboundSetup, world: World) -> None:
    a, b = await inbound.connect("a"), await inbound.connect("b")
    path = await inbound.open(a)
    before = store.EVENTS.labels("no community")._value.get()
    await inbound.deliver(
        path,
        message_from(world, 1, "a"),
        message_from(world, 2, "b"),
        message_from(world, 3, "b talks"),
        message_from(world, 4, "c"),
        message_from(world, 5, None),
    )
    assert await inbound.messages() == [(a, "m1"), (b, "m2"), (b, "m3"), (a, "m5")]
    assert store.EVENTS.labels("no community")._value.get() == before + 1
    assert await inbound.rows("SELECT count(*) FROM inbound_event") == [(4,)]

    async def last_event_at() -> list[Any]:
        seen = [await inbound.agency.get(f"/v1/communities/{community_id}/health") for community_id in (a, b)]
        return [one["last_event_at"] for one in seen]

    assert await last_event_at() == ["2026-10-15T12:00:00Z"] * 2
    assert (await inbound.agency.http.delete(f"/v1/communities/{a}/hook")).status_code == 204
    assert await last_event_at() == [None, None], "no hook delivers events about either"


async def test_another_agencys_community_of_that_id_is_never_touched(
    inbound: InboundSetup, world: World, rival: Agency
) -> None:
    a = await inbound.connect("a")
    project = (await rival.post("/v1/projects", {"title": "P", "timezone": "UTC"}))["id"]
    theirs = InboundSetup(rival, inbound.stranger, project, inbound.adapter_class, secret="theirs")
    await theirs.open(await theirs.connect("b"))
    await theirs.connect("a")
    path = await inbound.open(a)
    await inbound.deliver(path, message_from(world, 1, "b"), message_from(world, 2, "a"))
    await rival.work(store.APPLY)
    assert await inbound.messages() == [(a, "m2")]
    assert await theirs.messages() == []
    refused = await theirs.call(path, message_from(world, 3, "a"))
    assert (refused.status_code, refused.json()["code"]) == (403, "hook-not-verified"), "nor do their secrets fit"


@pytest.mark.parametrize("account", ["b", "b talks"])
async def test_a_hook_delivers_for_communities_with_the_same_token(
    inbound: InboundSetup, world: World, account: str
) -> None:
    inbound.allow(hook_of_app=False)
    a, b, c = await inbound.connect("a", "one"), await inbound.connect("b", "one"), await inbound.connect("c", "two")
    path = await inbound.open(a)
    await inbound.deliver(path, message_from(world, 1, account), message_from(world, 2, "a talks"))
    assert await inbound.messages() == [(b, "m1"), (a, "m2")]
    for stranger in ("c", "c talks", "d"):
        answer = await inbound.call(path, message_from(world, 3, "a"), message_from(world, 4, stranger))
        assert (answer.status_code, answer.json()["code"]) == (403, "hook-of-another")
    assert len(await inbound.messages()) == 2
    assert c


async def test_an_id_of_its_own_goes_before_another_name_of_the_hooks_community(
    inbound: InboundSetup, world: World
) -> None:
    """A channel's discussion group may be connected too; then its events are its own, from a stream and from a hook."""
    inbound.allow(hook_of_app=False)
    a, group = await inbound.connect("a", "one"), await inbound.connect("a talks", "one")
    path = await inbound.open(a)
    await inbound.deliver(path, message_from(world, 1, "a talks"), message_from(world, 2, "a"))
    assert await inbound.messages() == [(group, "m1"), (a, "m2")]
    b, _ = await inbound.connect("b", "one"), await inbound.connect("b talks", "another")
    path = await inbound.open(b)
    await inbound.deliver(path, message_from(world, 3, "b talks"))
    assert (await inbound.messages())[2:] == [(b, "m3")], (
        "it may not deliver for a community with another token: then the event is its own"
    )


async def test_an_event_with_a_very_long_id_is_one_event(inbound: InboundSetup, world: World) -> None:
    """An index has a limit for the size of an entry."""
    path = await inbound.open(await inbound.connect("a"))
    named = random.Random(7).randbytes(4_000).hex()
    await inbound.deliver(
        path, message_from(world, 1, "a", event_id=named), message_from(world, 2, "a", event_id=named + "0")
    )
    await inbound.deliver(path, message_from(world, 3, "a", event_id=named))
    assert [external_id for _, external_id in await inbound.messages()] == ["m1", "m2"]


async def test_a_stream_has_events_of_all_communities_of_its_token(inbound: InboundSetup, world: World) -> None:
    a, b = await inbound.connect("a"), await inbound.connect("b")
    ((workspace_id, project_id),) = await inbound.rows("SELECT DISTINCT workspace_id, project_id FROM community")
    ((community_id,),) = await inbound.rows("SELECT id FROM community WHERE external_id = 'a'")
    ref = CommunityRef(workspace_id, project_id, community_id, "fake", "UTC")
    events = [message_from(world, 1, None), message_from(world, 2, "b"), message_from(world, 3, "c"), Event(None, "b")]
    for new in (2, 0):
        async with inbound.agency.resources.transaction(inbound.agency.workspace_id) as session:
            assert await store.store_stream_events(session, ref, events) == new
    await inbound.agency.work(store.APPLY)
    assert await inbound.messages() == [(a, "m1"), (b, "m2")]
    path = await inbound.open(a)
    await inbound.deliver(path, message_from(world, 9, "b", event_id="e2"))
    assert len(await inbound.messages()) == 2, "one event has one effect, whichever way it comes"


# ── who is believed ───────────────────────────────────────────────────────────────────────────────


async def test_without_its_header_a_call_is_refused(inbound: InboundSetup, world: World) -> None:
    path = await inbound.open(await inbound.connect("a"))
    for wrong in ({"x-signature": ""}, {"x-signature": "0" * 64}):
        answer = await inbound.call(path, message_from(world, 1, "a"), **wrong)
        assert (answer.status_code, answer.json()["code"]) == (403, "hook-not-verified")
    answer = await inbound.stranger.post(path, content=b"[]")
    assert (answer.status_code, answer.json()["code"]) == (403, "hook-not-verified")
    assert await inbound.rows("SELECT count(*) FROM inbound_event") == [(0,)]
    assert (await inbound.call(path, message_from(world, 1, "a"))).status_code == 200, "the control"


async def test_a_challenge_is_answered(inbound: InboundSetup) -> None:
    path = await inbound.open(await inbound.connect("a"), verify="xyz")
    right = await inbound.stranger.get(path, params={"verify": "xyz", "challenge": "1158201444"})
    assert (right.status_code, right.text) == (200, "1158201444")
    assert right.headers["content-type"].startswith("text/plain")
    wrong = await inbound.stranger.get(path, params={"verify": "xyy", "challenge": "1158201444"})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "hook-not-verified")


# ── one commit for many ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of events in each commit; commits are serialised."""
    counts: list[int] = []
    real = store.store

    async def counted(executor: Any, workspace_id: Any, events: Any, at: Any) -> Any:
        counts.append(len(events))
        return await real(executor, workspace_id, events, at)

    monkeypatch.setattr(store, "store", counted)
    monkeypatch.setattr(ingest, "MAX_COMMITS", 1)
    return counts


async def test_calls_that_come_meanwhile_share_a_commit(
    inbound: InboundSetup, world: World, commits: list[int]
) -> None:
    path = await inbound.open(await inbound.connect("a"))
    answers = await asyncio.gather(*(inbound.call(path, message_from(world, n, "a")) for n in range(100)))
    assert {answer.text for answer in answers} == {"EVENT_RECEIVED"}
    assert sum(commits) == 100
    assert len(commits) < 20
    await inbound.agency.work(store.APPLY)
    assert len(await inbound.messages()) == 100
    assert await inbound.agency.due(store.APPLY) == []


async def test_an_event_that_cannot_be_stored_fails_alone(
    inbound: InboundSetup, world: World, commits: list[int]
) -> None:
    """Its id contains a character that PostgreSQL does not store in a text."""
    path = await inbound.open(await inbound.connect("a"))
    events = [message_from(world, n, "a", event_id="\0" if n == 7 else None) for n in range(20)]
    answers = await asyncio.gather(*(inbound.call(path, event) for event in events))
    assert [n for n, answer in enumerate(answers) if answer.status_code != 200] == [7]
    assert max(commits) > 1, "it was in the company of others"
    await inbound.agency.work(store.APPLY)
    assert len(await inbound.messages()) == 19


async def test_a_cancelled_caller_cancels_no_load(
    inbound: InboundSetup, world: World, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await inbound.open(await inbound.connect("a"))
    entered, go = asyncio.Event(), asyncio.Event()
    real = store.store

    async def slow(*args: Any) -> Any:
        entered.set()
        await go.wait()
        return await real(*args)

    monkeypatch.setattr(store, "store", slow)
    calls = [asyncio.create_task(inbound.call(path, message_from(world, 0, "a")))]
    await entered.wait()
    calls += [asyncio.create_task(inbound.call(path, message_from(world, n, "a"))) for n in range(1, 5)]
    for _ in range(1000):
        await asyncio.sleep(0)
    assert len(ingest.inbound_ingest(inbound.agency.resources).writer.queued(inbound.agency.workspace_id)) == 4
    # One that is being stored, and the first of the queued ones.
    calls[0].cancel()
    calls[1].cancel()
    go.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, True, False, False, False]
    assert {getattr(answer, "text", None) for answer in answers[2:]} == {"EVENT_RECEIVED"}
    await inbound.agency.work(store.APPLY)
    assert {"m2", "m3", "m4"} <= {external_id for _, external_id in await inbound.messages()}


async def test_an_acknowledgement_comes_after_the_commit(
    inbound: InboundSetup, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await inbound.open(await inbound.connect("a"))
    seen: list[Any] = []
    real = store.store

    async def watched(*args: Any) -> Any:
        stored = await real(*args)
        await asyncio.sleep(0.05)
        seen.append(call.done())
        return stored

    monkeypatch.setattr(store, "store", watched)
    call = asyncio.create_task(inbound.call(path, message_from(world, 1, "a")))
    assert (await call).status_code == 200
    assert seen == [False]
    assert await inbound.rows("SELECT count(*) FROM inbound_event") == [(1,)]


async def test_too_much_at_once_is_refused(
    inbound: InboundSetup, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await inbound.open(await inbound.connect("a"))
    with monkeypatch.context() as small:
        small.setattr(ingest.inbound_ingest(inbound.agency.resources).writer, "_max_queued", 0)
        answer = await inbound.call(path, message_from(world, 1, "a"))
    assert (answer.status_code, answer.json()["code"]) == (503, "too-many-events")
    assert (await inbound.call(path, message_from(world, 1, "a"))).status_code == 200


# ── what a process remembers ──────────────────────────────────────────────────────────────────────


async def test_what_changed_elsewhere_is_known_within_seconds(
    inbound: InboundSetup, world: World, clock: SetClock
) -> None:
    """Another process does not forget at once, as this one does."""
    a = await inbound.connect("a")
    path = await inbound.open(a)
    resources = inbound.agency.resources
    assert (await inbound.call(path, message_from(world, 1, "a"))).status_code == 200
    async with resources.transaction(inbound.agency.workspace_id) as session:
        await subscriptions.close_hook(session, SYSTEM, community_id=(await _ids(inbound))[0])
    clock.advance(timedelta(seconds=ingest.CACHE_SECONDS - 0.01))
    assert (await inbound.call(path, message_from(world, 2, "a"))).status_code == 200
    clock.advance(timedelta(seconds=0.02))
    assert (await inbound.call(path, message_from(world, 3, "a"))).status_code == 404


async def _ids(inbound: InboundSetup) -> list[Any]:
    return [community_id for (community_id,) in await inbound.rows("SELECT id FROM community")]


async def test_an_event_before_a_hook_was_opened_stays_one(
    inbound: InboundSetup, world: World, clock: SetClock
) -> None:
    a = await inbound.connect("a")
    await inbound.deliver(await inbound.open(a), message_from(world, 1, "a"))
    await inbound.agency.http.delete(f"/v1/communities/{a}/hook")
    clock.advance(timedelta(minutes=1))
    await inbound.deliver(await inbound.open(a), message_from(world, 2, "a", event_id="e1"))
    assert await inbound.messages() == [(a, "m1")]
