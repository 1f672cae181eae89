"""Every recorded answer of YouTube's: understood rightly, or a typed error, or none of ours, and why."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.platforms.abilities import ReplyTo
from app.platforms.adapters.youtube import YouTube
from app.platforms.contract import (
    AuthExpired,
    Credentials,
    MessageKind,
    Metric,
    MissingPermission,
    RemoteMessage,
    RemotePerson,
    Token,
)
from tests.platforms.data import data

FOLDER = "youtube/python-youtube/testdata"
ADDRESS = "https://www.youtube.com/channel/UC_x5XG1OV2P6uZZ5FSM9Ttw"

NOT_OURS = {
    "apidata/i18ns/": "languages and regions",
    "apidata/channel_sections/": "the shelves of a channel's page",
    "apidata/search/": "search.list costs 100 units and is never called",
    "apidata/categories/": "the categories of videos",
    "apidata/activities/": "what a channel did lately: uploads say it better",
    "apidata/playlists/": "playlists, of which the uploads' is known by its id",
    "apidata/captions/": "subtitles",
    "apidata/abuse_reasons/": "reporting videos",
    "apidata/members/": "paying members",
    "apidata/subscriptions/": "whom a channel follows",
    "apidata/channel_banners/": "pictures of a channel's page",
    "apidata/videos/get_rating_response.json": "how the token's owner rated a video",
    "apidata/videos/insert_response.json": "the upload of a video",
    "apidata/playlist_items/insert_response.json": "adding to a playlist",
    "apidata/channels/update_resp.json": "changing a channel",
    "apidata/user_profile.json": "who signed in",
}


def us(external_id: str | None = "UC_x5XG1OV2P6uZZ5FSM9Ttw") -> Credentials:
    tokens = {Token.APP: "a-key", Token.COMMUNITY: "a-token", Token.REFRESH: "a-refresh-token"}
    return Credentials(
        ADDRESS, "https://youtube.googleapis.com", external_id, tokens, {"client_id": "us", "client_secret": "hush"}
    )


def served(*answers: object) -> YouTube:
    left = list(answers)
    return YouTube(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=left.pop(0)))))


def same_counters(counters: dict[Metric, int], raw: dict[str, Any]) -> None:
    """`favoriteCount` and `dislikeCount` are nobody's concern any more."""
    names = {Metric.VIEWS: "viewCount", Metric.REACTIONS: "likeCount", Metric.COMMENTS: "commentCount"}
    given = raw.get("statistics", {})
    assert counters == {metric: int(given[name]) for metric, name in names.items() if name in given}


def same_message(message: RemoteMessage, raw: dict[str, Any]) -> None:
    said = raw["snippet"]
    assert message.external_id == raw["id"]
    assert message.text == said["textDisplay"].strip()
    assert message.sent_at == datetime.fromisoformat(said["publishedAt"])
    assert message.author.name == said["authorDisplayName"]
    assert message.author.external_id == said["authorChannelId"]["value"]
    assert message.in_reply_to == said.get("parentId")
    edited = said["updatedAt"] if said["updatedAt"] != said["publishedAt"] else None
    assert message.edited_at == (datetime.fromisoformat(edited) if edited else None)


async def channels(raw: Any) -> str:
    for item in raw["items"]:
        snapshot = await served({**raw, "items": [item]}).community(us())
        assert (snapshot.external_id, snapshot.title) == (item["id"], item["snippet"]["title"])
        given = item.get("statistics", {})
        hidden = given.get("hiddenSubscriberCount", True)
        assert snapshot.size == (None if hidden else int(given["subscriberCount"]))
    return "channels"


async def videos(raw: Any) -> str:
    entries = [
        {"snippet": {"publishedAt": item["snippet"]["publishedAt"], "resourceId": {"videoId": item["id"]}}}
        for item in raw["items"]
    ]
    listing = {"kind": "youtube#playlistItemListResponse", "items": entries}
    page = await served(listing, raw).posts(us(), None)
    assert [post.external_id for post in page.items] == [item["id"] for item in raw["items"]]
    for post, item in zip(page.items, raw["items"], strict=True):
        assert post.published_at == datetime.fromisoformat(item["snippet"]["publishedAt"])
        assert post.text.startswith(item["snippet"]["title"])
        same_counters(dict(post.metrics.counters), item)
    found = await served(raw).metrics(us(), tuple(item["id"] for item in raw["items"]))
    for metrics, item in zip(found, raw["items"], strict=True):
        same_counters(dict(metrics.counters), item)
        assert metrics.counters.keys() | metrics.missing.keys() == set(Metric)
    return "videos"


async def playlist_items(raw: Any) -> str:
    asked: list[httpx.Request] = []

    def server(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=raw if request.url.path.endswith("Items") else {"kind": "k", "items": []})

    made = YouTube(httpx.AsyncClient(transport=httpx.MockTransport(server)))
    page = await made.posts(us(), None)
    wanted = [item["snippet"]["resourceId"]["videoId"] for item in raw["items"]]
    assert asked[1].url.params["id"].split(",") == wanted
    assert page.more == ("nextPageToken" in raw)
    return "playlist items"


