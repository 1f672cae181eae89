"""One event has one effect: sent a thousand times, under several ids, while workers die, at bad moments."""

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
from tests.communities.inbound.conftest import Town

POST = RemotePost("p1", "https://fake.test/p1", "News", START - timedelta(minutes=1), PostMetrics("p1", {}))


def comment(number: int, **changes: Any) -> RemoteMessage:
    """What Olga wrote under the post."""
    author = RemotePerson("olga", "Olga")
    shape = {"text": "Where?", "sent_at": START + timedelta(seconds=number), "post_id": "p1", **changes}
    return RemoteMessage(f"c{number}", "p1 olga", MessageKind.COMMENT, author, **shape)


async def counted(town: Town) -> str:
    """A hook's path, on a platform whose comments we count; a post has appeared."""
    town.allow(counted_metrics=frozenset({Metric.COMMENTS}))
    path = await town.open(await town.connect("a"))
    await town.deliver(path, Event("post", "a", posts=(POST,)))
    return path


async def commented(town: Town, times: int) -> str:
    """The same, with so many comments told, each in a commit of its own."""
    path = await counted(town)
    for n in range(times):
        await town.call(path, Event(f"told {n:02}", "a", messages=(comment(n),)))
    return path


async def apply(town: Town, workers: int = 4) -> None:
    """Workers take what waits, all at once."""
    due = await town.agency.due(store.APPLY)
    await asyncio.gather(*(jobs.perform(town.agency.resources, one) for one in due for _ in range(workers)))
    await town.agency.work(store.APPLY)


async def figures(town: Town) -> tuple[Any, ...]:
    """Comments of the post, its newest counter, messages, inquiries."""
    (row,) = await town.rows(
        "SELECT (SELECT comments FROM publication), (SELECT comments FROM post_last), (SELECT count(*) FROM message), "
        "(SELECT count(*) FROM inquiry)"
    )
    return row


async def test_one_event_a_thousand_times_at_once(town: Town) -> None:
    path = await counted(town)
    event = Event("1", "a", messages=(comment(1),))
    answers = await asyncio.gather(*(town.call(path, event) for _ in range(1000)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "EVENT_RECEIVED")}
    await apply(town)
    assert await figures(town) == (1, 1, 1, 1)
    stored = await town.rows("SELECT status, payload, applied_at FROM inbound_event WHERE event_id = '1'")
    assert stored == [("applied", None, START)]


async def test_one_comment_under_many_event_ids_is_counted_once(town: Town) -> None:
    """Each in a commit of its own, and applied by workers that do not know of each other."""
    path = await counted(town)
    for n in range(8):
        await town.call(path, Event(f"told {n}", "a", messages=(comment(1), comment(2, text=f"edition {n}"))))
    assert len(await town.agency.due(store.APPLY)) == 8
    await apply(town)
    assert await figures(town) == (2, 2, 2, 1)


@pytest.mark.parametrize("order", list(permutations(("new", "edited", "deleted"))))
async def test_a_comment_its_edit_and_its_deletion_in_any_order(town: Town, order: Sequence[str]) -> None:
    path = await counted(town)
    told = {
        "new": Event("new", "a", messages=(comment(1),)),
        "edited": Event(
            "edited", "a", messages=(comment(1, text="Where to?", edited_at=START + timedelta(minutes=1)),)
        ),
        "deleted": Event("deleted", "a", deleted_ids=("c1",)),
    }
    for name in order:
        await town.deliver(path, told[name])
    assert await town.rows("SELECT text, deleted_at IS NOT NULL FROM message") == [("Where to?", True)]
    assert (await figures(town))[:3] == (1, 1, 1)


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
    town: Town, clock: SetClock, order: Sequence[str], *, gone: bool, together: bool
) -> None:
    path = await counted(town)
    told = {
        "new": Event("new", "a", messages=(comment(1),)),
        "deleted": Event("deleted", "a", deleted_ids=("c1",)),
        "restored": Event("restored", "a", messages=(comment(1, restored=True),)),
        "deleted again": Event("deleted again", "a", deleted_ids=("c1",)),
    }
    for name in order:
        await (town.call if together else town.deliver)(path, told[name])
        clock.advance(timedelta(seconds=1))
    await town.agency.work(store.APPLY)
    assert await town.rows("SELECT deleted_at IS NOT NULL FROM message") == [(gone,)]
    assert await town.rows("SELECT status FROM inquiry") == [("resolved" if gone else "open",)]
    assert (await figures(town))[:3] == (1, 1, 1)


async def test_a_repeated_id_with_other_content_is_a_repeat(town: Town, world: World) -> None:
    path = await counted(town)
    await town.deliver(path, Event("1", "a", messages=(comment(1),)))
    await town.deliver(path, Event("1", "a", messages=(comment(2),), deleted_ids=("c1",)))
    assert await figures(town) == (1, 1, 1, 1)
    assert await town.rows("SELECT deleted_at FROM message") == [(None,)]


class Killed(BaseException):
    """The process dies."""


async def die(*_: Any) -> None:
    raise Killed


