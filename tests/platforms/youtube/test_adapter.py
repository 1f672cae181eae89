"""YouTube: addresses, the channel, tokens, costs and the quota."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

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
    Adapter,
    AuthExpired,
    Gone,
    LimitScope,
    MessageKind,
    MissingPermission,
    RateLimit,
    RemotePerson,
    Throttled,
    Token,
)
from app.platforms.youtube.adapter import ADAPTER, YouTube
from app.platforms.youtube.errors import FORCE_SSL, midnight_after
from tests.platforms.contract.stage import Subject
from tests.platforms.youtube.server import (
    ACCESS,
    CHANNEL_ID,
    KEY,
    REFRESH,
    cost,
    credentials,
    listing,
    refused,
    with_responses,
)


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
    requests_before = len(stage.transport.requests)
    assert await made.inspect(replace(c, tokens={Token.APP: KEY})) == {}
    assert len(stage.transport.requests) == requests_before


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
