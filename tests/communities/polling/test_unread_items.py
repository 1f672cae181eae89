"""An item that cannot be read does not keep the others from being read, and is tried again by itself."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import select

from app.communities.models import Publication, UnreadItem
from app.communities.polling import unread_items
from app.inquiries.models import Message
from app.kit.clock import SetClock
from app.metrics.models import PostSnapshot
from app.platforms.contract import (
    Bypass,
    Credentials,
    MessageKind,
    MissingPermission,
    Page,
    PlatformError,
    PostMetrics,
    Rejected,
    RemoteMessage,
    RemotePerson,
    Transient,
    Unreadable,
)
from tests.communities.conftest import HOUR, START, Fake, World, register_adapters
from tests.conftest import Agency

POLL = "communities.poll"
MINUTE = timedelta(minutes=1)
FAILED = Transient("The server failed.", platform_code="500")


class Poisoned(Fake):
    """A platform on which some items make each call that has them fail."""

    bad_posts: ClassVar[dict[str, PlatformError]]
    bad_threads: ClassVar[dict[int, PlatformError]]

    async def metrics(self, c: Credentials, ids: tuple[str, ...]) -> tuple[PostMetrics, ...]:
        for one in ids:
            if one in self.bad_posts:
                self._called("metrics")
                raise self.bad_posts[one]
        return await super().metrics(c, ids)

    async def comments(
        self, c: Credentials, post_id: str, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        if post_id in self.bad_posts:
            self._called("comments")
            raise self.bad_posts[post_id]
        return await super().comments(c, post_id, cursor, since)

    async def conversations(
        self, c: Credentials, cursor: str | None, since: datetime | None = None
    ) -> Page[RemoteMessage]:
        """The cursor is `first message` or `first message/page size`; `alone N` reads message N."""
        if cursor is not None and cursor.startswith("alone "):
            self._called("alone")
            number = int(cursor.removeprefix("alone "))
            if number in self.bad_threads:
                raise self.bad_threads[number]
            return Page((self.world.messages[number],), cursor, more=False)
        self._called("conversations")
        start, _, size_text = (cursor or "0").partition("/")
        first, size = int(start), int(size_text or 4)
        numbers = range(first, min(first + size, len(self.world.messages)))
        for number in numbers:
            if number in self.bad_threads:
                error = type(self.bad_threads[number])("The server failed.", platform_code="500")
                error.bypass = (
                    Bypass(f"{first}/{size // 2}")
                    if size > 1
                    else Bypass(str(first + 1), item=f"t{first}", retry=f"alone {first}")
                )
                raise error
        end = first + len(numbers)
        return Page(tuple(self.world.messages[i] for i in numbers), str(end), end < len(self.world.messages))


@pytest.fixture
def poisoned(world: World, monkeypatch: pytest.MonkeyPatch) -> type[Poisoned]:
    """The adapter of the platform `fake`, whose class has the items that fail."""
    made = type("PoisonedHere", (Poisoned,), {"world": world, "bad_posts": {}, "bad_threads": {}})
    register_adapters(monkeypatch, {"fake": made})
    return made


async def health(agency: Agency, community: dict[str, Any]) -> Any:
    return await agency.get(f"/v1/communities/{community['id']}/health")


def part(seen: dict[str, Any], name: str) -> Any:
    return next(one for one in seen["parts"] if one["part"] == name)


async def texts(agency: Agency) -> set[str]:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        return set((await connection.scalars(select(Message.text))).all())


async def unread(agency: Agency) -> dict[str, datetime]:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        rows = await connection.execute(select(UnreadItem.external_id, UnreadItem.retry_at))
        return {row[0]: row[1] for row in rows}


async def measured_since(agency: Agency, since: datetime) -> set[str]:
    async with agency.resources.db.read_connection(agency.workspace_id) as connection:
        rows = await connection.scalars(
            select(Publication.external_id)
            .join(PostSnapshot, PostSnapshot.publication_id == Publication.id)
            .where(PostSnapshot.at > since)
        )
        return set(rows.all())


@pytest.mark.parametrize("error", [FAILED, Unreadable("Suspended."), Rejected("Invalid uri.", platform_code="400")])
async def test_a_post_that_fails_its_batch_does_not_freeze_the_counters_of_the_others(
    agency: Agency,
    community: dict[str, Any],
    world: World,
    clock: SetClock,
    poisoned: type[Poisoned],
    error: PlatformError,
) -> None:
    world.posts = [world.post(n, START - n * MINUTE, n) for n in range(1, 7)]
    await agency.work(POLL)
    poisoned.bad_posts["4"] = error
    clock.advance(HOUR)
    before = clock.now() - MINUTE
    await agency.work(POLL)
    assert await measured_since(agency, before) == {"1", "2", "3", "5", "6"}
    seen = await health(agency, community)
    assert (seen["status"], part(seen, "counters")["unread_items"]) == ("healthy", 1)
    assert set(await unread(agency)) == {"4"}
    # It is tried again by itself: it costs no further call of the others.
    world.calls.clear()
    clock.advance(HOUR)
    await agency.work(POLL)
    assert world.calls.count("metrics") <= 3
    poisoned.bad_posts.clear()
    clock.advance(HOUR)
    await agency.work(POLL)
    assert await unread(agency) == {}
    assert "4" in await measured_since(agency, clock.now() - MINUTE)


async def test_a_suspect_is_tried_less_and_less_often(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, poisoned: type[Poisoned]
) -> None:
    world.posts = [world.post(1, START - MINUTE, 1), world.post(2, START - MINUTE, 1)]
    await agency.work(POLL)
    poisoned.bad_posts["2"] = FAILED
    waits = []
    for _ in range(4):
        retry_at = (await unread(agency)).get("2", clock.now() + HOUR)
        clock.advance(max(retry_at - clock.now(), MINUTE))
        await agency.work(POLL)
        waits.append((await unread(agency))["2"] - clock.now())
    assert waits == sorted(waits)
    assert waits[0] == unread_items.FIRST_RETRY
    assert waits[-1] > 2 * waits[0]


async def test_a_platform_that_is_unwell_is_not_asked_for_each_post(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, poisoned: type[Poisoned]
) -> None:
    world.posts = [world.post(n, START - n * MINUTE, n) for n in range(1, 7)]
    await agency.work(POLL)
    poisoned.bad_posts |= {str(n): FAILED for n in range(1, 7)}
    clock.advance(HOUR)
    world.calls.clear()
    await agency.work(POLL)
    assert world.calls.count("metrics") <= 8
    seen = await health(agency, community)
    assert (seen["status"], seen["code"], part(seen, "counters")["status"]) == ("degraded", "transient", "failing")


async def test_what_is_no_items_fault_is_not_split(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, poisoned: type[Poisoned]
) -> None:
    """No answer, or a gateway's: one call, and the counters of all are tried later."""
    world.posts = [world.post(n, START - n * MINUTE, n) for n in range(1, 7)]
    await agency.work(POLL)
    for error in (Transient("Out of reach."), Transient("Bad gateway.", platform_code="502")):
        poisoned.bad_posts |= {str(n): error for n in range(1, 7)}
        clock.advance(HOUR)
        world.calls.clear()
        await agency.work(POLL)
        assert world.calls.count("metrics") == 1
        assert await unread(agency) == {}


