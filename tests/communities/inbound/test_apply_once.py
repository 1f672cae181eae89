"""An event has one effect: sent repeatedly, under several ids, and while workers die."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from app.communities.inbound import apply as effects
from app.communities.inbound import jobs as inbound_jobs
from app.communities.inbound import store
from app.kit import jobs
from app.kit.clock import SetClock
from app.platforms.capabilities import Event
from app.platforms.contract import MessageKind, Metric, PostMetrics, RemoteMessage, RemotePerson, RemotePost
from tests.communities.conftest import START, World
from tests.communities.inbound.conftest import InboundSetup

POST = RemotePost("p1", "https://fake.test/p1", "News", START - timedelta(minutes=1), PostMetrics("p1", {}))


def comment(number: int, **changes: Any) -> RemoteMessage:
    """A comment of Olga's under the post."""
    author = RemotePerson("olga", "Olga")
    shape = {"text": "Where?", "sent_at": START + timedelta(seconds=number), "post_id": "p1", **changes}
    return RemoteMessage(f"c{number}", "p1 olga", MessageKind.COMMENT, author, **shape)


async def counted(inbound: InboundSetup) -> str:
    """A hook's path, on a platform whose comments are counted from events; one post is stored."""
    inbound.allow(counted_metrics=frozenset({Metric.COMMENTS}))
    path = await inbound.open(await inbound.connect("a"))
    await inbound.deliver(path, Event("post", "a", posts=(POST,)))
    return path


async def commented(inbound: InboundSetup, times: int) -> str:
    """The same, with this many comments received, each in its own commit."""
    path = await counted(inbound)
    for n in range(times):
        await inbound.call(path, Event(f"event {n:02}", "a", messages=(comment(n),)))
    return path


async def apply(inbound: InboundSetup, workers: int = 4) -> None:
    """Several workers run the due jobs concurrently."""
    due = await inbound.agency.due(store.APPLY)
    await asyncio.gather(*(jobs.perform(inbound.agency.resources, one) for one in due for _ in range(workers)))
    await inbound.agency.work(store.APPLY)


async def figures(inbound: InboundSetup) -> tuple[Any, ...]:
    """The post's comments, its latest counter, and the numbers of messages and inquiries."""
    (row,) = await inbound.rows(
        "SELECT (SELECT comments FROM publication), (SELECT comments FROM post_last), (SELECT count(*) FROM message), "
        "(SELECT count(*) FROM inquiry)"
    )
    return row


async def test_one_event_a_thousand_times_at_once(inbound: InboundSetup) -> None:
    path = await counted(inbound)
    event = Event("1", "a", messages=(comment(1),))
    answers = await asyncio.gather(*(inbound.call(path, event) for _ in range(1000)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "EVENT_RECEIVED")}
    await apply(inbound)
    assert await figures(inbound) == (1, 1, 1, 1)
    stored = await inbound.rows("SELECT status, payload, applied_at FROM inbound_event WHERE event_id = '1'")
    assert stored == [("applied", None, START)]


async def test_one_comment_under_many_event_ids_is_counted_once(inbound: InboundSetup) -> None:
    """Each is in its own commit, and they are applied by concurrent workers."""
    path = await counted(inbound)
    for n in range(8):
        await inbound.call(path, Event(f"event {n}", "a", messages=(comment(1), comment(2, text=f"edition {n}"))))
    assert len(await inbound.agency.due(store.APPLY)) == 8
    await apply(inbound)
    assert await figures(inbound) == (2, 2, 2, 1)


