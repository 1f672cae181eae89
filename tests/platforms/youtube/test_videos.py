"""YouTube: videos and their counters."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from unittest.mock import patch

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.platforms.contract import (
    Gone,
    Metric,
    MetricStatus,
    Token,
)
from app.platforms.youtube import adapter as module
from app.platforms.youtube.adapter import YouTube
from tests.platforms.contract.stage import Subject
from tests.platforms.youtube.server import (
    CHANNEL_ID,
    START,
    credentials,
    listing,
    paths,
    posts,
    refused,
    with_handler,
    with_responses,
)


@dataclass
class Uploads:
    """A channel's uploads, paged by offset; they may change before each request."""

    ids: list[int] = field(default_factory=list)
    """Newest first."""
    changes: list[tuple[bool, int]] = field(default_factory=list)
    made: int = 1000
    deleted: set[int] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    stale: int = 0
    """The number of page tokens still to be refused."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        self.calls.append(request.url.path.rpartition("/")[2])
        if self.calls[-1] == "videos":
            return httpx.Response(200, json=listing(*(self.video(int(i)) for i in query["id"].split(","))))
        self._change()
        start, size = int(query.get("pageToken", "0")), int(query["maxResults"])
        if start and self.stale:
            self.stale -= 1
            return refused(400, "invalidPageToken")
        items = [] if query["part"] == "id" else [self.entry(i) for i in self.ids[start : start + size]]
        more = {"nextPageToken": str(start + size)} if start + size < len(self.ids) else {}
        return httpx.Response(200, json=listing(*items, **more))

    def _change(self) -> None:
        if not self.changes:
            return
        add, which = self.changes.pop()
        if add:
            self.made += 1
            self.ids.insert(0, self.made)
        elif self.ids:
            self.deleted.add(self.ids.pop(which % len(self.ids)))

    @staticmethod
    def moment(number: int) -> str:
        return (START + timedelta(minutes=number)).isoformat()

    def entry(self, number: int) -> dict[str, object]:
        return {"snippet": {"publishedAt": self.moment(number), "resourceId": {"videoId": str(number)}}}

    def video(self, number: int) -> dict[str, object]:
        return {"id": str(number), "snippet": {"publishedAt": self.moment(number), "title": f"video {number}"}}


@contextmanager
def pages_of(size: int) -> Iterator[None]:
    with patch.object(module, "UPLOADS_PAGE", size):
        yield


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 60), st.lists(st.tuples(st.booleans(), st.integers(0, 70)), max_size=40))
async def test_paging_skips_nothing_while_the_list_changes(count: int, changes: list[tuple[bool, int]]) -> None:
    """Videos are added and deleted between any two requests, one at a time, in a list of few pages."""
    server = Uploads([*range(count, 0, -1)], list(changes))
    made, seen, cursor = with_handler(server), set[int](), None
    with pages_of(12):
        for _pass in range(3):
            before, more, calls = set(server.ids), True, 0
            while more:
                page = await made.posts(credentials(), cursor)
                seen |= {int(post.external_id) for post in page.items}
                cursor, more, calls = page.cursor, page.more, calls + 1
                assert calls < 200, "paging does not end"
            assert before - server.deleted <= seen
        server.changes.clear()
        more = True
        while more:
            page = await made.posts(credentials(), cursor)
            seen |= {int(post.external_id) for post in page.items}
            cursor, more = page.cursor, page.more
        assert set(server.ids) <= seen


async def test_many_deletions_at_once_restart_paging() -> None:
    server = Uploads([*range(100, 0, -1)])
    made, seen = with_handler(server), set[int]()
    with pages_of(20):
        page = await made.posts(credentials(), None)
        seen |= {int(post.external_id) for post in page.items}
        del server.ids[:18]
        while page.more:
            page = await made.posts(credentials(), page.cursor)
            seen |= {int(post.external_id) for post in page.items}
    assert seen == {*range(1, 101)}


async def test_paging_stops_at_the_last_item_seen() -> None:
    server = Uploads([*range(100, 0, -1)])
    made, seen = with_handler(server), set[int]()
    with pages_of(40):
        page = await made.posts(credentials(), None)
        while page.more:
            page = await made.posts(credentials(), page.cursor)
        server.ids = [*range(200, 0, -1)]
        page = await made.posts(credentials(), page.cursor)
        while page.more:
            seen |= {int(post.external_id) for post in page.items}
            page = await made.posts(credentials(), page.cursor)
    seen |= {int(post.external_id) for post in page.items}
    assert {*range(101, 201)} <= seen < {*range(1, 201)}


async def test_a_video_omitted_from_the_response_is_gone() -> None:
    made, _ = with_responses(listing({"id": "v", "statistics": {"viewCount": "1"}}))
    gone, there = await made.metrics(credentials(), ("w", "v"))
    assert (gone.external_id, gone.gone, gone.counters, gone.missing) == ("w", True, {}, {})
    assert (there.external_id, there.gone, there.counters) == ("v", False, {Metric.VIEWS: 1})


async def test_a_poll_without_new_videos_takes_two_requests() -> None:
    server = Uploads([*range(100, 0, -1)])
    made = with_handler(server)
    with pages_of(20):
        first = await made.posts(credentials(), None)
        cursor, more = first.cursor, first.more
        while more:
            page = await made.posts(credentials(), cursor)
            cursor, more = page.cursor, page.more
        server.calls.clear()
        page = await made.posts(credentials(), cursor)
        assert not page.more
        assert server.calls == ["playlistItems", "videos"]
        assert len(page.items) == 20, "the latest videos come in each poll, with current counters"


async def test_an_expired_page_token_restarts_paging() -> None:
    server = Uploads([*range(30, 0, -1)])
    made = with_handler(server)
    with pages_of(20):
        page = await made.posts(credentials(), None)
        server.stale = 1
        page = await made.posts(credentials(), page.cursor)
        assert (page.items, page.more) == ((), True)
        seen, more = set[str](), True
        while more:
            page = await made.posts(credentials(), page.cursor)
            seen |= {post.external_id for post in page.items}
            more = page.more
    assert len(seen) == 30


async def test_since_ends_paging() -> None:
    server = Uploads([*range(100_000, 0, -2_000)])
    made = with_handler(server)
    since = START + timedelta(minutes=90_000)
    with pages_of(20):
        page = await made.posts(credentials(), None, since)
        assert [int(post.external_id) for post in page.items] == [*range(100_000, 89_999, -2_000)]
        server.calls.clear()
        while page.more:
            page = await made.posts(credentials(), page.cursor, since)
            assert not page.items
        assert len(server.calls) < 5, "paging continues for a month below `since` at most"


async def test_a_channel_without_videos_is_empty_and_one_that_is_gone_is_gone() -> None:
    missing = refused(404, "playlistNotFound")
    made, requests = with_responses(missing, listing({"id": CHANNEL_ID, "snippet": {"title": "Us"}}))
    page = await made.posts(credentials(), None)
    assert (page.items, page.more) == ((), False)
    assert requests[0].url.params["playlistId"] == f"UU{CHANNEL_ID[2:]}"
    made, _ = with_responses(missing, listing())
    with pytest.raises(Gone):
        await made.posts(credentials(), None)


async def test_uploads_of_another_id_are_found() -> None:
    details = {"relatedPlaylists": {"uploads": "UUother"}}
    channel = listing({"id": CHANNEL_ID, "snippet": {"title": "Us"}, "contentDetails": details})
    made, requests = with_responses(refused(404, "playlistNotFound"), channel, listing(), listing())
    page = await made.posts(credentials(), None)
    assert (page.items, page.more) == ((), True)
    page = await made.posts(credentials(), page.cursor)
    await made.posts(credentials(), page.cursor)
    assert [request.url.params.get("playlistId") for request in requests[2:]] == ["UUother", "UUother"]


async def test_a_video_that_becomes_public_later_is_found_where_it_was_uploaded(stage: Subject) -> None:
    """Below the first page it is read by the first poll of the next day, with an API key or the owner's token."""
    day = 24 * 3600
    late = stage.let("post", text="Scheduled", category=f"public_after:{day}")
    for number in range(60):
        stage.post(f"Post {number}")
    for kind in (Token.APP, Token.COMMUNITY):
        c = stage.c
        stage.c = replace(c, tokens={kind: c.tokens[kind]})
        listed, cursor = await posts(stage)
        assert "Scheduled" not in {post.text for post in listed}, kind
        stage.c = c
    stage.clock.at += day
    stage.later(day)
    listed, cursor = await posts(stage, cursor)
    (post,) = [post for post in listed if post.text == "Scheduled"]
    published = datetime.fromisoformat(late["at"]) + timedelta(days=1)
    assert post.published_at == published.replace(microsecond=0)
    paths(stage)
    await posts(stage, cursor)
    assert paths(stage) == ["playlistItems", "videos"], "the next poll of that day does not read as far"


