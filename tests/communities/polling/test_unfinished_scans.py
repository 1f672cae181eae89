"""What `seen_at` says of a list is stored, however often the scan of the list was interrupted.

The platform here lists the latest items first: where an interrupted scan goes on further down, what came meanwhile is
above it, and is not read before the next scan.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

import pytest
from sqlalchemy import select, update

from app.communities.models import Community, Publication
from app.inquiries.models import Message
from app.kit.clock import SetClock
from app.platforms.contract import (
    Credentials,
    MessageKind,
    Metric,
    Page,
    PostMetrics,
    RemoteMessage,
    RemotePost,
    Transient,
)
from tests.communities.conftest import HOUR, START, Fake, World, register_adapters
from tests.conftest import Agency

POLL = "communities.poll"
MINUTE = timedelta(minutes=1)
Item = TypeVar("Item", RemotePost, RemoteMessage)


def _page(items: Sequence[Item], cursor: str | None, size: int) -> Page[Item]:
    """A page of a list that is sorted latest first.

    The cursor is `latest/below`, the ids of where the scan began and where it goes on; or `latest/`, where it ended.
    """
    ids = [one.external_id for one in items]
    latest, _, below = (cursor or "/").partition("/")
    if below:
        floor, start = len(items), ids.index(below) + 1
    else:
        floor, start = (ids.index(latest) if latest else len(items)), 0
        latest = ids[0] if ids else ""
    part = tuple(items[start : min(start + size, floor)])
    more = start + size < floor
    return Page(part, f"{latest}/{part[-1].external_id if more else ''}", more)


class LatestFirst(Fake):
    """A platform all of whose lists begin with the latest item."""

    fails: ClassVar[Callable[[str], bool]]
    """Whether a call for a page fails."""

    def _called(self, name: str) -> None:
        super()._called(name)
        if name in {"posts", "conversations", "comments"} and type(self).fails(name):
            raise Transient("Not now.", platform_code="502")

    async def posts(self, c: Credentials, cursor: str | None, since: datetime | None = None) -> Page[RemotePost]:
        self._called("posts")
        return _page(self.world.posts, cursor, self.world.page)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        self._called("conversations")
        return _page(self.world.messages, cursor, self.world.page)

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        made = await super().metrics(c, ids)
        return tuple(
            replace(one, counters={**one.counters, Metric.COMMENTS: len(self.world.comments.get(one.external_id, ()))})
            for one in made
        )

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        self._called("comments")
        page = _page(self.world.comments[post_id], cursor, self.world.page)
        return page if page.more else replace(page, cursor=None)


def _instant(item: RemotePost | RemoteMessage) -> datetime:
    return item.published_at if isinstance(item, RemotePost) else item.sent_at


@pytest.fixture
def platform(world: World, monkeypatch: pytest.MonkeyPatch) -> type[LatestFirst]:
    """The platform `fake`, which lists the latest first."""
    made = type("LatestFirstHere", (LatestFirst,), {"world": world, "fails": lambda name: False})
    register_adapters(monkeypatch, {"fake": made})
    return made


async def seen_at(agency: Agency, part: str) -> datetime | None:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        at: datetime | None = (await connection.execute(select(getattr(Community, f"{part}_seen_at")))).scalar_one()
        return at


async def stored(agency: Agency, model: Any) -> set[str]:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return set((await connection.execute(select(model.external_id))).scalars())


@pytest.mark.parametrize("seed", range(2))
async def test_what_counts_as_read_is_stored(
    agency: Agency,
    community: dict[str, Any],
    world: World,
    clock: SetClock,
    platform: type[LatestFirst],
    seed: int,
) -> None:
    """Half of all calls for a page fail, while posts and messages come in."""
    rng = random.Random(seed)
    platform.fails = lambda name: rng.random() < 0.5
    numbers = itertools.count(1)

    def arrive(at: datetime) -> None:
        number = next(numbers)
        world.posts.insert(0, world.post(number, at, 1))
        world.messages.insert(0, world.message_from("ivan", number, at))

    for number in range(8, 0, -1):
        arrive(START - number * HOUR)
    reads = 0
    for _ in range(12):
        await agency.work(POLL)
        posts, messages = await stored(agency, Publication), await stored(agency, Message)
        for part, listed, stored_ids in (("posts", world.posts, posts), ("conversations", world.messages, messages)):
            at = await seen_at(agency, part)
            if at is not None:
                instants = {one.external_id: _instant(one) for one in listed}
                assert {one for one, instant in instants.items() if instant < at} <= stored_ids, f"{part} until {at}"
            reads += at is not None
        for _ in range(rng.randrange(3)):
            clock.advance(timedelta(seconds=20))
            arrive(clock.now())
        clock.advance(rng.randrange(1, 4) * MINUTE)
    assert reads, "some scan came to its end"
    platform.fails = lambda name: False
    for _ in range(2):  # what is unfinished, then what is above it
        clock.advance(HOUR)
        await agency.work(POLL)
    assert await stored(agency, Publication) == {one.external_id for one in world.posts}
    assert await stored(agency, Message) == {one.external_id for one in world.messages}


async def test_comments_above_an_interrupted_scan_are_read(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, platform: type[LatestFirst]
) -> None:
    world.posts = [world.post(1, START - HOUR, 1, comments=5)]
    world.comments["1"] = []

    def comment(number: int) -> None:
        made = replace(
            world.message_from("olga", number, clock.now()),
            thread_id=f"c{number}",
            kind=MessageKind.COMMENT,
            post_id="1",
        )
        world.comments["1"].insert(0, made)

    for number in range(5):
        comment(number)
    calls = iter([False, True])  # the second page of comments fails
    platform.fails = lambda name: name == "comments" and next(calls, False)
    await agency.work(POLL)
    assert len(await stored(agency, Message)) == 2
    comment(5)
    async with agency.resources.transaction(agency.workspace_id) as session:
        # The counter is read before the scan goes on: it has the sixth comment already.
        await session.execute(update(Publication).values(comments=6))
    clock.advance(5 * MINUTE)
    await agency.work(POLL)
    clock.advance(5 * MINUTE)
    await agency.work(POLL)
    assert await stored(agency, Message) == {f"m{number}" for number in range(6)}
