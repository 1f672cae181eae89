"""YouTube's recorded responses, from python-youtube."""

from datetime import datetime
from typing import Any, Final

import httpx
import pytest

from app.platforms.capabilities import ReplyTo
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
from app.platforms.youtube.adapter import YouTube
from tests.platforms.recorded import Recorded, ResponseCheck

ADDRESS = "https://www.youtube.com/channel/UC_x5XG1OV2P6uZZ5FSM9Ttw"


def own_credentials(external_id: str | None = "UC_x5XG1OV2P6uZZ5FSM9Ttw") -> Credentials:
    tokens = {Token.APP: "a-key", Token.COMMUNITY: "a-token", Token.REFRESH: "a-refresh-token"}
    return Credentials(
        ADDRESS, "https://youtube.googleapis.com", external_id, tokens, {"client_id": "us", "client_secret": "hush"}
    )


def with_responses(*answers: object) -> YouTube:
    left = list(answers)
    return YouTube(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=left.pop(0)))))


def assert_same_counters(counters: dict[Metric, int], raw: dict[str, Any]) -> None:
    """`favoriteCount` and `dislikeCount` are deprecated and not read."""
    names = {Metric.VIEWS: "viewCount", Metric.REACTIONS: "likeCount", Metric.COMMENTS: "commentCount"}
    statistics = raw.get("statistics", {})
    assert counters == {metric: int(statistics[name]) for metric, name in names.items() if name in statistics}


def assert_same_message(message: RemoteMessage, raw: dict[str, Any]) -> None:
    said = raw["snippet"]
    assert message.external_id == raw["id"]
    assert message.text == said["textDisplay"].strip()
    assert message.sent_at == datetime.fromisoformat(said["publishedAt"])
    assert message.author.name == said["authorDisplayName"]
    assert message.author.external_id == said["authorChannelId"]["value"]
    assert message.in_reply_to == said.get("parentId")
    edited = said["updatedAt"] if said["updatedAt"] != said["publishedAt"] else None
    assert message.edited_at == (datetime.fromisoformat(edited) if edited else None)


async def channels(raw: Any) -> None:
    for item in raw["items"]:
        snapshot = await with_responses({**raw, "items": [item]}).community(own_credentials())
        assert (snapshot.external_id, snapshot.title) == (item["id"], item["snippet"]["title"])
        statistics = item.get("statistics", {})
        hidden = statistics.get("hiddenSubscriberCount", True)
        assert snapshot.size == (None if hidden else int(statistics["subscriberCount"]))


async def videos(raw: Any) -> None:
    entries = [
        {"snippet": {"publishedAt": item["snippet"]["publishedAt"], "resourceId": {"videoId": item["id"]}}}
        for item in raw["items"]
    ]
    listing = {"kind": "youtube#playlistItemListResponse", "items": entries}
    page = await with_responses(listing, raw).posts(own_credentials(), None)
    assert [post.external_id for post in page.items] == [item["id"] for item in raw["items"]]
    for post, item in zip(page.items, raw["items"], strict=True):
        assert post.published_at == datetime.fromisoformat(item["snippet"]["publishedAt"])
        assert post.text.startswith(item["snippet"]["title"])
        assert_same_counters(dict(post.metrics.counters), item)
    results = await with_responses(raw).metrics(own_credentials(), tuple(item["id"] for item in raw["items"]))
    for metrics, item in zip(results, raw["items"], strict=True):
        assert_same_counters(dict(metrics.counters), item)
        assert metrics.counters.keys() | metrics.missing.keys() == set(Metric)


async def playlist_items(raw: Any) -> None:
    requests: list[httpx.Request] = []

    def server(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=raw if request.url.path.endswith("Items") else {"kind": "k", "items": []})

    made = YouTube(httpx.AsyncClient(transport=httpx.MockTransport(server)))
    page = await made.posts(own_credentials(), None)
    video_ids = [item["snippet"]["resourceId"]["videoId"] for item in raw["items"]]
    assert requests[1].url.params["id"].split(",") == video_ids
    assert page.more == ("nextPageToken" in raw)


async def threads(raw: Any) -> None:
    page = await with_responses(raw).conversations(own_credentials(), None)
    roots = [item["snippet"]["topLevelComment"] for item in raw["items"]]
    assert len(page.items) == len(roots)
    for message, root, item in zip(page.items, roots, raw["items"], strict=True):
        assert_same_message(message, root)
        assert message.post_id == item["snippet"].get("videoId")
    answered = any(item["snippet"]["totalReplyCount"] for item in raw["items"])
    assert page.more == (answered or "nextPageToken" in raw)


