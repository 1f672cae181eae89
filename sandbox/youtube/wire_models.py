"""YouTube's resources, rendered from the world. Source: the discovery document of youtube.v3."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

import orjson

from sandbox import instants
from sandbox.entities import Community, Entry
from sandbox.people import person
from sandbox.youtube import ids

Json = dict[str, object]

SITE: Final = "https://www.youtube.com"
SHOWN: Final = 5
"""So many answers come with the comment they stand under."""


def rounded(size: int) -> int:
    """What is shown of a channel's size: three digits, rounded down."""
    step: int = 10 ** max(len(str(size)) - 3, 0)
    return size // step * step


def moment(at: int) -> str:
    """Whole seconds."""
    return datetime.fromtimestamp(at // instants.SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def resource(kind: str, resource_id: str, parts: Json, wanted: Collection[str]) -> Json:
    """Those of its parts that are wanted, and a tag that changes when they do."""
    shown = {"id": resource_id, **{name: part for name, part in parts.items() if name in wanted}}
    return {"kind": f"youtube#{kind}", "etag": tag(shown), **shown}


def listing(kind: str, items: list[Json], total: int, size: int, **tokens: str) -> Json:
    """A page of resources; where there are none, they are not named."""
    named: Json = {"items": items} if items else {}
    page = {"totalResults": total, "resultsPerPage": size}
    return {"kind": f"youtube#{kind}ListResponse", "etag": tag(items), **tokens, "pageInfo": page, **named}


def tag(content: object) -> str:
    return ids.text(hashlib.sha1(orjson.dumps(content), usedforsecurity=False).digest())


# ── videos ────────────────────────────────────────────────────────────────────────────────────────


def public_from(entry: Entry) -> int | None:
    """When a video became public, or will; None for one that never does.

    A post's category tells: `private`, or `public_after:` and seconds; any other is public at once.
    """
    if entry.category == "private":
        return None
    name, _, seconds = entry.category.partition(":")
    return entry.at + int(seconds) * instants.SECOND if name == "public_after" and seconds.isdecimal() else entry.at


def is_public(entry: Entry, now: int) -> bool:
    since = public_from(entry)
    return since is not None and since <= now


def has_comments(entry: Entry) -> bool:
    """Whether comments are switched on; they are not under a post of the category `comments_off`."""
    return entry.category != "comments_off"


def _pictures(where: str) -> Json:
    sizes = {"default": (120, 90), "medium": (320, 180), "high": (480, 360)}
    return {name: {"url": f"{where}/{name}.jpg", "width": w, "height": h} for name, (w, h) in sizes.items()}


def _words(entry: Entry) -> tuple[str, str]:
    title, _, description = entry.text.partition("\n")
    return title[:100], title[100:] + description


def channel(c: Community, wanted: Collection[str], *, hidden: bool) -> Json:
    words = {"title": c.profile.title, "description": c.profile.about}
    shown: Json = {} if hidden else {"subscriberCount": str(rounded(len(c.followers)))}
    parts: Json = {
        "snippet": {
            **words, "customUrl": f"@{c.key}", "publishedAt": "2015-03-01T09:00:00Z", "localized": words,
            "thumbnails": _pictures(f"https://yt3.example/{c.key}"), "country": "GB",
        },
        "contentDetails": {"relatedPlaylists": {"likes": "", "uploads": ids.uploads(c)}},
        "statistics": {
            "viewCount": str(sum(c.wall[one].views for one in c.posts)), **shown, "hiddenSubscriberCount": hidden,
            "videoCount": str(len(c.posts)),
        },
    }  # fmt: skip
    return resource("channel", c.profile.external_id, parts, wanted)


def playlist_item(c: Community, entry: Entry, position: int, now: int, wanted: Collection[str]) -> Json:
    title, description = _words(entry) if is_public(entry, now) else ("Private video", "This video is private.")
    since = public_from(entry)
    parts: Json = {
        "snippet": {
            "publishedAt": moment(entry.at), "channelId": c.profile.external_id, "title": title,
            "description": description, "thumbnails": _pictures(f"https://i.ytimg.example/{entry.id}"),
            "channelTitle": c.profile.title, "playlistId": ids.uploads(c), "position": position,
            "resourceId": {"kind": "youtube#video", "videoId": ids.video(entry)},
            "videoOwnerChannelTitle": c.profile.title, "videoOwnerChannelId": c.profile.external_id,
        },
        "contentDetails": {"videoId": ids.video(entry)} | (
            {"videoPublishedAt": moment(since)} if since is not None and is_public(entry, now) else {}
        ),
        "status": {"privacyStatus": "public" if is_public(entry, now) else "private"},
    }  # fmt: skip
    return resource("playlistItem", ids.text(b"upload" + entry.id.to_bytes(8, "big")), parts, wanted)


def video(c: Community, entry: Entry, now: int, wanted: Collection[str]) -> Json:
    """A video. Likes are hidden where its category says `likes_hidden`."""
    title, description = _words(entry)
    since = public_from(entry)
    public = is_public(entry, now)
    words = {"title": title, "description": description}
    likes = {} if entry.category == "likes_hidden" else {"likeCount": str(len(entry.reactors))}
    comments = {"commentCount": str(entry.comments)} if has_comments(entry) else {}
    parts: Json = {
        "snippet": {
            "publishedAt": moment(since if since is not None and public else entry.at),
            "channelId": c.profile.external_id, **words,
            "thumbnails": _pictures(f"https://i.ytimg.example/{entry.id}"), "channelTitle": c.profile.title,
            "categoryId": "22", "liveBroadcastContent": "none", "localized": words,
        },
        "statistics": {"viewCount": str(entry.views), **likes, "favoriteCount": "0", **comments},
        "status": {
            "uploadStatus": "processed", "privacyStatus": "public" if public else "private", "license": "youtube",
            "embeddable": True, "publicStatsViewable": True, "madeForKids": False,
        } | ({"publishAt": moment(since)} if since is not None and not public else {}),
        "contentDetails": {"duration": "PT4M13S", "dimension": "2d", "definition": "hd", "caption": "false"},
    }  # fmt: skip
    return resource("video", ids.video(entry), parts, wanted)


# ── comments ──────────────────────────────────────────────────────────────────────────────────────


def top_of(c: Community, entry: Entry) -> Entry | None:
    """The comment right below the video under which something stands; None where it is gone, or none."""
    while entry.parent is not None and (above := c.wall.get(entry.parent)) is not None:
        entry = above
    return entry if entry.kind == "comment" and entry.parent is None and not entry.deleted else None


def answers(c: Community, top: Entry) -> list[Entry]:
    """All that stands below it, newest first: there is one level of answers."""
    found: list[Entry] = []
    waiting = list(top.replies)
    while waiting:
        entry = c.wall[waiting.pop()]
        waiting.extend(entry.replies)
        if not entry.deleted:
            found.append(entry)
    return sorted(found, key=lambda entry: -entry.id)


def comment(c: Community, top: Entry, entry: Entry, wanted: Collection[str], *, plain: bool) -> Json:
    if entry.person is None:
        name, author = c.key, c.profile.external_id
    else:
        name, author = person(entry.person, c.profile.language).username, ids.person(entry.person)
    shown = entry.text if plain else html.escape(entry.text).replace("\n", "<br>")
    where: Json = {"channelId": c.profile.external_id, "videoId": ids.video(c.wall[entry.post or 0])}
    if entry is not top:
        where["parentId"] = ids.comment(top, top)
    said: Json = {
        **where, "textDisplay": shown, "textOriginal": entry.text, "authorDisplayName": f"@{name}",
        "authorProfileImageUrl": f"https://yt3.example/{name}.jpg", "authorChannelUrl": f"{SITE}/@{name}",
        "authorChannelId": {"value": author}, "canRate": True, "viewerRating": "none",
        "likeCount": len(entry.reactors), "publishedAt": moment(entry.at), "updatedAt": moment(entry.at),
    }  # fmt: skip
    return resource("comment", ids.comment(top, entry), {"snippet": said}, wanted)


def thread(c: Community, top: Entry, wanted: Collection[str], *, plain: bool) -> Json:
    below = answers(c, top)
    parts: Json = {
        "snippet": {
            "channelId": c.profile.external_id, "videoId": ids.video(c.wall[top.post or 0]),
            "topLevelComment": comment(c, top, top, {"snippet"}, plain=plain), "canReply": True,
            "totalReplyCount": len(below), "isPublic": True,
        }
    }  # fmt: skip
    if below:
        shown = [comment(c, top, one, {"snippet"}, plain=plain) for one in below[:SHOWN]]
        parts["replies"] = {"comments": shown}
    return resource("commentThread", ids.comment(top, top), parts, wanted)