async def test_private_videos_are_no_posts(stage: Subject) -> None:
    stage.let("post", text="Never", category="private")
    stage.post("Public")
    stage.c = replace(stage.c, tokens={Token.COMMUNITY: stage.c.tokens[Token.COMMUNITY]})
    listed, _ = await posts(stage)
    assert listed[0].text == "Public"
    assert "Never" not in {post.text for post in listed}


async def test_counters_hidden_by_the_owner_are_missing(stage: Subject) -> None:
    stage.let("post", text="Quiet", category="comments_off")
    stage.let("post", text="Shy", category="likes_hidden")
    listed, _ = await posts(stage)
    shy, quiet = listed[:2]
    for metrics in (shy.metrics, *await YouTube(stage.http).metrics(stage.c, (shy.external_id,))):
        assert set(metrics.counters) == {Metric.VIEWS, Metric.COMMENTS}
        assert metrics.missing[Metric.REACTIONS] is MetricStatus.UNSUPPORTED
    assert set(quiet.metrics.counters) == {Metric.VIEWS, Metric.REACTIONS}
    assert quiet.url == f"https://www.youtube.com/watch?v={quiet.external_id}"


async def test_live_and_announced_videos_are_posts() -> None:
    """An upcoming broadcast has no views yet."""
    snippet = {"publishedAt": "2026-11-01T00:00:00Z", "title": "Live", "liveBroadcastContent": "upcoming"}
    video = {"id": "v", "snippet": snippet, "statistics": {"likeCount": "2"}, "status": {"privacyStatus": "public"}}
    made, _ = with_responses(listing(Uploads().entry(1)), listing(video))
    (post,) = (await made.posts(credentials(), None)).items
    assert post.metrics.counters == {Metric.REACTIONS: 2}
