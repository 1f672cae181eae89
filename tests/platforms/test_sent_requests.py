"""Every request that an adapter sends is one that the platform's own schema has.

Each adapter is used with all its abilities against the sandbox, with all tokens and with each kind of token alone.
Where a schema is incomplete, the exception is listed with its reason, and an exception that is no longer needed
fails the test.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from types import ModuleType
from typing import Final
from urllib.parse import urlencode

import httpx
import pytest

from app.platforms import adapter, adapters
from app.platforms.contract import Token
from tests.platforms.contract.stage import BASE, Subject, staged
from tests.platforms.data import data
from tests.platforms.sent_requests import SentRequest, bluesky, mastodon, meta, telegram, vk, youtube
from tests.platforms.sent_requests.all_calls import every_request

FORM: Final = {"content-type": "application/x-www-form-urlencoded"}


def _sent(method: str, path: str, form: Mapping[str, str] | None = None) -> SentRequest:
    """A request whose path has `{id}` for the community's id."""
    content = b"" if form is None else urlencode(form).encode()
    return SentRequest(method, httpx.URL(f"{BASE}{path}"), httpx.Headers(FORM if form else {}), content)


SCHEMAS: Final[Mapping[str, ModuleType]] = {
    "bluesky": bluesky,
    "facebook": meta,
    "instagram": meta,
    "mastodon": mastodon,
    "telegram": telegram,
    "vk": vk,
    "youtube": youtube,
}
"""The module that validates an adapter's requests."""
WITHOUT_SCHEMA: Final = {"odnoklassniki"}
"""Platforms that publish none."""
WRONG: Final[Mapping[str, tuple[tuple[SentRequest, str], ...]]] = {
    "bluesky": (
        (
            _sent("GET", "/xrpc/app.bsky.feed.getPosts?uris=nonsense"),
            "app.bsky.feed.getPosts/uris/0: 'nonsense' is no at-uri",
        ),
        (_sent("GET", "/xrpc/app.bsky.feed.getPosts"), "app.bsky.feed.getPosts: uris is missing"),
        (
            _sent("POST", "/xrpc/app.bsky.feed.getPosts?uris=at://did:plc:a"),
            "app.bsky.feed.getPosts: a query is no POST",
        ),
        (
            _sent("GET", "/xrpc/chat.bsky.convo.listConvos?limit=5"),
            "chat.bsky.convo.listConvos: not sent to the chat's service",
        ),
    ),
    "facebook": (
        (_sent("GET", "/v26.0/me?fields=id,fans"), "fields of Page: no fans"),
        (_sent("GET", "/v26.0/me/feed?fields=comments.depth(2){id}"), "fields of PagePost: comments takes no depth"),
        (_sent("GET", "/v26.0/me/feed?limit=many"), "GET Page/feed: limit is no unsigned int"),
        (_sent("POST", "/v26.0/me/messages", {"message": "{}"}), "POST Page/messages: recipient is missing"),
        (_sent("POST", "/v26.0/me/photos", {"published": "no"}), "POST Page/photos: published is no bool"),
        (
            _sent("POST", "/v26.0/", {"batch": json.dumps([{"method": "GET", "relative_url": "v26.0/me?fields=age"}])}),
            "fields of Page: no age",
        ),
    ),
    "instagram": (
        (_sent("GET", "/v26.0/me/tags"), "GET Page/tags: no such request"),
        (_sent("POST", "/v26.0/{id}/mentions", {"message": "x"}), "POST IGUser/mentions: media_id is missing"),
        (
            _sent("GET", "/v26.0/{id}/media?fields=insights.metric(plays).period(lifetime)"),
            "insights of IGMedia: no metric plays",
        ),
    ),
    "mastodon": (
        (_sent("GET", "/api/v1/notifications?types=mention"), "GET /api/v1/notifications: types is a list"),
        (_sent("GET", "/api/v1/notifications?limit=few"), "GET /api/v1/notifications: limit is no integer"),
        (
            _sent("POST", "/api/v1/statuses", {"status": "x", "visibility": "secret"}),
            "POST /api/v1/statuses: visibility is none of ['public', 'unlisted', 'private', 'direct']",
        ),
        (_sent("POST", "/api/v1/statuses", {"language": "en"}), "POST /api/v1/statuses: status is missing"),
    ),
    "telegram": (
        (_sent("POST", "/botx/sendMessage", {"chat_id": "1"}), "sendMessage: text is missing"),
        (
            _sent("POST", "/botx/getUpdates", {"timeout": "soon"}),
            "getUpdates.timeout: 'soon' is no Integer",
        ),
    ),
    "vk": (
        (
            _sent("POST", "/method/messages.getHistory", {"v": "5.199", "rev": "2"}),
            "messages.getHistory: rev is none of [1, 0]",
        ),
        (
            _sent("POST", "/method/groups.getCallbackServers", {"v": "5.199"}),
            "groups.getCallbackServers: group_id is missing",
        ),
        (
            _sent("POST", "/method/messages.getHistory", {"v": "5.199", "count": "201"}),
            "messages.getHistory: count is above 200",
        ),
        (
            _sent("POST", "/method/photos.getWallUploadServer", {"v": "5.199", "group_id": "1"}),
            "photos.getWallUploadServer: not with a group's token",
        ),
    ),
    "youtube": (
        (_sent("GET", "/youtube/v3/videos?id=a"), "youtube.videos.list: part is missing"),
        (
            _sent("GET", "/youtube/v3/commentThreads?part=snippet&maxResults=101"),
            "youtube.commentThreads.list: maxResults is above 100",
        ),
        (
            _sent("GET", "/youtube/v3/commentThreads?part=snippet&order=newest"),
            "youtube.commentThreads.list: order is none of ['orderUnspecified', 'time', 'relevance']",
        ),
        (
            _sent("GET", "/youtube/v3/videos?part=snippet&hl=a&hl=b"),
            "youtube.videos.list: hl is repeated",
        ),
    ),
}
"""Requests by the community's token, with what is wrong about them."""


