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
INLINE_REPLIES: Final = 5
"""Maximum number of replies included in a comment thread."""


def rounded(size: int) -> int:
    """A subscriber count rounded down to three significant digits."""
    step: int = 10 ** max(len(str(size)) - 3, 0)
    return size // step * step


def moment(at: int) -> str:
    """RFC 3339 text with whole seconds; `at` is in milliseconds."""
    return datetime.fromtimestamp(at // instants.SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def resource(kind: str, resource_id: str, parts: Json, selected_parts: Collection[str]) -> Json:
    """A resource with the selected parts, and an etag of its content."""
    content = {"id": resource_id, **{name: part for name, part in parts.items() if name in selected_parts}}
    return {"kind": f"youtube#{kind}", "etag": tag(content), **content}


def listing(kind: str, items: list[Json], total: int, size: int, **tokens: str) -> Json:
    """A list response; without items there is no `items` field."""
    named: Json = {"items": items} if items else {}
    page = {"totalResults": total, "resultsPerPage": size}
    return {"kind": f"youtube#{kind}ListResponse", "etag": tag(items), **tokens, "pageInfo": page, **named}


def tag(content: object) -> str:
    return ids.text(hashlib.sha1(orjson.dumps(content), usedforsecurity=False).digest())


# ── videos ────────────────────────────────────────────────────────────────────────────────────────


def public_from(entry: Entry) -> int | None:
    """When a video becomes public, in milliseconds since 1970; None for never.

    Taken from the category: `private`, or `public_after:` and seconds; any other is public at once.
    """
    if entry.category == "private":
        return None
    name, _, seconds = entry.category.partition(":")
    return entry.at + int(seconds) * instants.SECOND if name == "public_after" and seconds.isdecimal() else entry.at


def is_public(entry: Entry, now: int) -> bool:
    since = public_from(entry)
    return since is not None and since <= now


def has_comments(entry: Entry) -> bool:
    """Whether comments are enabled, that is, the category is not `comments_off`."""
    return entry.category != "comments_off"


def _pictures(where: str) -> Json:
    sizes = {"default": (120, 90), "medium": (320, 180), "high": (480, 360)}
    return {name: {"url": f"{where}/{name}.jpg", "width": w, "height": h} for name, (w, h) in sizes.items()}


def _title_and_description(entry: Entry) -> tuple[str, str]:
    title, _, description = entry.text.partition("\n")
    return title[:100], title[100:] + description


def channel(c: Community, selected_parts: Collection[str], *, hidden: bool) -> Json:
    localized = {"title": c.profile.title, "description": c.profile.about}
    statistics: Json = {} if hidden else {"subscriberCount": str(rounded(len(c.followers)))}
    parts: Json = {
        "snippet": {
            **localized, "customUrl": f"@{c.key}", "publishedAt": "2015-03-01T09:00:00Z", "localized": localized,
            "thumbnails": _pictures(f"https://yt3.example/{c.key}"), "country": "GB",
        },
        "contentDetails": {"relatedPlaylists": {"likes": "", "uploads": ids.uploads(c)}},
        "statistics": {
            "viewCount": str(sum(c.wall[one].views for one in c.posts)), **statistics, "hiddenSubscriberCount": hidden,
            "videoCount": str(len(c.posts)),
        },
    }  # fmt: skip
    return resource("channel", c.profile.external_id, parts, selected_parts)


def playlist_item(c: Community, entry: Entry, position: int, now: int, selected_parts: Collection[str]) -> Json:
    title, description = (
        _title_and_description(entry) if is_public(entry, now) else ("Private video", "This video is private.")
    )
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
    return resource("playlistItem", ids.text(b"upload" + entry.id.to_bytes(8, "big")), parts, selected_parts)


def video(c: Community, entry: Entry, now: int, selected_parts: Collection[str]) -> Json:
    """A video resource, without the like count if its category is `likes_hidden`."""
    title, description = _title_and_description(entry)
    since = public_from(entry)
    public = is_public(entry, now)
    localized = {"title": title, "description": description}
    likes = {} if entry.category == "likes_hidden" else {"likeCount": str(len(entry.reactors))}
    comments = {"commentCount": str(entry.comments)} if has_comments(entry) else {}
    parts: Json = {
        "snippet": {
            "publishedAt": moment(since if since is not None and public else entry.at),
            "channelId": c.profile.external_id, **localized,
            "thumbnails": _pictures(f"https://i.ytimg.example/{entry.id}"), "channelTitle": c.profile.title,
            "categoryId": "22", "liveBroadcastContent": "none", "localized": localized,
        },
        "statistics": {"viewCount": str(entry.views), **likes, "favoriteCount": "0", **comments},
        "status": {
            "uploadStatus": "processed", "privacyStatus": "public" if public else "private", "license": "youtube",
            "embeddable": True, "publicStatsViewable": True, "madeForKids": False,
        } | ({"publishAt": moment(since)} if since is not None and not public else {}),
        "contentDetails": {"duration": "PT4M13S", "dimension": "2d", "definition": "hd", "caption": "false"},
    }  # fmt: skip
    return resource("video", ids.video(entry), parts, selected_parts)


# ── comments ──────────────────────────────────────────────────────────────────────────────────────


def top_of(c: Community, entry: Entry) -> Entry | None:
    """The top-level comment of an entry's thread; None if it is deleted or there is none."""
    while entry.parent is not None and (above := c.wall.get(entry.parent)) is not None:
        entry = above
    return entry if entry.kind == "comment" and entry.parent is None and not entry.deleted else None


def answers(c: Community, root_comment: Entry) -> list[Entry]:
    """All replies below a comment as one level, newest first."""
    entries: list[Entry] = []
    waiting = list(root_comment.replies)
    while waiting:
        entry = c.wall[waiting.pop()]
        waiting.extend(entry.replies)
        if not entry.deleted:
            entries.append(entry)
    return sorted(entries, key=lambda entry: -entry.id)


def comment(c: Community, root_comment: Entry, entry: Entry, selected_parts: Collection[str], *, plain: bool) -> Json:
    if entry.person is None:
        name, author = c.key, c.profile.external_id
    else:
        name, author = person(entry.person, c.profile.language).username, ids.person(entry.person)
    display_text = entry.text if plain else html.escape(entry.text).replace("\n", "<br>")
    where: Json = {"channelId": c.profile.external_id, "videoId": ids.video(c.wall[entry.post or 0])}
    if entry is not root_comment:
        where["parentId"] = ids.comment(root_comment, root_comment)
    said: Json = {
        **where, "textDisplay": display_text, "textOriginal": entry.text, "authorDisplayName": f"@{name}",
        "authorProfileImageUrl": f"https://yt3.example/{name}.jpg", "authorChannelUrl": f"{SITE}/@{name}",
        "authorChannelId": {"value": author}, "canRate": True, "viewerRating": "none",
        "likeCount": len(entry.reactors), "publishedAt": moment(entry.at), "updatedAt": moment(entry.at),
    }  # fmt: skip
    return resource("comment", ids.comment(root_comment, entry), {"snippet": said}, selected_parts)


def thread(c: Community, root_comment: Entry, selected_parts: Collection[str], *, plain: bool) -> Json:
    below = answers(c, root_comment)
    parts: Json = {
        "snippet": {
            "channelId": c.profile.external_id, "videoId": ids.video(c.wall[root_comment.post or 0]),
            "topLevelComment": comment(c, root_comment, root_comment, {"snippet"}, plain=plain), "canReply": True,
            "totalReplyCount": len(below), "isPublic": True,
        }
    }  # fmt: skip
    if below:
        inline_replies = [comment(c, root_comment, one, {"snippet"}, plain=plain) for one in below[:INLINE_REPLIES]]
        parts["replies"] = {"comments": inline_replies}
    return resource("commentThread", ids.comment(root_comment, root_comment), parts, selected_parts)