@pytest.mark.parametrize("order", list(permutations(("new", "edited", "deleted"))))
async def test_a_comment_its_edit_and_its_deletion_in_any_order(inbound: InboundSetup, order: Sequence[str]) -> None:
    path = await counted(inbound)
    events = {
        "new": Event("new", "a", messages=(comment(1),)),
        "edited": Event(
            "edited", "a", messages=(comment(1, text="Where to?", edited_at=START + timedelta(minutes=1)),)
        ),
        "deleted": Event("deleted", "a", deleted_ids=("c1",)),
    }
    for name in order:
        await inbound.deliver(path, events[name])
    assert await inbound.rows("SELECT text, deleted_at IS NOT NULL FROM message") == [("Where to?", True)]
    assert (await figures(inbound))[:3] == (1, 1, 1)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("order", "gone"),
    [
        (("new", "deleted", "restored"), False),
        (("deleted", "restored", "new"), False),
        (("new", "restored"), False),
        (("new", "deleted", "restored", "deleted again"), True),
    ],
)
async def test_a_comment_that_is_restored(
    inbound: InboundSetup, clock: SetClock, order: Sequence[str], *, gone: bool, together: bool
) -> None:
    path = await counted(inbound)
    events = {
        "new": Event("new", "a", messages=(comment(1),)),
        "deleted": Event("deleted", "a", deleted_ids=("c1",)),
        "restored": Event("restored", "a", messages=(comment(1, restored=True),)),
        "deleted again": Event("deleted again", "a", deleted_ids=("c1",)),
    }
    for name in order:
        await (inbound.call if together else inbound.deliver)(path, events[name])
        clock.advance(timedelta(seconds=1))
    await inbound.agency.work(store.APPLY)
    assert await inbound.rows("SELECT deleted_at IS NOT NULL FROM message") == [(gone,)]
    assert await inbound.rows("SELECT status FROM inquiry") == [("resolved" if gone else "open",)]
    assert (await figures(inbound))[:3] == (1, 1, 1)


async def test_a_repeated_id_with_other_content_is_a_repeat(inbound: InboundSetup, world: World) -> None:
    path = await counted(inbound)
    await inbound.deliver(path, Event("1", "a", messages=(comment(1),)))
    await inbound.deliver(path, Event("1", "a", messages=(comment(2),), deleted_ids=("c1",)))
    assert await figures(inbound) == (1, 1, 1, 1)
    assert await inbound.rows("SELECT deleted_at FROM message") == [(None,)]


class Killed(BaseException):
    """Stands for the end of the process."""


async def die(*_: Any) -> None:
    raise Killed


