"""The list endpoints, `comments.insert`, and their shared quota."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.entities import Community, Entry
from sandbox.grants import Grant
from sandbox.ledger import Fields
from sandbox.network import BadParameterError, Network, Params, json_response
from sandbox.youtube import ids, tokens, wire_models
from sandbox.youtube.channels import Channels
from sandbox.youtube.errors import RefusedError, refusal
from sandbox.youtube.wire_models import Json

PACIFIC: Final = ZoneInfo("America/Los_Angeles")
AT_ONCE: Final = 50
TEXT_LIMIT: Final = 10_000
ANSWERING: Final = 50
"""Quota units of `comments.insert`; a list costs 1."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose API key or token is valid."""

    network: Network
    params: Params
    grant: Grant
    body: bytes

    @property
    def parts(self) -> Collection[str]:
        """The resource parts requested. Raises `RefusedError` if there are none."""
        parts = {part.strip() for said in self.params.all("part") for part in said.split(",")} - {""}
        if not parts:
            raise RefusedError("missingRequiredParameter")
        return parts

    def named(self, name: str) -> list[str]:
        """The comma-separated ids of a parameter, without duplicates. Raises `RefusedError` for more than 50."""
        values = [one.strip() for said in self.params.all(name) for one in said.split(",")]
        if len(values) > AT_ONCE:
            raise RefusedError("invalidParameter")
        return list(dict.fromkeys(one for one in values if one))

    def size(self, default: int, least: int, most: int) -> int:
        max_results = self.params.integer("maxResults", default)
        if max_results is None or not least <= max_results <= most:
            raise RefusedError("invalidParameter")
        return max_results

    @property
    def now(self) -> int:
        return self.network.world.now

    @property
    def plain(self) -> bool:
        return self.params.get("textFormat") == "plainText"

    def channel(self, channel_id: str) -> Community | None:
        channels = (c for c in self.network.communities("youtube") if c.profile.external_id == channel_id)
        return next(channels, None)

    def sees(self, c: Community, video: Entry) -> bool:
        """Whether this caller may see the video; only the owner sees one that is not public."""
        owner = self.grant.kind == "community" and self.grant.community == c.key
        return owner or wire_models.is_public(video, self.now)

    def entry(self, number: int | None, kind: str) -> tuple[Community, Entry] | None:
        """A video or comment that exists and is visible to this caller, else None."""
        for c in self.network.communities("youtube"):
            entry = None if number is None else self.network.world.entry(c, number)
            if entry is None or entry.kind != kind:
                continue
            video = c.wall.get(entry.post) if entry.post is not None else entry
            if video is not None and self.sees(c, video):
                return c, entry
        return None


Handler: TypeAlias = Callable[[Call], object]


def routes(network: Network) -> list[Route]:
    """All endpoints."""
    table: tuple[tuple[str, str, int, Handler], ...] = (
        ("GET", "channels", 1, channels),
        ("GET", "playlistItems", 1, playlist_items),
        ("GET", "videos", 1, videos),
        ("GET", "commentThreads", 1, comment_threads),
        ("GET", "comments", 1, comments),
        ("POST", "comments", ANSWERING, insert),
    )
    listed = [
        Route(f"/youtube/v3/{path}", _endpoint(network, handler, units), methods=[method])
        for method, path, units, handler in table
    ]

    async def fetch(request: Request) -> Response:
        return await tokens.fetch(network, request)

    async def inspect(request: Request) -> Response:
        return await tokens.inspect(network, request)

    return [*listed, Route("/token", fetch, methods=["POST"]), Route("/tokeninfo", inspect, methods=["GET", "POST"])]


def _endpoint(network: Network, handler: Handler, units: int) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            params = Params(list(request.query_params.multi_items()))
            network.tick()
            grant = tokens.authenticate(network, request, params)
            _count(network, grant, units)
            response = json_response(handler(Call(network, params, grant, await request.body())))
        except RefusedError as refused:
            response = refusal(*refused.args)
        except BadParameterError:
            response = refusal("invalidParameter")
        response.headers["Date"] = format_datetime(datetime.fromtimestamp(int(network.real()), UTC), usegmt=True)
        return response

    return endpoint