@pytest.mark.parametrize("step", ["_publication_ids", "_store_items", "_messages", "_pushed_metrics"])
async def test_a_worker_that_dies_midway_leaves_nothing_half_done(
    town: Town, clock: SetClock, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The post is stored by then, in a step before that of what stands under it."""
    town.allow(counted_metrics=frozenset({Metric.COMMENTS}))
    path = await town.open(await town.connect("a"))
    counters = PostMetrics("p1", {Metric.REACTIONS: 3})
    at = START + timedelta(minutes=1)
    await town.call(path, Event("1", "a", posts=(POST,), messages=(comment(1),), metrics=(counters,), at=at))

    with monkeypatch.context() as deadly:
        deadly.setattr(effects._EventGroup, step, die)
        with pytest.raises(Killed):
            await town.agency.work(store.APPLY)
    stored = await town.rows("SELECT status, payload IS NULL, applied_at FROM inbound_event")
    assert stored == [("pending", False, None)]
    assert await town.rows("SELECT count(*) FROM publication") == [(1,)]
    assert await town.rows("SELECT count(*) FROM inbound_item") == [(0,)]
    clock.advance(jobs.LEASE + timedelta(seconds=1))
    left = await town.rows("SELECT id FROM job WHERE kind = :kind AND workspace_id = :id", **_ours(town))
    for (job_id,) in left:
        await jobs.perform(town.agency.resources, job_id)
    assert await figures(town) == (1, 1, 1, 1)
    assert await town.rows("SELECT reactions FROM post_last") == [(3,)]
    assert await town.rows("SELECT id FROM job WHERE kind = :kind AND workspace_id = :id", **_ours(town)) == []


def _ours(town: Town) -> dict[str, Any]:
    return {"kind": store.APPLY, "id": town.agency.workspace_id}


@pytest.mark.parametrize("meanwhile", ["pause", "reconnect", "close"])
async def test_what_was_acknowledged_is_applied_whatever_happens_to_the_community(town: Town, meanwhile: str) -> None:
    """The platform will not tell it again."""
    a = await town.connect("a")
    path = await town.open(a)
    await town.call(path, Event("1", "a", posts=(POST,), messages=(comment(1),)))
    if meanwhile == "pause":
        await town.agency.post(f"/v1/communities/{a}/pause", status=200)
    elif meanwhile == "reconnect":
        body = {"credentials": {"community": "another"}}
        await town.agency.post(f"/v1/communities/{a}/reconnect", body, status=200)
    else:
        await town.agency.http.delete(f"/v1/communities/{a}/hook")
    await town.agency.work(store.APPLY)
    assert await town.messages() == [(a, "c1")]
    seen = await town.agency.get(f"/v1/communities/{a}")
    assert seen["state"] == {"pause": "paused", "reconnect": "connecting", "close": "healthy"}[meanwhile]


async def test_commits_that_wait_are_applied_together(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound_jobs, "MAX_BATCHES", 10)
    monkeypatch.setattr(effects, "MAX_GROUP", 7)
    await commented(town, 40)
    due, together = await town.agency.due(store.APPLY), []
    do = effects._EventGroup.apply

    async def watched(work: effects._EventGroup, run: jobs.Run) -> None:
        together.append(len(work.events))
        await do(work, run)

    monkeypatch.setattr(effects._EventGroup, "apply", watched)
    await jobs.perform(town.agency.resources, due[-1])
    assert await town.agency.due(store.APPLY) == []
    # Its own with ten others, then ten, ten and nine.
    assert together == [7, 4, 7, 3, 7, 3, 7, 2]
    # The clock stands: the first count of this instant stays the newest.
    assert (await figures(town))[::2] == (40, 40)


async def test_an_event_that_fails_holds_up_none_of_those_it_was_joined_with(
    town: Town, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await commented(town, 20)
    heard = effects._EventGroup._store_items

    async def spoiled(work: effects._EventGroup, *given: Any) -> set[str]:
        if "told 13" in work.events:
            raise ArithmeticError("of no good")
        return await heard(work, *given)

    with monkeypatch.context() as patched:
        patched.setattr(effects._EventGroup, "_store_items", spoiled)
        await jobs.perform(town.agency.resources, (await town.agency.due(store.APPLY))[0])
        assert await town.rows("SELECT event_id FROM inbound_event WHERE status = 'pending'") == [("told 13",)]
        assert (await figures(town))[0] == 19
        # What comes later is not drawn into its trouble.
        await town.call(path, Event("later", "a", messages=(comment(20),)))
        (later,) = await town.agency.due(store.APPLY)
        clock.advance(timedelta(minutes=1))
        (failed,) = set(await town.agency.due(store.APPLY)) - {later}
        await jobs.perform(town.agency.resources, failed)
        assert await town.agency.due(store.APPLY) == [later]
    await town.agency.work(store.APPLY)
    clock.advance(timedelta(minutes=1))
    await town.agency.work(store.APPLY)
    assert (await figures(town))[::2] == (21, 21)


async def test_a_worker_that_dies_with_the_events_of_others_leaves_them_to_the_next(
    town: Town, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commented(town, 5)

    with monkeypatch.context() as deadly:
        deadly.setattr(effects._EventGroup, "apply", die)
        with pytest.raises(Killed):
            await jobs.perform(town.agency.resources, (await town.agency.due(store.APPLY))[0])
    (one,) = await town.rows("SELECT id FROM job WHERE kind = :kind AND workspace_id = :id", **_ours(town))
    clock.advance(jobs.LEASE + timedelta(seconds=1))
    await jobs.perform(town.agency.resources, one[0])
    assert await figures(town) == (5, 5, 5, 1)
