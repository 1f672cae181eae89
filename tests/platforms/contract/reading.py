"""Lists, counters and the stream: nothing is lost, nothing is invented."""

from collections.abc import Awaitable, Callable

import pytest

from app.platforms.capabilities import Inspects, ListsComments, MeasuresAcross, PostRef, Streams
from app.platforms.contract import (
    AuthExpired,
    CommunityIdentity,
    Gone,
    Metric,
    MetricStatus,
    Page,
    PostMetrics,
    RemotePost,
    Unreadable,
)
from sandbox.ledger import Record
from sandbox.recount import Counters
from tests.platforms.contract.checks import check, has
from tests.platforms.contract.finding import items_of, remote_post, second_of, updates
from tests.platforms.contract.pagination import LISTINGS, Listing, assert_complete, read_pages
from tests.platforms.contract.stage import Item, Subject, moment, recorded_at
from tests.platforms.specimens import Specimen

DAY = 24 * 3600


@check("community")
async def community(s: Subject) -> None:
    for follower in range(900_000, 901_007):  # a size of four digits, which some platforms round to three
        s.let("follow", person=s.community.number_of(follower))
    snapshot = await s.adapter().community(s.c)
    assert snapshot.external_id == s.c.external_id, "the id has changed"
    assert snapshot.size == s.about.reported_size(s.tally().size), "the size differs from the ledger's"
    assert s.community.profile.title in snapshot.title, f"the title is {snapshot.title}"


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────


def of_each_list(name: str) -> Callable[[Callable[[Subject, Listing], Awaitable[None]]], None]:
    """The same check for every list that an adapter has."""

    def add(run: Callable[[Subject, Listing], Awaitable[None]]) -> None:
        for listing in LISTINGS:

            async def of_one(s: Subject, listing: Listing = listing) -> None:
                await run(s, listing)

            check(f"{listing.name}: {name}", listing.applies)(of_one)

    return add


@of_each_list("complete, once, newest first")
async def paged(s: Subject, listing: Listing) -> None:
    listing.fill(s)
    done = await read_pages(listing, s)
    assert_complete(listing, s, done.items)
    if listing.name == "posts":
        times = [item.published_at for item in done.items if isinstance(item, RemotePost)]
        assert times == sorted(times, reverse=True), "the first poll is not newest first"
        identity = CommunityIdentity((s.c.address,), s.c.external_id, s.c.aliases)
        keys = {s.kind.post_key(identity, item.url) for item in done.items if isinstance(item, RemotePost)}
        assert None not in keys, "the address of a post has no key"
        assert len(keys) == len(times), "several posts have one key"
    again = await read_pages(listing, s, done.cursor)
    new = {item.external_id for item in again.items} - {item.external_id for item in done.items}
    assert not new, f"the next poll returns {len(new)} items that existed before but were not returned"


@of_each_list("cursors survive a restart")
async def cursors_survive(s: Subject, listing: Listing) -> None:
    """`read_pages` makes a new adapter for each page; here each cursor is also used a second time."""
    listing.fill(s)
    done = await read_pages(listing, s, twice=True)
    assert_complete(listing, s, done.items)
    s.later()
    late_items = listing.add(s)
    news = await read_pages(listing, s, done.cursor, twice=True)
    assert int(recorded_at(late_items).timestamp()) in news.seconds, "the last cursor does not return newer items"


@of_each_list("late items")
async def late_items(s: Subject, listing: Listing) -> None:
    """Items are added between pages, and between the requests of one page."""
    listing.fill(s)
    begun = len(s.transport.requests)

    def meanwhile(number: int) -> None:
        if number - begun in range(1, 12, 2):
            listing.add(s)

    s.transport.before = meanwhile
    done = await read_pages(listing, s)
    s.transport.before = lambda _: None
    listing.add(s)
    news = await read_pages(listing, s, done.cursor)
    assert_complete(listing, s, {item.external_id: item for item in (*done.items, *news.items)}.values())