def _count(network: Network, grant: Grant, units: int) -> None:
    """Count `units` of the daily quota: per API key, or shared by all access tokens. Days are Pacific time."""
    today = datetime.fromtimestamp(network.real(), PACIFIC).replace(hour=0, minute=0, second=0, microsecond=0)
    project = grant.name if grant.kind == "app" else "application"
    # The date in the key ends the window at midnight, also on a day of 25 hours.
    key, limit, seconds = f"youtube/{project}/{today.date()}", network.limits["youtube_units"], 2 * 86_400
    allowance = network.counter.window(key, limit, seconds, cost=units, start=today.timestamp())
    if allowance.refused:
        raise RefusedError("quotaExceeded")


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────


def channels(call: Call) -> Json:
    all_of_them = call.network.communities("youtube")
    if ids_requested := call.named("id"):
        channels = [c for one in ids_requested if (c := call.channel(one)) is not None]
    elif "forHandle" in call.params or "forUsername" in call.params:
        name = call.params.get("forHandle") or call.params.get("forUsername")
        channels = [c for c in all_of_them if c.key == name.removeprefix("@").lower()]
    elif call.params.flag("mine") and call.grant.kind == "community":
        channels = [call.network.world.communities[call.grant.community]]
    else:
        raise RefusedError("missingRequiredParameter")
    hidden = call.network.extra_state(Channels).hidden
    items = [wire_models.channel(c, call.parts, hidden=c.key in hidden) for c in channels]
    return wire_models.listing("channel", items, len(items), 5)


def playlist_items(call: Call) -> Json:
    """A channel's uploads, newest first, paged by offset."""
    c = next((c for c in call.network.communities("youtube") if ids.uploads(c) == call.params.get("playlistId")), None)
    seen = [] if c is None else [c.wall[one] for one in reversed(c.posts) if call.sees(c, c.wall[one])]
    if c is None or not seen:
        raise RefusedError("playlistNotFound")
    size, start = call.size(5, 0, 50), _offset(call.params.get("pageToken"))
    page_entries = seen[start : start + size]
    items = [wire_models.playlist_item(c, one, start + n, call.now, call.parts) for n, one in enumerate(page_entries)]
    links = {}
    if start + size < len(seen):
        links["nextPageToken"] = _page_token(start + size, back=False)
    if start > 0:
        links["prevPageToken"] = _page_token(max(start - size, 0), back=True)
    return wire_models.listing("playlistItem", items, len(seen), size, **links)


def _page_token(offset: int, *, back: bool) -> str:
    """The offset and direction as a protocol buffer: `CAoQAA` is offset 10, forward."""
    groups = [offset & 0x7F]
    while offset := offset >> 7:
        groups[-1] |= 0x80
        groups.append(offset & 0x7F)
    return ids.text(bytes([0x08, *groups, 0x10, int(back)]))


def _offset(token: str) -> int:
    if not token:
        return 0
    said = ids.number(token)
    if said is None or len(said) < 4 or said[0] != 0x08 or said[-2] != 0x10:
        raise RefusedError("invalidPageToken")
    return sum((group & 0x7F) << 7 * place for place, group in enumerate(said[1:-2]))


def videos(call: Call) -> Json:
    """The requested videos that exist and are visible, of any channel."""
    video_ids = call.named("id")
    if not video_ids:
        raise RefusedError("missingRequiredParameter")
    entries = [one for name in video_ids if (one := call.entry(ids.entry_of(name), "post")) is not None]
    items = [wire_models.video(c, entry, call.now, call.parts) for c, entry in entries]
    return wire_models.listing("video", items, len(items), len(items))


