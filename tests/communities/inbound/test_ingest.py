"""Calls to hooks: which communities they are about, verification, and that what is acknowledged is stored."""

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
from tests.communities.inbound.conftest import Town
from tests.conftest import Agency


def says(world: World, number: int, account: str | None, event_id: str | None = None) -> Event:
    """A customer wrote something."""
    return Event(event_id or f"e{number}", account, messages=(world.says("olga", number, START),))


# ── whom it is about ──────────────────────────────────────────────────────────────────────────────


async def test_one_call_has_events_of_several_communities(town: Town, world: World) -> None:
    a, b = await town.connect("a"), await town.connect("b")
    path = await town.open(a)
    before = store.EVENTS.labels("no community")._value.get()
    await town.deliver(
        path,
        says(world, 1, "a"),
        says(world, 2, "b"),
        says(world, 3, "b talks"),
        says(world, 4, "c"),
        says(world, 5, None),
    )
    assert await town.messages() == [(a, "m1"), (b, "m2"), (b, "m3"), (a, "m5")]
    assert store.EVENTS.labels("no community")._value.get() == before + 1
    assert await town.rows("SELECT count(*) FROM inbound_event") == [(4,)]

    async def last_event_at() -> list[Any]:
        seen = [await town.agency.get(f"/v1/communities/{community_id}/health") for community_id in (a, b)]
        return [one["last_event_at"] for one in seen]

    assert await last_event_at() == ["2026-10-15T12:00:00.000000Z"] * 2
    assert (await town.agency.http.delete(f"/v1/communities/{a}/hook")).status_code == 204
    assert await last_event_at() == [None, None], "nobody tells of either any more"


async def test_another_agencys_community_of_that_id_is_never_touched(town: Town, world: World, rival: Agency) -> None:
    a = await town.connect("a")
    project = (await rival.post("/v1/projects", {"name": "P", "timezone": "UTC"}))["id"]
    theirs = Town(rival, town.stranger, project, town.kind, secret="theirs")
    await theirs.open(await theirs.connect("b"))
    await theirs.connect("a")
    path = await town.open(a)
    await town.deliver(path, says(world, 1, "b"), says(world, 2, "a"))
    await rival.work(store.APPLY)
    assert await town.messages() == [(a, "m2")]
    assert await theirs.messages() == []
    refused = await theirs.call(path, says(world, 3, "a"))
    assert (refused.status_code, refused.json()["code"]) == (403, "hook-not-verified"), "nor do their secrets fit"


@pytest.mark.parametrize("account", ["b", "b talks"])
async def test_a_hook_delivers_for_communities_with_the_same_token(town: Town, world: World, account: str) -> None:
    town.allow(hook_of_app=False)
    a, b, c = await town.connect("a", "one"), await town.connect("b", "one"), await town.connect("c", "two")
    path = await town.open(a)
    await town.deliver(path, says(world, 1, account), says(world, 2, "a talks"))
    assert await town.messages() == [(b, "m1"), (a, "m2")]
    for stranger in ("c", "c talks", "d"):
        answer = await town.call(path, says(world, 3, "a"), says(world, 4, stranger))
        assert (answer.status_code, answer.json()["code"]) == (403, "hook-of-another")
    assert len(await town.messages()) == 2
    assert c


async def test_an_id_of_its_own_goes_before_another_name_of_the_hooks_community(town: Town, world: World) -> None:
    """A channel's discussion group may be connected too; a stream takes it for itself, and so does a hook."""
    town.allow(hook_of_app=False)
    a, group = await town.connect("a", "one"), await town.connect("a talks", "one")
    path = await town.open(a)
    await town.deliver(path, says(world, 1, "a talks"), says(world, 2, "a"))
    assert await town.messages() == [(group, "m1"), (a, "m2")]
    b, _ = await town.connect("b", "one"), await town.connect("b talks", "another")
    path = await town.open(b)
    await town.deliver(path, says(world, 3, "b talks"))
    assert (await town.messages())[2:] == [(b, "m3")], "of one with another token it may not tell: then it is its own"