@pytest.mark.parametrize("step", ["_publication_ids", "_store_items", "_messages", "_pushed_metrics"])
async def test_a_worker_that_dies_midway_leaves_nothing_half_done(
    inbound: InboundSetup, clock: SetClock, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The post is stored in a step before that of its comments."""
    inbound.allow(counted_metrics=frozenset({Metric.COMMENTS}))
    path = await inbound.open(await inbound.connect("a"))
    counters = PostMetrics("p1", {Metric.REACTIONS: 3})
    at = START + timedelta(minutes=1)
    await inbound.call(path, Event("1", "a", posts=(POST,), messages=(comment(1),), metrics=(counters,), at=at))

    with monkeypatch.context() as deadly:
        deadly.setattr(effects._EventGroup, step, die)
        with pytest.raises(Killed):
            await inbound.agency.work(store.APPLY)
    stored = await inbound.rows("SELECT status, payload IS NULL, applied_at FROM inbound_event")
    assert stored == [("pending", False, None)]
    assert await inbound.rows("SELECT count(*) FROM publication") == [(1,)]
    assert await inbound.rows("SELECT count(*) FROM inbound_item") == [(0,)]
    clock.advance(jobs.LEASE + timedelta(seconds=1))
    left = await inbound.rows("SELECT id FROM job WHERE kind = :kind AND workspace_id = :id", **_ours(inbound))
    for (job_id,) in left:
        await jobs.perform(inbound.agency.resources, job_id)
    assert await figures(inbound) == (1, 1, 1, 1)
    assert await inbound.rows("SELECT reactions FROM post_last") == [(3,)]
    assert await inbound.rows("SELECT id FROM job WHERE kind = :kind AND workspace_id = :id", **_ours(inbound)) == []


def _ours(inbound: InboundSetup) -> dict[str, Any]:
    return {"kind": store.APPLY, "id": inbound.agency.workspace_id}


@pytest.mark.parametrize("meanwhile", ["pause", "reconnect", "close"])
async def test_what_was_acknowledged_is_applied_whatever_happens_to_the_community(
    inbound: InboundSetup, meanwhile: str
) -> None:
    """The platform will not send it again."""
    a = await inbound.connect("a")
    path = await inbound.open(a)
    await inbound.call(path, Event("1", "a", posts=(POST,), messages=(comment(1),)))
    if meanwhile == "pause":
        await inbound.agency.post(f"/v1/communities/{a}/pause", status=200)
    elif meanwhile == "reconnect":
        body = {"credentials": {"community": "another"}}
        await inbound.agency.post(f"/v1/communities/{a}/reconnect", body, status=200)
    else:
        await inbound.agency.http.delete(f"/v1/communities/{a}/hook")
    await inbound.agency.work(store.APPLY)
    assert await inbound.messages() == [(a, "c1")]
    seen = await inbound.agency.get(f"/v1/communities/{a}")
    assert seen["status"] == {"pause": "paused", "reconnect": "connecting", "close": "healthy"}[meanwhile]


async def test_commits_that_wait_are_applied_together(inbound: InboundSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound_jobs, "MAX_BATCHES", 10)
    monkeypatch.setattr(effects, "MAX_GROUP", 7)
    await commented(inbound, 40)
    due, together = await inbound.agency.due(store.APPLY), []
    do = effects._EventGroup.apply

    async def watched(work: effects._EventGroup, run: jobs.Run) -> None:
        together.append(len(work.events))
        await do(work, run)

    monkeypatch.setattr(effects._EventGroup, "apply", watched)
    await jobs.perform(inbound.agency.resources, due[-1])
    assert await inbound.agency.due(store.APPLY) == []
    # Its own batch with ten others, then ten, ten and nine.
    assert together == [7, 4, 7, 3, 7, 3, 7, 2]
    # The clock does not advance: the first count of this instant stays the latest.
    assert (await figures(inbound))[::2] == (40, 40)


async def test_an_event_that_fails_holds_up_none_of_those_it_was_joined_with(
    inbound: InboundSetup, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await commented(inbound, 20)
    store_items = effects._EventGroup._store_items

    async def spoiled(work: effects._EventGroup, *args: Any) -> set[str]:
        if "event 13" in work.events:
            raise ArithmeticError("of no good")
        return await store_items(work, *args)

    with monkeypatch.context() as patched:
        patched.setattr(effects._EventGroup, "_store_items", spoiled)
        await jobs.perform(inbound.agency.resources, (await inbound.agency.due(store.APPLY))[0])
        assert await inbound.rows("SELECT event_id FROM inbound_event WHERE status = 'pending'") == [("event 13",)]
        assert (await figures(inbound))[0] == 19
        # Later batches do not fail with it.
        await inbound.call(path, Event("later", "a", messages=(comment(20),)))
        (later,) = await inbound.agency.due(store.APPLY)
        clock.advance(timedelta(minutes=1))
        (failed,) = set(await inbound.agency.due(store.APPLY)) - {later}
        await jobs.perform(inbound.agency.resources, failed)
        assert await inbound.agency.due(store.APPLY) == [later]
    await inbound.agency.work(store.APPLY)
    clock.advance(timedelta(minutes=1))
    await inbound.agency.work(store.APPLY)
    assert (await figures(inbound))[::2] == (21, 21)


async def test_a_worker_that_dies_with_the_events_of_others_leaves_them_to_the_next(
    inbound: InboundSetup, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commented(inbound, 5)

    with monkeypatch.context() as deadly:
        deadly.setattr(effects._EventGroup, "apply", die)
        with pytest.raises(Killed):
            await jobs.perform(inbound.agency.resources, (await inbound.agency.due(store.APPLY))[0])
    (one,) = await inbound.rows("SELECT id FROM job WHERE kind = :kind AND workspace_id = :id", **_ours(inbound))
    clock.advance(jobs.LEASE + timedelta(seconds=1))
    await jobs.perform(inbound.agency.resources, one[0])
    assert await figures(inbound) == (5, 5, 5, 1)
