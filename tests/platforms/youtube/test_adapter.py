"""The YouTube adapter: against a changing list, against the sandbox, and with given responses."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.platforms.capabilities import (
    Inspects,
    ListsComments,
    MeasuresAcross,
    Publishes,
    Receives,
    Refreshes,
    Replies,
    ReplyTo,
)
from app.platforms.contract import (
    COST,
    Adapter,
    AuthExpired,
    Cost,
    Credentials,
    Gone,
    LimitScope,
    MessageKind,
    Metric,
    MetricStatus,
    MissingPermission,
    Page,
    RateLimit,
    Rejected,
    RemoteMessage,
    RemotePerson,
    RemotePost,
    Throttled,
    Token,
)
from app.platforms.youtube import adapter as module
from app.platforms.youtube.adapter import ADAPTER, YouTube
from app.platforms.youtube.errors import FORCE_SSL, midnight_after
from tests.platforms.contract.stage import Subject, staged

CHANNEL_ID = "UC_x5XG1OV2P6uZZ5FSM9Ttw"
KEY, ACCESS, REFRESH = "AIza-key-12345", "ya29-access-12345", "1//0refresh-12345"
START = datetime(2026, 11, 1, tzinfo=UTC)
BASE = "https://youtube.googleapis.com"


def credentials(
    *kinds: Token, external_id: str | None = CHANNEL_ID, address: str = "https://www.youtube.com/@us"
) -> Credentials:
    texts = {Token.APP: KEY, Token.COMMUNITY: ACCESS, Token.REFRESH: REFRESH}
    app = {"client_id": "us", "client_secret": "hush"}
    return Credentials(address, BASE, external_id, {kind: texts[kind] for kind in kinds or (Token.APP,)}, app)


def with_handler(handler: Callable[[httpx.Request], httpx.Response]) -> YouTube:
    return YouTube(httpx.AsyncClient(transport=httpx.MockTransport(handler)))


def with_responses(*answers: object) -> tuple[YouTube, list[httpx.Request]]:
    left, requests = list(answers), list[httpx.Request]()

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        answer = left.pop(0)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    return with_handler(handler), requests


def listing(*items: object, **more: object) -> dict[str, object]:
    return {"kind": "youtube#someListResponse", "items": list(items), **more}


def refused(status: int, reason: str, **headers: str) -> httpx.Response:
    error = {"code": status, "message": "no", "errors": [{"reason": reason}]}
    return httpx.Response(status, json={"error": error}, headers=headers)


@pytest.fixture
async def stage() -> AsyncIterator[Subject]:
    async with staged("youtube", YouTube) as subject:
        yield subject


async def posts(s: Subject, cursor: str | None = None) -> tuple[list[RemotePost], str | None]:
    """All posts from a cursor on, and the last cursor."""
    items, more = list[RemotePost](), True
    while more:
        page = await YouTube(s.http).posts(s.c, cursor)
        items, cursor, more = [*items, *page.items], page.cursor, page.more
    return items, cursor


async def messages(
    read: Callable[[str | None], Any], cursor: str | None = None
) -> tuple[list[RemoteMessage], str | None]:
    items, more = list[RemoteMessage](), True
    while more:
        page: Page[RemoteMessage] = await read(cursor)
        items, cursor, more = [*items, *page.items], page.cursor, page.more
    return items, cursor


def paths(s: Subject) -> list[str]:
    """The last path segments of the requests since the last call."""
    names = [request.url.path.rpartition("/")[2] for request in s.way.requests]
    s.way.requests.clear()
    return names


# ── capabilities ──────────────────────────────────────────────────────────────────────────────────


def test_the_adapter_has_youtubes_capabilities() -> None:
    made: Adapter = with_responses()[0]
    assert ADAPTER is YouTube
    for ability in (ListsComments, MeasuresAcross, Replies, Refreshes, Inspects):
        assert isinstance(made, ability)
    assert not isinstance(made, Publishes)
    assert not isinstance(made, Receives)
    assert YouTube.spec.publishing is None
    assert not YouTube.spec.public
    assert YouTube.spec.rate_limits == (
        RateLimit(10_000, 86_400, LimitScope.TOKEN, "units", Token.APP),
        RateLimit(10_000, 86_400, LimitScope.APP, "units", Token.COMMUNITY),
    )


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("https://www.youtube.com/@GoogleDevelopers", "https://www.youtube.com/@googledevelopers"),
        ("youtube.com/@GoogleDevelopers/videos", "https://www.youtube.com/@googledevelopers"),
        ("http://m.youtube.com/@a.b-c_d/", "https://www.youtube.com/@a.b-c_d"),
        (" @GoogleDevelopers ", "https://www.youtube.com/@googledevelopers"),
        ("https://www.youtube.com/@%D0%92%D0%B5%D0%BB%D0%BE", "https://www.youtube.com/@вело"),
        (f"https://www.youtube.com/channel/{CHANNEL_ID}", f"https://www.youtube.com/channel/{CHANNEL_ID}"),
        (f"youtube.com/channel/{CHANNEL_ID}/about?view=1", f"https://www.youtube.com/channel/{CHANNEL_ID}"),
        (CHANNEL_ID, f"https://www.youtube.com/channel/{CHANNEL_ID}"),
        ("https://www.youtube.com/c/GoogleDevelopers", "https://www.youtube.com/c/googledevelopers"),
        ("https://www.youtube.com/user/GoogleDevelopers/", "https://www.youtube.com/user/googledevelopers"),
    ],
)
def test_addresses_have_one_spelling(text: str, canonical: str) -> None:
    address = YouTube.address(text)
    assert (address.canonical, address.base_url) == (canonical, None)
    assert YouTube.address(address.canonical) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GoogleDevelopers",
        "@",
        "@a b",
        "https://www.youtube.com",
        "https://www.youtube.com/watch?v=JE8xdDp5B8Q",
        "https://www.youtube.com/channel/UCshort",
        "https://www.youtube.com/channel/",
        "https://youtu.be/JE8xdDp5B8Q",
        "https://youtube.com.evil.example/@name",
        "https://user:pass@www.youtube.com/@name",
        "ftp://www.youtube.com/@name",
        "https://[not/@a",
    ],
)
def test_an_invalid_address_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="YouTube channel's address"):
        YouTube.address(text)


# ── the channel ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("address", "query"),
    [
        ("https://www.youtube.com/@us", {"forHandle": "@us"}),
        ("https://www.youtube.com/c/us", {"forHandle": "@us"}),
        ("https://www.youtube.com/user/us", {"forUsername": "us"}),
        (f"https://www.youtube.com/channel/{CHANNEL_ID}", {"id": CHANNEL_ID}),
    ],
)
async def test_a_channel_is_looked_up_once(address: str, query: dict[str, str]) -> None:
    channel = {
        "id": CHANNEL_ID,
        "snippet": {"title": "Us", "customUrl": "@us"},
        "statistics": {"subscriberCount": "1090"},
    }
    made, requests = with_responses(listing(channel), listing(channel))
    snapshot = await made.community(credentials(external_id=None, address=address))
    assert (snapshot.external_id, snapshot.title, snapshot.size) == (CHANNEL_ID, "Us", 1090)
    assert snapshot.url == "https://www.youtube.com/@us"
    await made.community(credentials(address=address))
    assert query.items() <= dict(requests[0].url.params).items()
    assert requests[1].url.params["id"] == CHANNEL_ID


async def test_a_hidden_size_is_unknown(stage: Subject) -> None:
    world, c = stage.sandbox.network.world, stage.community
    for number in range(1234 - len(c.followers)):
        world.emit("follow", c, "control", person=c.number_of(800_000 + number))
    assert (await YouTube(stage.http).community(stage.c)).size == 1230
    world.emit("youtube_size", c, "control", kind="hidden")
    assert (await YouTube(stage.http).community(stage.c)).size is None


async def test_a_channel_that_is_not_there_is_gone() -> None:
    made, _ = with_responses({"kind": "youtube#channelListResponse", "pageInfo": {"totalResults": 0}})
    with pytest.raises(Gone):
        await made.community(credentials())


# ── tokens and costs ──────────────────────────────────────────────────────────────────────────────


def cost(request: httpx.Request) -> tuple[str, Token | None, dict[str, int]]:
    charged = request.extensions[COST]
    assert isinstance(charged, Cost)
    return charged.token, charged.kind, dict(charged.units)


async def test_an_api_key_is_preferred_and_appears_in_no_url() -> None:
    videos = listing({"id": "v", "statistics": {}})
    made, requests = with_responses(videos, videos)
    await made.metrics(credentials(Token.APP, Token.COMMUNITY), ("v",))
    await made.metrics(credentials(Token.COMMUNITY), ("v",))
    assert requests[0].headers["x-goog-api-key"] == KEY
    assert "authorization" not in requests[0].headers
    assert requests[1].headers["authorization"] == f"Bearer {ACCESS}"
    assert not any(secret in str(request.url) for request in requests for secret in (KEY, ACCESS))
    assert [cost(request) for request in requests] == [
        (KEY, Token.APP, {"units": 1}),
        (ACCESS, Token.COMMUNITY, {"units": 1}),
    ]


async def test_a_missing_token_is_named() -> None:
    made, requests = with_responses()
    with pytest.raises(AuthExpired) as caught:
        await made.posts(credentials(Token.REFRESH), None)
    assert caught.value.token is Token.APP
    to = ReplyTo("Ugw", "t", MessageKind.COMMENT, RemotePerson("UC1", "@x"), "v")
    with pytest.raises(AuthExpired) as caught:
        await made.reply(credentials(Token.APP), to, "text", "key")
    assert caught.value.token is Token.COMMUNITY
    assert not requests


@pytest.mark.parametrize(
    ("kinds", "answer", "token"),
    [
        ((Token.APP,), refused(400, "keyInvalid"), Token.APP),
        ((Token.APP,), refused(401, "required"), Token.APP),
        ((Token.COMMUNITY,), refused(401, "authError"), Token.COMMUNITY),
    ],
)
async def test_an_invalid_token_is_named(kinds: tuple[Token, ...], answer: httpx.Response, token: Token) -> None:
    made, _ = with_responses(answer)
    with pytest.raises(AuthExpired) as caught:
        await made.community(credentials(*kinds))
    assert caught.value.token is token


def test_only_a_refresh_token_with_the_application_renews() -> None:
    both = {"client_id", "client_secret"}
    assert YouTube.renewable({Token.REFRESH}, both) == {Token.COMMUNITY}
    assert YouTube.renewable({Token.REFRESH, Token.COMMUNITY}, {*both, "more"}) == {Token.COMMUNITY}
    assert not YouTube.renewable({Token.REFRESH}, {"client_id"})
    assert not YouTube.renewable({Token.COMMUNITY, Token.APP}, both)


async def test_an_access_token_is_fetched() -> None:
    said = {"access_token": "new", "expires_in": 3599, "scope": FORCE_SSL, "token_type": "Bearer"}
    made, requests = with_responses(
        said, {**said, "refresh_token": "next", "refresh_token_expires_in": 604_799}, {**said, "refresh_token": ""}
    )
    granted = await made.refresh(credentials(Token.REFRESH))
    assert set(granted) == {Token.COMMUNITY}, "Google returns no new refresh token"
    assert granted[Token.COMMUNITY].text == "new"
    assert granted[Token.COMMUNITY].lifetime == timedelta(seconds=3599)
    assert str(requests[0].url) == "https://oauth2.googleapis.com/token"
    assert cost(requests[0])[2] == {}
    form = dict(httpx.QueryParams(requests[0].content.decode()))
    assert form == {
        "grant_type": "refresh_token", "refresh_token": REFRESH, "client_id": "us", "client_secret": "hush",
    }  # fmt: skip
    granted = await made.refresh(credentials(Token.REFRESH))
    assert granted[Token.REFRESH].text == "next"
    assert granted[Token.REFRESH].lifetime == timedelta(seconds=604_799)
    granted = await made.refresh(replace(credentials(Token.REFRESH), base_url="http://127.0.0.1:9"))
    assert set(granted) == {Token.COMMUNITY}, "an empty refresh token must be ignored"
    assert str(requests[2].url) == "http://127.0.0.1:9/token"
    with pytest.raises(AuthExpired):
        await made.refresh(replace(credentials(Token.REFRESH), app={}))
    assert len(requests) == 3


async def test_what_a_token_may_do_and_how_long(stage: Subject) -> None:
    made, c = YouTube(stage.http), stage.c
    assert (await made.inspect(c))[Token.COMMUNITY].missing_scopes == ()
    narrow = stage.sandbox.network.grants.make(stage.community, "community", ["openid"], 600)
    state = (await made.inspect(replace(c, tokens={Token.COMMUNITY: narrow})))[Token.COMMUNITY]
    assert (state.missing_scopes, state.lifetime) == ((FORCE_SSL,), timedelta(seconds=600))
    with pytest.raises(MissingPermission) as caught:
        await made.conversations(replace(c, tokens={Token.COMMUNITY: narrow}), None)
    assert caught.value.scopes == (FORCE_SSL,)
    requests_before = len(stage.way.requests)
    assert await made.inspect(replace(c, tokens={Token.APP: KEY})) == {}
    assert len(stage.way.requests) == requests_before


# ── the quota ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        ("2026-07-01T06:59:59+00:00", 1 / 3600),
        ("2026-07-01T07:00:00+00:00", 24),
        ("2026-12-01T07:30:00+00:00", 0.5),
        ("2026-03-08T08:00:00+00:00", 23),
        ("2026-11-01T07:00:00+00:00", 25),
    ],
)
def test_a_day_ends_at_midnight_in_california(now: str, hours: float) -> None:
    moment = datetime.fromisoformat(now)
    assert midnight_after(moment) - moment.astimezone(UTC) == timedelta(hours=hours)


async def test_a_spent_quota_concerns_the_key_or_the_application() -> None:
    evening = {"date": "Mon, 23 Nov 2026 07:59:00 GMT"}
    made, _ = with_responses(
        *(refused(403, "quotaExceeded", **evening) for _ in range(2)), refused(403, "quotaExceeded")
    )
    with pytest.raises(Throttled) as caught:
        await made.community(credentials(Token.APP))
    assert (caught.value.scope, caught.value.retry_after) == (LimitScope.TOKEN, 60.0)
    with pytest.raises(Throttled) as caught:
        await made.community(credentials(Token.COMMUNITY))
    assert (caught.value.scope, caught.value.retry_after) == (LimitScope.APP, 60.0)
    with pytest.raises(Throttled) as caught:
        await made.community(credentials())
    assert caught.value.retry_after is None


async def test_a_limit_by_the_day_is_told_from_one_by_the_minute() -> None:
    def limit(unit: str) -> httpx.Response:
        info = {"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_unit": unit}}
        date = {"date": "Mon, 23 Nov 2026 07:00:00 GMT"}
        return httpx.Response(429, json={"error": {"details": ["?", info]}}, headers=date)

    made, _ = with_responses(limit("1/d/{project}"), limit("1/min/{project}"))
    for wait in (3600.0, None):
        with pytest.raises(Throttled) as caught:
            await made.community(credentials())
        assert caught.value.retry_after == wait


# ── videos ────────────────────────────────────────────────────────────────────────────────────────


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


# ── comments ──────────────────────────────────────────────────────────────────────────────────────


async def test_replies_beyond_the_embedded_ones_are_fetched(stage: Subject) -> None:
    post = stage.post()["id"]
    root = stage.comment(post, "Until when?", person=1)["id"]
    for number in range(8):
        stage.comment(post, f"And {number}", parent=root, person=10 + number)
    video = (await posts(stage))[0][0].external_id
    made = YouTube(stage.http)
    paths(stage)
    listed, cursor = await messages(lambda at: made.comments(stage.c, video, at))
    assert paths(stage) == ["commentThreads", "comments"]
    assert {message.text for message in listed} == {"Until when?", *(f"And {number}" for number in range(8))}
    first = next(message for message in listed if message.in_reply_to is None)
    assert {message.in_reply_to for message in listed} == {None, first.external_id}
    assert len({message.thread_id for message in listed}) == 9, "one thread for each customer and root comment"
    assert {message.post_id for message in listed} == {video}
    assert cursor == "{}", "the next poll reads everything again"


async def test_comments_are_read_down_to_the_last_one_seen(stage: Subject) -> None:
    post = stage.post()["id"]
    root = stage.comment(post, "Known", person=1)["id"]
    for number in range(8):
        stage.comment(post, f"Known {number}", parent=root, person=10 + number)
    made = YouTube(stage.http)

    async def read(cursor: str | None) -> Page[RemoteMessage]:
        return await made.conversations(stage.c, cursor)

    listed, cursor = await messages(read)
    assert sum(message.text.startswith("Known") for message in listed) >= 9
    stage.comment(post, "New", person=2)
    stage.comment(post, "An answer to an old one", parent=root, person=3)
    paths(stage)
    listed, cursor = await messages(read, cursor)
    assert "New" in {message.text for message in listed}
    assert paths(stage) == ["commentThreads"], "long threads already read are not read again each time"


async def test_an_own_reply_belongs_to_the_thread_of_the_person_addressed() -> None:
    def comment(key: str, by: str, name: str, text: str, **more: object) -> dict[str, object]:
        said = {"authorDisplayName": name, "authorChannelId": {"value": by}, "textDisplay": text, **more}
        return {"id": key, "snippet": {"publishedAt": "2026-11-01T00:00:00Z", **said}}

    answers = [
        comment("T.3", CHANNEL_ID, "@us", "@second Yes"),
        comment("T.2", CHANNEL_ID, "@us", "Gladly"),
        comment("T.1", "UC2", "@second", "Me too?"),
        {"id": "T.0", "snippet": {"publishedAt": "2026-11-01T00:00:00Z", "textDisplay": "gone"}},
    ]
    root = comment("T", "UC1", "@first", "Me?", updatedAt="2026-11-02T00:00:00Z")
    snippet = {"topLevelComment": root, "totalReplyCount": 4, "videoId": "v"}
    made, requests = with_responses(listing({"id": "T", "snippet": snippet, "replies": {"comments": answers}}))
    page = await made.comments(credentials(), "v", None)
    threads = {message.external_id: message.thread_id for message in page.items}
    assert threads == {"T": "T:UC1", "T.3": "T:UC2", "T.2": "T:UC1", "T.1": "T:UC2", "T.0": "T:unknown-T.0"}
    assert [message.author.is_community for message in page.items] == [False, True, True, False, False]
    assert page.items[0].edited_at == datetime(2026, 11, 2, tzinfo=UTC)
    assert page.items[1].edited_at is None
    assert page.items[1].url == "https://www.youtube.com/watch?v=v&lc=T.3"
    assert requests[0].url.params["textFormat"] == "plainText"


async def test_comments_that_are_switched_off_are_none(stage: Subject) -> None:
    stage.let("post", text="Quiet", category="comments_off")
    video = (await posts(stage))[0][0].external_id
    page = await YouTube(stage.http).comments(stage.c, video, None)
    assert (page.items, page.more) == ((), False)
    made, _ = with_responses(refused(403, "commentsDisabled"))
    cursor = '{"seen_until":"2026-11-01T00:00:00Z"}'
    page = await made.conversations(credentials(), cursor)
    assert (page.items, page.cursor, page.more) == ((), cursor, False)
    made, _ = with_responses(refused(403, "forbidden"), refused(400, "invalidParameter"))
    with pytest.raises(MissingPermission):
        await made.comments(credentials(), "v", None)
    with pytest.raises(Rejected):
        await made.comments(credentials(), "v", None)


async def test_a_comment_deleted_during_paging_has_no_replies(stage: Subject) -> None:
    post = stage.post()["id"]
    root = stage.comment(post, "Gone soon")
    for number in range(8):
        stage.comment(post, f"And {number}", parent=root["id"], person=10 + number)
    video = (await posts(stage))[0][0].external_id
    made = YouTube(stage.http)
    page = await made.comments(stage.c, video, None)
    assert page.more
    stage.delete(root)
    page = await made.comments(stage.c, video, page.cursor)
    assert (page.items, page.more) == ((), False)


# ── answering ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_reply_is_below_the_root_comment_and_addresses_the_author(stage: Subject) -> None:
    post = stage.post()["id"]
    root = stage.comment(post, "Until when?", person=1)["id"]
    stage.comment(post, "Yes, when?", parent=root, person=2)
    video = (await posts(stage))[0][0].external_id
    made = YouTube(stage.http)
    question, below = (await messages(lambda at: made.comments(stage.c, video, at)))[0]
    for message in (question, below):
        stage.later()
        to = ReplyTo(message.external_id, message.thread_id, message.kind, message.author, message.post_id)
        sent = await made.reply(stage.c, to, "Until six", "key")
        assert sent.external_id.startswith(f"{question.external_id}.")
        charged = cost(stage.way.requests[-1])
        assert (charged[1], charged[2]) == (Token.COMMUNITY, {"units": 50})
        listed = (await messages(lambda at: made.comments(stage.c, video, at)))[0]
        (ours,) = [one for one in listed if one.external_id == sent.external_id]
        assert ours.author.is_community
        assert ours.thread_id == message.thread_id
        mention = "" if message is question else f"{message.author.name} "
        assert ours.text == f"{mention}Until six"
        assert ours.url == sent.url
        assert ours.sent_at == sent.sent_at


async def test_nothing_but_comments_is_answered() -> None:
    made, requests = with_responses()
    to = ReplyTo("1", "t", MessageKind.MESSAGE, RemotePerson("UC1", "x"), None)
    with pytest.raises(Rejected):
        await made.reply(credentials(Token.COMMUNITY), to, "text", "key")
    assert not requests


async def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    said = {"error": {"message": f"no {ACCESS}", "errors": [{"reason": f"x {ACCESS}", "message": ACCESS}]}}
    made, _ = with_responses(httpx.Response(400, json=said))
    with pytest.raises(Rejected) as caught:
        await made.community(credentials(Token.COMMUNITY))
    assert ACCESS not in f"{caught.value} {caught.value!r} {caught.value.__dict__}"
    assert "400" in caught.value.message