async def test_an_event_with_a_very_long_id_is_one_event(town: Town, world: World) -> None:
    """An index takes no such thing."""
    path = await town.open(await town.connect("a"))
    named = random.Random(7).randbytes(4_000).hex()
    await town.deliver(path, says(world, 1, "a", event_id=named), says(world, 2, "a", event_id=named + "0"))
    await town.deliver(path, says(world, 3, "a", event_id=named))
    assert [external_id for _, external_id in await town.messages()] == ["m1", "m2"]


async def test_a_stream_has_events_of_all_communities_of_its_token(town: Town, world: World) -> None:
    a, b = await town.connect("a"), await town.connect("b")
    ((workspace_id, project_id),) = await town.rows("SELECT DISTINCT workspace_id, project_id FROM community")
    ((community_id,),) = await town.rows("SELECT id FROM community WHERE external_id = 'a'")
    ref = CommunityRef(workspace_id, project_id, community_id, "fake", "UTC")
    events = [says(world, 1, None), says(world, 2, "b"), says(world, 3, "c"), Event(None, "b")]
    for new in (2, 0):
        async with town.agency.resources.transaction(town.agency.workspace_id) as session:
            assert await store.store_stream_events(session, ref, events) == new
    await town.agency.work(store.APPLY)
    assert await town.messages() == [(a, "m1"), (b, "m2")]
    path = await town.open(a)
    await town.deliver(path, says(world, 9, "b", event_id="e2"))
    assert len(await town.messages()) == 2, "one event has one effect, whichever way it comes"


# ── who is believed ───────────────────────────────────────────────────────────────────────────────


async def test_without_its_header_a_call_is_refused(town: Town, world: World) -> None:
    path = await town.open(await town.connect("a"))
    for wrong in ({"x-signature": ""}, {"x-signature": "0" * 64}):
        answer = await town.call(path, says(world, 1, "a"), **wrong)
        assert (answer.status_code, answer.json()["code"]) == (403, "hook-not-verified")
    answer = await town.stranger.post(path, content=b"[]")
    assert (answer.status_code, answer.json()["code"]) == (403, "hook-not-verified")
    assert await town.rows("SELECT count(*) FROM inbound_event") == [(0,)]
    assert (await town.call(path, says(world, 1, "a"))).status_code == 200, "the control"


async def test_a_challenge_is_answered(town: Town) -> None:
    path = await town.open(await town.connect("a"), verify="xyz")
    right = await town.stranger.get(path, params={"verify": "xyz", "challenge": "1158201444"})
    assert (right.status_code, right.text) == (200, "1158201444")
    assert right.headers["content-type"].startswith("text/plain")
    wrong = await town.stranger.get(path, params={"verify": "xyy", "challenge": "1158201444"})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "hook-not-verified")


# ── one commit for many ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many events each commit held; one commit at a time."""
    found: list[int] = []
    real = store.store

    async def counted(executor: Any, workspace_id: Any, events: Any, at: Any) -> Any:
        found.append(len(events))
        return await real(executor, workspace_id, events, at)

    monkeypatch.setattr(store, "store", counted)
    monkeypatch.setattr(ingest, "MAX_COMMITS", 1)
    return found


async def test_calls_that_come_meanwhile_share_a_commit(town: Town, world: World, commits: list[int]) -> None:
    path = await town.open(await town.connect("a"))
    answers = await asyncio.gather(*(town.call(path, says(world, n, "a")) for n in range(100)))
    assert {answer.text for answer in answers} == {"EVENT_RECEIVED"}
    assert sum(commits) == 100
    assert len(commits) < 20
    await town.agency.work(store.APPLY)
    assert len(await town.messages()) == 100
    assert await town.agency.due(store.APPLY) == []