def comment_threads(call: Call) -> Json:
    """The top-level comments of a video, or of all of a channel's videos, newest first."""
    tokens.permitted(call.grant)
    if call.params.get("order", "time") != "time":
        raise RefusedError("invalidParameter")
    if said := call.params.get("allThreadsRelatedToChannelId"):
        c = call.channel(said)
        if c is None:
            raise RefusedError("channelNotFound")
        posts = [c.wall[one] for one in c.posts]
    elif said := call.params.get("videoId"):
        video = call.entry(ids.entry_of(said), "post")
        if video is None:
            raise RefusedError("videoNotFound")
        c, posts = video[0], [video[1]]
        if not wire_models.has_comments(video[1]):
            raise RefusedError("commentsDisabled")
    else:
        raise RefusedError("missingRequiredParameter")
    under = [post for post in posts if call.sees(c, post) and wire_models.has_comments(post)]
    tops = [c.wall[one] for post in under for one in post.replies]
    standing = sorted(
        (root_comment for root_comment in tops if wire_models.top_of(c, root_comment) is root_comment),
        key=lambda root_comment: -root_comment.id,
    )
    page_entries, links, size = _page(call, standing)
    items = [wire_models.thread(c, root_comment, call.parts, plain=call.plain) for root_comment in page_entries]
    return wire_models.listing("commentThread", items, len(items), size, **links)


def comments(call: Call) -> Json:
    """The replies to a top-level comment, newest first."""
    tokens.permitted(call.grant)
    root = call.entry(ids.comment_of(call.params.get("parentId")), "comment")
    root_comment = None if root is None else wire_models.top_of(*root)
    if root is None or root_comment is not root[1]:
        raise RefusedError("commentNotFound" if "parentId" in call.params else "missingRequiredParameter")
    c = root[0]
    page_entries, links, size = _page(call, wire_models.answers(c, root_comment))
    items = [wire_models.comment(c, root_comment, one, call.parts, plain=call.plain) for one in page_entries]
    return wire_models.listing("comment", items, len(items), size, **links)


def _page(call: Call, entries: Sequence[Entry]) -> tuple[Sequence[Entry], dict[str, str], int]:
    """A page of comments, its links and size. The token names the last comment shown, so that pages do not shift."""
    size, start = call.size(20, 1, 100), 0
    if token := call.params.get("pageToken"):
        below = ids.entry_of(token.removeprefix("Q2"))
        if below is None or not token.startswith("Q2"):
            raise RefusedError("invalidPageToken")
        start = bisect_left(entries, -below, key=lambda entry: -entry.id)
        start += start < len(entries) and entries[start].id == below
    page_entries = entries[start : start + size]
    more = start + size < len(entries)
    return page_entries, {"nextPageToken": f"Q2{ids.video(page_entries[-1])}"} if more else {}, size


# ── answering ─────────────────────────────────────────────────────────────────────────────────────


def insert(call: Call) -> Json:
    """Reply to a top-level comment. Not idempotent: a repeated request makes another reply."""
    if call.grant.kind != "community":
        raise RefusedError("required")
    tokens.permitted(call.grant)
    try:
        said = orjson.loads(call.body)["snippet"]
        parent, text = str(said.get("parentId", "")), str(said.get("textOriginal", "")).strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RefusedError("invalidParameter") from None
    if not parent:
        raise RefusedError("parentIdMissing")
    if not text or len(text) > TEXT_LIMIT:
        raise RefusedError("commentTextTooLong" if text else "commentTextRequired")
    parent_entry = call.entry(ids.comment_of(parent), "comment")
    if parent_entry is None or (root_comment := wire_models.top_of(*parent_entry)) is None:
        raise RefusedError("parentCommentNotFound")
    if root_comment is not parent_entry[1]:
        raise RefusedError("operationNotSupported")
    c, world = call.network.world.communities[call.grant.community], call.network.world
    if parent_entry[0] is not c or not wire_models.has_comments(c.wall[root_comment.post or 0]):
        raise RefusedError("forbidden")
    fields = Fields(via="comment", post=str(root_comment.post), parent=str(root_comment.id), text=text)
    made = c.wall[int(world.emit("reply", c, "api", **fields)["id"])]
    return wire_models.comment(c, root_comment, made, call.parts, plain=False)
