"""Requests that fail in the middle of a read: an error, never the end of a list, an empty list, or 0."""

from collections.abc import Callable
from datetime import datetime

import httpx
import pytest

from app.platforms.capabilities import Streams
from app.platforms.contract import Metric, PlatformError, Throttled, Transient
from tests.platforms.contract.checks import check, has
from tests.platforms.contract.finding import remote_post, updates
from tests.platforms.contract.pagination import Listing, read_pages, same_page
from tests.platforms.contract.reading import engage, has_metrics, of_each_list
from tests.platforms.contract.stage import Subject, moment

PAGES = 3
"""The number of pages whose requests are made to fail, each once."""


def _failing_request(
    s: Subject, number: int, answer: Callable[[], httpx.Response] = lambda: httpx.Response(502, html="<html>")
) -> Callable[[httpx.Request], httpx.Response | None]:
    """Replaces the response to the request with this number, counted from now and from 0."""
    first = len(s.transport.requests)  # a request is counted before its response

    def instead(_: httpx.Request) -> httpx.Response | None:
        return answer() if len(s.transport.requests) - 1 - first == number else None

    return instead


async def _fail_each_request(
    s: Subject, listing: Listing, cursor: str | None, since: datetime | None
) -> tuple[str | None, bool]:
    """Let each request of a page fail once. Returns the cursor of the intact page, and whether there is more."""
    requests_before = len(s.transport.requests)
    sound = await listing.page(s, cursor, since)
    for number in range(len(s.transport.requests) - requests_before):
        s.transport.instead = _failing_request(s, number)
        try:
            page = await listing.page(s, cursor, since)
        except Transient:
            continue
        finally:
            s.transport.instead = lambda _: None
        assert same_page(page, sound), f"request {number} of a page failed without an error"
    return sound.cursor, sound.more


@of_each_list("a failed request is an error")
async def lists(s: Subject, listing: Listing) -> None:
    """On the first pages, and on the first page of the next poll: an error, or an identical page."""
    listing.fill(s)
    await listing.page(s, None, None)  # requests made once only, such as lookups, come before the counting
    cursor: str | None = None
    for _ in range(PAGES):
        cursor, more = await _fail_each_request(s, listing, cursor, None)
        if not more:
            break
    done = await read_pages(listing, s, since=moment(listing.existing(s)[5]))
    listing.add(s)
    await _fail_each_request(s, listing, done.cursor, None)


@check("metrics: a failed request is an error", has_metrics)
async def metrics(s: Subject) -> None:
    """Each request of `metrics` fails once: an error, or the metrics that it would have returned are missing."""
    posts = [s.post(f"Post {number}") for number in range(2)]
    for post in posts:
        engage(s, post["id"], 3)
    s.later(s.spec.metrics_delay.total_seconds() + 3600)
    ids = tuple([await remote_post(s, one["id"]) for one in posts])
    requests_before = len(s.transport.requests)
    sound = await s.adapter().metrics(s.c, ids)
    for number in range(len(s.transport.requests) - requests_before):
        s.transport.instead = _failing_request(s, number)
        try:
            results = await s.adapter().metrics(s.c, ids)
        except Transient:
            continue
        finally:
            s.transport.instead = lambda _: None
        for was, now in zip(sound, results, strict=True):
            assert not now.gone, "a post whose request failed is reported as gone"
            assert now.counters.items() <= was.counters.items(), f"made up: {dict(now.counters)}"
            assert now.counters.keys() | now.missing.keys() == set(Metric), (
                "a metric is neither in counters nor in missing"
            )


@check("metrics: no request after a 429", has_metrics)
async def stops_when_throttled(s: Subject) -> None:
    """Whichever request of `metrics` gets status 429."""
    posts = [s.post(f"Post {number}") for number in range(2)]
    s.later(s.spec.metrics_delay.total_seconds() + 3600)
    ids = tuple([await remote_post(s, one["id"]) for one in posts])
    requests_before = len(s.transport.requests)
    await s.adapter().metrics(s.c, ids)
    for number in range(len(s.transport.requests) - requests_before):
        before = len(s.transport.requests)
        s.transport.instead = _failing_request(s, number, lambda: httpx.Response(429, headers={"retry-after": "30"}))
        try:
            with pytest.raises(Throttled) as caught:
                await s.adapter().metrics(s.c, ids)
        finally:
            s.transport.instead = lambda _: None
        assert caught.value.retry_after == 30
        assert len(s.transport.requests) == before + number + 1, "a request was sent after the 429"


@check("metrics: the stream has no 0 for unknown", has(Streams))
async def streamed(s: Subject) -> None:
    """A post in the stream has only the counters that the event contains."""
    await updates(s)
    engage(s, s.post()["id"], 2)
    results = [post.metrics for event in await updates(s) for post in event.posts]
    assert results, "the post is not in the stream"
    for one in results:
        assert one.counters.keys() | one.missing.keys() == set(Metric), "a metric is neither in counters nor in missing"
        made_up = sorted(one.counters.keys() - (s.spec.metrics - s.spec.pushed_metrics - s.spec.counted_metrics))
        assert not made_up, f"{made_up} cannot be known from the event"


@check("errors: `classify` agrees with the call")
async def classified(s: Subject) -> None:
    """`classify` returns, for a response, an error of the class that the call itself raises."""
    effects: list[dict[str, object]] = [{"type": "html", "status": 502}]
    effects += [{"type": "platform_error", "code": code} for code in s.about.codes]
    for effect in effects:
        await s.control("faults", platform=s.spec.key, effect=effect)
        raised: PlatformError | None = None
        try:
            await s.adapter().community(s.c)
        except PlatformError as error:
            raised = error
        s.clear_faults()
        alone = s.adapter().classify(s.transport.responses[-1])
        assert type(alone) is type(raised), f"{effect}: {alone!r}, but the call raised {raised!r}"
        if isinstance(raised, Throttled):
            assert isinstance(alone, Throttled)
            assert alone.scope is raised.scope
        s.later()
    sound = await s.adapter().community(s.c)
    assert sound.external_id == s.c.external_id
    assert s.adapter().classify(s.transport.responses[-1]) is None, "a valid response is classified as an error"