def comment(world: World, number: int, post: str) -> RemoteMessage:
    return RemoteMessage(
        external_id=f"c{number}",
        thread_id=f"c{number}",
        kind=MessageKind.COMMENT,
        author=RemotePerson(f"guest{number}", "Guest"),
        text=f"question {number}",
        sent_at=START - MINUTE,
        post_id=post,
    )


@pytest.mark.parametrize("error", [Unreadable("Comments are closed."), MissingPermission("Access denied."), FAILED])
async def test_closed_comments_under_the_newest_post_do_not_starve_the_others(
    agency: Agency,
    community: dict[str, Any],
    world: World,
    clock: SetClock,
    poisoned: type[Poisoned],
    error: PlatformError,
) -> None:
    world.posts = [world.post(n, START - n * HOUR, 1, comments=1) for n in range(1, 4)]
    world.comments = {str(n): [comment(world, n, str(n))] for n in range(1, 4)}
    poisoned.bad_posts["1"] = error
    await agency.work(POLL)
    assert await texts(agency) == {"question 2", "question 3"}
    seen = await health(agency, community)
    assert seen["status"] == "healthy"
    assert part(seen, "comments")["unread_items"] == 1
    world.calls.clear()
    clock.advance(MINUTE)
    await agency.work(POLL)
    assert world.calls.count("comments") == 0, "it is put off"
    poisoned.bad_posts.clear()
    clock.advance(HOUR)
    await agency.work(POLL)
    assert await texts(agency) == {"question 1", "question 2", "question 3"}
    assert await unread(agency) == {}