async def test_an_event_that_cannot_be_stored_fails_alone(town: Town, world: World, commits: list[int]) -> None:
    """Its id holds what PostgreSQL takes for no text."""
    path = await town.open(await town.connect("a"))
    events = [says(world, n, "a", event_id="\0" if n == 7 else None) for n in range(20)]
    answers = await asyncio.gather(*(town.call(path, event) for event in events))
    assert [n for n, answer in enumerate(answers) if answer.status_code != 200] == [7]
    assert max(commits) > 1, "it was in the company of others"
    await town.agency.work(store.APPLY)
    assert len(await town.messages()) == 19


async def test_a_cancelled_caller_cancels_no_load(
    town: Town, world: World, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await town.open(await town.connect("a"))
    entered, go = asyncio.Event(), asyncio.Event()
    real = store.store

    async def slow(*given: Any) -> Any:
        entered.set()
        await go.wait()
        return await real(*given)

    monkeypatch.setattr(store, "store", slow)
    calls = [asyncio.create_task(town.call(path, says(world, 0, "a")))]
    await entered.wait()
    calls += [asyncio.create_task(town.call(path, says(world, n, "a"))) for n in range(1, 5)]
    for _ in range(1000):
        await asyncio.sleep(0)
    assert len(ingest.inbound_ingest(town.agency.resources).writer.queued(town.agency.workspace_id)) == 4
    # One that is being stored, and the first of those that will be next.
    calls[0].cancel()
    calls[1].cancel()
    go.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, True, False, False, False]
    assert {getattr(answer, "text", None) for answer in answers[2:]} == {"EVENT_RECEIVED"}
    await town.agency.work(store.APPLY)
    assert {"m2", "m3", "m4"} <= {external_id for _, external_id in await town.messages()}


async def test_an_acknowledgement_comes_after_the_commit(
    town: Town, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await town.open(await town.connect("a"))
    seen: list[Any] = []
    real = store.store

    async def watched(*given: Any) -> Any:
        stored = await real(*given)
        await asyncio.sleep(0.05)
        seen.append(call.done())
        return stored

    monkeypatch.setattr(store, "store", watched)
    call = asyncio.create_task(town.call(path, says(world, 1, "a")))
    assert (await call).status_code == 200
    assert seen == [False]
    assert await town.rows("SELECT count(*) FROM inbound_event") == [(1,)]


async def test_too_much_at_once_is_refused(town: Town, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await town.open(await town.connect("a"))
    with monkeypatch.context() as small:
        small.setattr(ingest.inbound_ingest(town.agency.resources).writer, "_max_queued", 0)
        answer = await town.call(path, says(world, 1, "a"))
    assert (answer.status_code, answer.json()["code"]) == (503, "too-many-events")
    assert (await town.call(path, says(world, 1, "a"))).status_code == 200


# ── what a process remembers ──────────────────────────────────────────────────────────────────────


async def test_what_changed_elsewhere_is_known_within_seconds(town: Town, world: World, clock: SetClock) -> None:
    """Another process does not forget at once, as this one does."""
    a = await town.connect("a")
    path = await town.open(a)
    resources = town.agency.resources
    assert (await town.call(path, says(world, 1, "a"))).status_code == 200
    async with resources.transaction(town.agency.workspace_id) as session:
        await subscriptions.close_hook(session, SYSTEM, community_id=(await _ids(town))[0])
    clock.advance(timedelta(seconds=ingest.CACHE_SECONDS - 0.01))
    assert (await town.call(path, says(world, 2, "a"))).status_code == 200
    clock.advance(timedelta(seconds=0.02))
    assert (await town.call(path, says(world, 3, "a"))).status_code == 404


async def _ids(town: Town) -> list[Any]:
    return [community_id for (community_id,) in await town.rows("SELECT id FROM community")]


async def test_an_event_before_a_hook_was_opened_stays_one(town: Town, world: World, clock: SetClock) -> None:
    a = await town.connect("a")
    await town.deliver(await town.open(a), says(world, 1, "a"))
    await town.agency.http.delete(f"/v1/communities/{a}/hook")
    clock.advance(timedelta(minutes=1))
    await town.deliver(await town.open(a), says(world, 2, "a", event_id="e1"))
    assert await town.messages() == [(a, "m1")]