async def comments(raw: Any) -> None:
    """As the replies to a comment, the only list of comments that the adapter requests."""
    thread = {
        "id": raw["items"][0]["snippet"].get("parentId", "Ugw"),
        "snippet": {"topLevelComment": raw["items"][0], "totalReplyCount": 9},
    }
    made = with_responses({"kind": "youtube#commentThreadListResponse", "items": [thread]}, raw)
    first = await made.comments(own_credentials(), "JE8xdDp5B8Q", None)
    assert first.more
    page = await made.comments(own_credentials(), "JE8xdDp5B8Q", first.cursor)
    assert page.more == ("nextPageToken" in raw)
    assert len(page.items) == len(raw["items"])
    for message, item in zip(page.items, raw["items"], strict=True):
        item["snippet"].setdefault("parentId", thread["id"])
        assert_same_message(message, item)


async def reply(raw: Any) -> None:
    to = ReplyTo("Ugy.1", "t", MessageKind.COMMENT, RemotePerson("UC1", "x"), "JE8xdDp5B8Q")
    sent = await with_responses(raw).reply(own_credentials(), to, raw["snippet"]["textOriginal"], "key")
    assert sent.external_id == raw["id"]
    assert sent.sent_at == datetime.fromisoformat(raw["snippet"]["publishedAt"])


async def new_thread(raw: Any) -> None:
    """From `commentThreads.insert`, which the adapter does not call; parsed, it is a thread like any other."""
    await threads({"kind": "youtube#commentThreadListResponse", "items": [raw]})


async def token(raw: Any) -> None:
    granted = await with_responses(raw).refresh(own_credentials())
    assert granted[Token.COMMUNITY].text == raw["access_token"]
    lifetime = granted[Token.COMMUNITY].lifetime
    assert lifetime is not None
    assert lifetime.total_seconds() == raw["expires_in"]
    assert granted[Token.REFRESH].text == raw["refresh_token"]


async def refused(raw: Any) -> None:
    answer = httpx.Response(raw["error"]["code"], json=raw)
    made = YouTube(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)))
    expected = {400: AuthExpired, 403: MissingPermission}[raw["error"]["code"]]
    with pytest.raises(expected):
        await made.community(own_credentials())


ROOT = "youtube/python-youtube/testdata"
DATA = f"{ROOT}/apidata"
RECORDED: Final = Recorded(
    files=(f"{ROOT}/**/*.json",),
    left_out={
        f"{DATA}/i18ns/.*": "languages and regions",
        f"{DATA}/channel_sections/.*": "the shelves of a channel's page",
        f"{DATA}/search/.*": "search.list costs 100 units and is never called",
        f"{DATA}/categories/.*": "the categories of videos",
        f"{DATA}/activities/.*": "recent activities of a channel: the uploads are read instead",
        f"{DATA}/playlists/.*": "playlists: the id of the uploads' one is derived",
        f"{DATA}/captions/.*": "subtitles",
        f"{DATA}/abuse_reasons/.*": "reporting videos",
        f"{DATA}/members/.*": "paying members",
        f"{DATA}/subscriptions/.*": "the subscriptions of a channel",
        f"{DATA}/channel_banners/.*": "pictures of a channel's page",
        f"{DATA}/videos/get_rating_response": "the token owner's rating of a video",
        f"{DATA}/videos/insert_response": "the upload of a video",
        f"{DATA}/playlist_items/insert_response": "adding to a playlist",
        f"{DATA}/channels/update_resp": "changing a channel",
        f"{DATA}/user_profile": "the profile of the token's owner",
    },
    checks={
        f"{ROOT}/error_response|{DATA}/error_.*": ResponseCheck("refusals", refused, refused=True),
        f"{DATA}/access_token": ResponseCheck("tokens", token),
        f"{DATA}/comments/insert_response": ResponseCheck("a created comment", reply),
        f"{DATA}/comment_threads/insert_response": ResponseCheck("comment threads", new_thread),
        f"{DATA}/channel_info_.*|{DATA}/channels/.*": ResponseCheck("channels", channels),
        f"{DATA}/videos/.*": ResponseCheck("videos", videos),
        f"{DATA}/playlist_items/.*": ResponseCheck("playlist items", playlist_items),
        f"{DATA}/comment_threads/.*": ResponseCheck("comment threads", threads),
        f"{DATA}/comments/.*": ResponseCheck("comments", comments),
    },
    schemas={"youtube/discovery/*": "Google's own schema, checked by the sandbox's tests"},
)