async def test_a_permission_that_all_posts_lack_shows_in_the_state(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, poisoned: type[Poisoned]
) -> None:
    world.posts = [world.post(n, START - n * HOUR, 1, comments=1) for n in range(1, 6)]
    denied = MissingPermission("Access denied.", scopes=("wall",))
    poisoned.bad_posts |= {str(n): denied for n in range(1, 6)}
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["missing_scopes"]) == ("degraded", ["wall"])
    assert world.calls.count("comments") == unread_items.DOUBTFUL
    for _ in range(3):  # polls that find nothing else to read do not show the contrary
        clock.advance(MINUTE)
        await agency.work(POLL)
        assert (await health(agency, community))["status"] == "degraded"
    poisoned.bad_posts.clear()
    await agency.post(f"/v1/communities/{community['id']}/reconnect", {"credentials": {"user": "better"}}, status=200)
    await agency.work(POLL)
    assert (await health(agency, community))["status"] == "healthy"
    assert await unread(agency) == {}


async def test_a_conversation_that_fails_its_page_does_not_hide_the_others(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, poisoned: type[Poisoned]
) -> None:
    world.messages = [world.message_from(f"guest{n}", n, START - MINUTE, f"question {n}") for n in range(8)]
    poisoned.bad_threads[3] = FAILED
    await agency.work(POLL)
    assert await texts(agency) == {f"question {n}" for n in range(8) if n != 3}
    seen = await health(agency, community)
    assert (seen["status"], part(seen, "conversations")["unread_items"]) == ("healthy", 1)
    assert set(await unread(agency)) == {"t3"}
    clock.advance(HOUR)
    await agency.work(POLL)
    assert set(await unread(agency)) == {"t3"}, "it still fails"
    poisoned.bad_threads.clear()
    clock.advance(HOUR)
    await agency.work(POLL)
    assert await texts(agency) == {f"question {n}" for n in range(8)}
    assert await unread(agency) == {}


async def test_a_list_that_fails_everywhere_is_not_skipped_to_its_end(
    agency: Agency, community: dict[str, Any], world: World, clock: SetClock, poisoned: type[Poisoned]
) -> None:
    world.messages = [world.message_from(f"guest{n}", n, START - MINUTE, f"question {n}") for n in range(20)]
    poisoned.bad_threads |= dict.fromkeys(range(20), FAILED)
    await agency.work(POLL)
    seen = await health(agency, community)
    assert (seen["status"], seen["code"]) == ("degraded", "transient")
    poisoned.bad_threads.clear()
    clock.advance(HOUR)
    await agency.work(POLL)
    assert await texts(agency) == {f"question {n}" for n in range(20)}


@pytest.mark.parametrize("count", [1, 2, 3, 25, 100])
async def test_each_of_a_batch_is_read_or_counted_as_unread(count: int) -> None:
    for bad in ({0}, {count - 1}, {count // 2}, {0, count - 1}):
        calls = 0

        async def read(items: tuple[int, ...], bad: set[int] = bad) -> Sequence[int]:
            nonlocal calls
            calls += 1
            if bad & set(items):
                raise FAILED
            return [-item for item in items]

        result = await unread_items.read_each(range(count), read)
        assert dict(result.read) == {item: -item for item in range(count) if item not in bad}
        assert {item for item, _ in result.unread} == bad & set(range(count))
        assert calls <= 4 * count.bit_length() + 1
        assert (result.stopped_by is None) == bool(result.read)