@asynccontextmanager
async def recorded(key: str) -> AsyncIterator[tuple[Subject, list[SentRequest]]]:
    """An adapter's stage, and the requests of all its abilities. Skips the test without the platforms' schemas."""
    data()
    async with staged(key, adapter(key)) as s:
        yield s, await every_request(s)


def test_every_platform_with_a_schema_is_checked() -> None:
    assert SCHEMAS.keys() | WITHOUT_SCHEMA == adapters().keys()
    assert not SCHEMAS.keys() & WITHOUT_SCHEMA


@pytest.mark.parametrize("key", sorted(SCHEMAS))
async def test_every_request_is_as_the_schema_says(key: str) -> None:
    module, accepted = SCHEMAS[key], SCHEMAS[key].EXCEPTIONS[key]
    async with recorded(key) as (s, requests):
        problems = {problem for sent in requests for problem in module.problems(sent, s)}
        assert sorted(problems - accepted.keys()) == []
        assert sorted(accepted.keys() - problems) == [], "these exceptions are not needed"
        # The control: with one more parameter, or to another path, each of the same requests is reported.
        for sent in {(one.method, one.path): one for one in requests if not module.problems(one, s)}.values():
            for wrong in (sent.with_parameter("nonsense", "1"), sent.at(f"{sent.path}/nonsense")):
                assert module.problems(wrong, s), f"{wrong.method} {wrong.url} is not reported"


@pytest.mark.parametrize("key", sorted(SCHEMAS))
async def test_a_wrong_request_is_reported(key: str) -> None:
    data()
    async with staged(key, adapter(key)) as s:
        for sent, problem in WRONG[key]:
            url = httpx.URL(str(sent.url).replace("%7Bid%7D", str(s.c.external_id)))
            bearer = {**sent.headers, "authorization": f"Bearer {s.c.tokens.get(Token.COMMUNITY, 'x')}"}
            assert SCHEMAS[key].problems(replace(sent, url=url, headers=httpx.Headers(bearer)), s) == [problem]