async def threads(raw: Any) -> str:
    page = await served(raw).conversations(us(), None)
    tops = [item["snippet"]["topLevelComment"] for item in raw["items"]]
    assert len(page.items) == len(tops)
    for message, top, item in zip(page.items, tops, raw["items"], strict=True):
        same_message(message, top)
        assert message.post_id == item["snippet"].get("videoId")
    answered = any(item["snippet"]["totalReplyCount"] for item in raw["items"])
    assert page.more == (answered or "nextPageToken" in raw)
    return "comment threads"


async def comments(raw: Any) -> str:
    """As the answers to a comment, which is how a list of comments comes to us."""
    thread = {
        "id": raw["items"][0]["snippet"].get("parentId", "Ugw"),
        "snippet": {"topLevelComment": raw["items"][0], "totalReplyCount": 9},
    }
    made = served({"kind": "youtube#commentThreadListResponse", "items": [thread]}, raw)
    first = await made.comments(us(), "JE8xdDp5B8Q", None)
    assert first.more
    page = await made.comments(us(), "JE8xdDp5B8Q", first.cursor)
    assert page.more == ("nextPageToken" in raw)
    assert len(page.items) == len(raw["items"])
    for message, item in zip(page.items, raw["items"], strict=True):
        item["snippet"].setdefault("parentId", thread["id"])
        same_message(message, item)
    return "comments"


async def reply(raw: Any) -> str:
    to = ReplyTo("Ugy.1", "t", MessageKind.COMMENT, RemotePerson("UC1", "x"), "JE8xdDp5B8Q")
    sent = await served(raw).reply(us(), to, raw["snippet"]["textOriginal"], "key")
    assert sent.external_id == raw["id"]
    assert sent.sent_at == datetime.fromisoformat(raw["snippet"]["publishedAt"])
    return "a comment that was made"


async def new_thread(raw: Any) -> str:
    """Made by `commentThreads.insert`, which is not called; read, it is a thread like others."""
    return await threads({"kind": "youtube#commentThreadListResponse", "items": [raw]})


async def token(raw: Any) -> str:
    granted = await served(raw).refresh(us())
    assert granted[Token.COMMUNITY].text == raw["access_token"]
    lifetime = granted[Token.COMMUNITY].lifetime
    assert lifetime is not None
    assert lifetime.total_seconds() == raw["expires_in"]
    assert granted[Token.REFRESH].text == raw["refresh_token"]
    return "tokens"


async def refused(raw: Any) -> str:
    answer = httpx.Response(raw["error"]["code"], json=raw)
    made = YouTube(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)))
    wanted = {400: AuthExpired, 403: MissingPermission}[raw["error"]["code"]]
    with pytest.raises(wanted):
        await made.community(us())
    return "refusals: typed errors"


OURS: dict[str, Callable[[Any], Any]] = {
    "error_response.json": refused,
    "apidata/error_permission_resp.json": refused,
    "apidata/access_token.json": token,
    "apidata/comments/insert_response.json": reply,
    "apidata/comment_threads/insert_response.json": new_thread,
    "apidata/channel_info_": channels,
    "apidata/channels/": channels,
    "apidata/videos/": videos,
    "apidata/playlist_items/": playlist_items,
    "apidata/comment_threads/": threads,
    "apidata/comments/": comments,
}


async def check(folder: Path, path: Path) -> str:
    """Hold one recording against an independent reading; what it turned out to be."""
    name = str(path.relative_to(folder))
    if any(name.startswith(known) for known in NOT_OURS):
        return "none of ours"
    reading = next(reading for known, reading in OURS.items() if name.startswith(known))
    result: str = await reading(json.loads(path.read_text()))
    return result


async def test_every_recording_is_understood_or_accounted_for() -> None:
    folder = data(FOLDER)
    found = Counter([await check(folder, path) for path in sorted(folder.rglob("*.json"))])
    print(dict(found))  # noqa: T201 — the counts are what this test is read for
    assert found == {
        "channels": 4,
        "videos": 6,
        "playlist items": 5,
        "comment threads": 8,
        "comments": 4,
        "a comment that was made": 1,
        "tokens": 1,
        "refusals: typed errors": 2,
        "none of ours": 53,
    }


def test_every_reason_for_leaving_one_out_is_needed() -> None:
    folder = data(FOLDER)
    names = [str(path.relative_to(folder)) for path in folder.rglob("*.json")]
    assert all(any(name.startswith(known) for name in names) for known in (*NOT_OURS, *OURS))


async def test_a_changed_recording_is_noticed() -> None:
    """The readings above can fail."""
    raw = json.loads((data(FOLDER) / "apidata/videos/videos_info_multi.json").read_text())
    raw["items"][0]["statistics"] = {"viewCount": "7 views"}
    with pytest.raises(Exception, match="not understood at items"):
        await videos(raw)