@of_each_list("deleted items")
async def deleted(s: Subject, listing: Listing) -> None:
    """Most of the last 12 items read are deleted after each page, so that the rest moves up."""
    listing.fill(s)
    read: list[int] = []

    def remove(page: Page[Item]) -> None:
        read.extend(second_of(item) for item in page.items)
        gone = [one for one in listing.removable(s) if _second(s, one) in read[-12:]]
        for one in gone:
            s.delete(one)

    done = await read_pages(listing, s, after_each=remove)
    existing = {at // 1000 for at in listing.existing(s)}
    assert existing <= set(done.seconds), f"{len(existing - set(done.seconds))} {listing.name} are missing"


@of_each_list("since")
async def since(s: Subject, listing: Listing) -> None:
    listing.fill(s)
    times = listing.existing(s)
    from_then = moment(times[len(times) // 3])
    done = await read_pages(listing, s, since=from_then)
    assert_complete(listing, s, done.items, since=from_then)
    added = listing.add(s)
    news = await read_pages(listing, s, done.cursor, since=from_then)
    assert int(recorded_at(added).timestamp()) in news.seconds, "the cursor of a poll with `since` skips a newer item"


@of_each_list("an empty list")
async def empty_list(s: Subject, listing: Listing) -> None:
    listing.fill(s)
    done = await read_pages(listing, s, since=moment(s.now + DAY * 1000))
    assert not done.items, "items older than `since` are returned"
    added = listing.add(s)
    news = await read_pages(listing, s, done.cursor)
    assert int(recorded_at(added).timestamp()) in news.seconds, "the cursor of an empty list skips a newer item"


def _second(s: Subject, record: Record) -> int:
    return s.community.wall[int(record["id"])].at // 1000


@check(
    "comments: none of a deleted post",
    lambda kind, about: issubclass(kind, ListsComments) and "comments" not in about.not_offered,
)
async def comments_of_deleted_post(s: Subject) -> None:
    post = s.post()
    empty = s.post("Nobody says anything")
    made = s.adapter()
    assert isinstance(made, ListsComments)
    page = await made.comments(s.c, await remote_post(s, empty["id"]), None)
    assert (page.items, page.more) == ((), False), "comments of a post without any"
    gone = await remote_post(s, post["id"])
    s.delete(post)
    with pytest.raises((Gone, Unreadable)):  # VK does not distinguish the two
        await made.comments(s.c, gone, None)


@check("stream: every event once, oldest first", has(Streams))
async def stream(s: Subject) -> None:
    """With more events than one page; the cursor last returned may be requested again."""
    await updates(s)
    made = s.adapter()
    assert isinstance(made, Streams)
    kinds = ("post", "comment", "message", "mention")
    before = len(s.records(*kinds))
    posts = [s.post(f"Post {number}") for number in range(20)]
    for number in range(1, 130):
        s.comment(posts[-1]["id"], f"Comment {number}", person=number)
    for number in range(1, 30):
        s.message(f"Message {number}", person=number)
    once = await made.updates(s.c, s.stream)
    assert await made.updates(s.c, s.stream) == once, "the same cursor returns another page"
    events = await updates(s)
    items: dict[str, Item] = {}
    for event in events:
        items |= {item.external_id: item for item in items_of(event)}
    expected = sorted(int(recorded_at(one).timestamp()) for one in s.records(*kinds)[before:])
    assert sorted(second_of(item) for item in items.values()) == expected, "the events differ from the ledger's"
    times = [second_of(item) for event in events for item in items_of(event)]
    assert times == sorted(times), "not oldest first"
    assert len({event.event_id for event in events}) == len(events), "two events with the same id"
    assert not await updates(s), "events are returned a second time"


# ── counters ──────────────────────────────────────────────────────────────────────────────────────


def has_metrics(_: object, about: Specimen) -> bool:
    """Whether the platform has an endpoint for counters."""
    return "metrics" not in about.not_offered


@check("metrics: the ledger's, never 0 for unknown")
async def metrics(s: Subject) -> None:
    """For posts with every kind of reaction, after `Spec.metrics_delay`."""
    posts = [s.post(f"Post {number}") for number in range(3)]
    for number, post in enumerate(posts[:2]):
        engage(s, post["id"], 3 + number)
    s.later(s.spec.metrics_delay.total_seconds() + 3600)
    records = [one["id"] for one in posts]
    ids = tuple([await remote_post(s, one) for one in records])
    before = s.tally(s.now - int(s.spec.metrics_delay.total_seconds() * 1000)).posts
    results = await s.adapter().metrics(s.c, ids)
    assert [one.external_id for one in results] == list(ids), "there must be one record for each id, in its order"
    for record, one in zip(records, results, strict=True):
        _check_counters(s, one, before[record], s.tally().posts[record])


@check("metrics: delayed ones are pending", lambda kind, _: bool(kind.spec.metrics_delay))
async def pending(s: Subject) -> None:
    """Delayed metrics of a new post are `PENDING`, neither 0 nor unsupported."""
    made = s.post()
    (result,) = await s.adapter().metrics(s.c, (await remote_post(s, made["id"]),))
    polled = s.spec.metrics - s.spec.pushed_metrics - s.spec.counted_metrics
    late_items = {metric for metric in polled if metric not in result.counters}
    assert late_items, "no metric is delayed"
    assert {result.missing[metric] for metric in late_items} == {MetricStatus.PENDING}, f"{result.missing}"


@check("metrics: deleted posts are gone", has_metrics)
async def gone(s: Subject) -> None:
    posts = [s.post(f"Post {number}") for number in range(3)]
    ids = tuple([await remote_post(s, one["id"]) for one in posts])
    s.delete(posts[1])
    results = await s.adapter().metrics(s.c, ids)
    assert [one.gone for one in results] == [False, True, False], "the post that is gone is not the deleted one"
    assert not results[1].counters, "a post that is gone has counters"
    assert not results[1].missing, "a post that is gone has missing metrics"


@check("metrics: at most one batch", has_metrics)
async def batch(s: Subject) -> None:
    most = s.spec.metrics_batch
    posts = [s.post(f"Post {number}") for number in range(most + 1)]
    await remote_post(s, posts[0]["id"])  # reads the others too
    ids = tuple([await remote_post(s, one["id"]) for one in posts])
    results = await s.adapter().metrics(s.c, ids[:most])
    assert [one.external_id for one in results] == list(ids[:most]), (
        "there must be one record for each id, in its order"
    )
    assert await s.adapter().metrics(s.c, ()) == (), "records for no ids"
    requests_before = len(s.transport.requests)
    with pytest.raises(ValueError, match=str(most)):
        await s.adapter().metrics(s.c, ids)
    assert len(s.transport.requests) == requests_before, "a request was sent"


@check("metrics: the same in lists", LISTINGS[0].applies)
async def listed_metrics(s: Subject) -> None:
    post = s.post()
    engage(s, post["id"], 4)
    page = await s.adapter().posts(s.c, None)
    for item in page.items:
        assert item.metrics.external_id == item.external_id, "the metrics of another post"
        reported = item.metrics.counters.keys() | item.metrics.missing.keys()
        assert reported == set(Metric), "a metric is neither in counters nor in missing"
        made_up = sorted(item.metrics.counters.keys() - s.spec.metrics)
        assert not made_up, f"{made_up} are unsupported, but in the list"
    listed = next(item for item in page.items if second_of(item) == int(recorded_at(post).timestamp()))
    now = s.tally().posts[post["id"]]
    for metric, count in listed.metrics.counters.items():
        assert count == getattr(now, metric.value), f"{metric}: {count} in the list"


@check("metrics: across communities as for one", has(MeasuresAcross))
async def metrics_across(s: Subject) -> None:
    posts = [s.post(f"Post {number}") for number in range(4)]
    engage(s, posts[0]["id"], 2)
    s.delete(posts[1])
    s.later(s.spec.metrics_delay.total_seconds() + 3600)
    made = s.adapter()
    assert isinstance(made, MeasuresAcross)
    records = [one["id"] for one in posts if one is not posts[1]]
    ids = tuple([await remote_post(s, one) for one in records])
    assert s.c.external_id is not None
    before = s.tally(s.now - int(s.spec.metrics_delay.total_seconds() * 1000)).posts
    results = await made.metrics_across(s.c, tuple(PostRef(s.c.external_id, one) for one in ids))
    assert [one.external_id for one in results] == list(ids), "there must be one record for each id, in its order"
    for record, one in zip(records, results, strict=True):
        _check_counters(s, one, before[record], s.tally().posts[record])
    assert results == await s.adapter().metrics(s.c, ids), "`metrics_across` and `metrics` differ"


def engage(s: Subject, post: str, amount: int) -> None:
    """This many people react to a post, each in every possible way."""
    for person in range(1, amount + 1):
        actor = s.community.number_of(900_000 + person)
        s.let("reaction", id=post, person=actor)
        for habit in ("share", "save", "quote"):
            if habit in s.community.profile.activities:
                s.let(habit, id=post, person=actor)
        if "view" in s.community.profile.activities:
            s.let("view", id=post, count=3, unique=2)
        s.comment(post, f"Comment {person}", person=person)


def _check_counters(s: Subject, result: PostMetrics, before: Counters, now: Counters) -> None:
    """Assert that each counter is between its values `Spec.metrics_delay` ago and now, or is missing with a reason."""
    assert not result.gone, "an existing post is gone"
    reported = result.counters.keys() | result.missing.keys()
    assert reported == set(Metric), "a metric is neither in counters nor in missing"
    assert not result.counters.keys() & result.missing.keys(), "a metric is both in counters and in missing"
    polled = s.spec.metrics - s.spec.pushed_metrics - s.spec.counted_metrics
    for metric in Metric:
        if metric not in polled:
            assert metric not in result.counters, f"{metric} is unsupported by polling, but {result.counters[metric]}"
            unsupported = result.missing[metric] is MetricStatus.UNSUPPORTED
            assert metric in s.spec.metrics or unsupported, f"{metric} is {result.missing[metric]}"
            continue
        assert metric in result.counters, f"{metric} is {result.missing[metric]}"
        bounds = sorted((getattr(before, metric.value) or 0, getattr(now, metric.value) or 0))
        assert bounds[0] <= result.counters[metric] <= bounds[1], f"{metric}: {result.counters[metric]}, not {bounds}"


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


@check("inspect", has(Inspects))
async def inspect(s: Subject) -> None:
    """A valid token has all scopes; a revoked one raises `AuthExpired`."""
    made = s.adapter()
    assert isinstance(made, Inspects)
    states = await made.inspect(s.c)
    assert states, "no token is reported"
    assert states.keys() <= s.c.tokens.keys(), "a token outside the credentials is reported"
    assert all(not state.missing_scopes for state in states.values()), f"{states}"
    for kind in states:
        s.sandbox.network.grants.end(s.c.tokens[kind], "revoked")
    with pytest.raises(AuthExpired):
        await made.inspect(s.c)
