"""Bluesky's views, rendered from the world. Source: the lexicons of bluesky-social/atproto."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import orjson

from sandbox import instants
from sandbox.bluesky import ids
from sandbox.bluesky.repos import Repos
from sandbox.entities import PEOPLE_PER_COMMUNITY, Community, Dialog, Entry, Notice
from sandbox.network import Network
from sandbox.people import Person, person

Json = dict[str, object]

_CDN: Final = "https://cdn.bsky.app/img"
_CONVO: Final = "chat.bsky.convo.defs"
_FEED: Final = "app.bsky.feed.defs"
REASONS: Final = {"favourite": "like", "reblog": "repost", "follow": "follow"}
COLLECTIONS: Final = {
    "favourite": "app.bsky.feed.like",
    "reblog": "app.bsky.feed.repost",
    "follow": "app.bsky.graph.follow",
}


class ViewRenderer:
    """Renders views for one caller; `viewer`: whether it is authenticated."""

    def __init__(self, network: Network, *, viewer: bool) -> None:
        self._world = network.world
        self._repos = network.extra_state(Repos)
        self._by_number = {c.profile.number: c for c in network.communities("bluesky")}
        self._viewer = viewer

    # ── actors ────────────────────────────────────────────────────────────────────────────────

    def actor(self, text: str) -> Community | Person | None:
        """The account with this DID or handle."""
        number = ids.parse_did(text)
        if number is None:
            return self._named(text.lower())
        return self._by_number.get(number) or self._person(number)

    def _named(self, handle: str) -> Community | Person | None:
        community = next((c for c in self._by_number.values() if ids.handle(c) == handle), None)
        number = handle.partition(".")[0].rpartition("-")[2]
        if community is not None or not number.isdecimal() or len(number) > 15:
            return community
        candidate = self._person(int(number))
        return candidate if candidate is not None and ids.handle(candidate) == handle else None

    def _person(self, number: int) -> Person | None:
        community = self._by_number.get(number // PEOPLE_PER_COMMUNITY)
        return None if community is None else person(number, community.profile.language)

    def author(self, c: Community, entry: Entry) -> Community | Person:
        return c if entry.person is None else person(entry.person, c.profile.language)

    def author_did(self, c: Community, entry: Entry) -> str:
        return self.did(self.author(c, entry))

    @staticmethod
    def did(actor: Community | Person) -> str:
        return ids.did(actor.profile.number if isinstance(actor, Community) else actor.number)

    def basic(self, actor: Community | Person) -> Json:
        viewer = {"viewer": {"muted": False, "blockedBy": False}} if self._viewer else {}
        return {
            "did": self.did(actor),
            "handle": ids.handle(actor),
            "displayName": actor.profile.title if isinstance(actor, Community) else actor.name,
            "avatar": f"{_CDN}/avatar/plain/{self.did(actor)}/{ids.cid(self.did(actor), raw=True)}@jpeg",
            "associated": {"chat": {"allowIncoming": "all"}},
            **viewer,
            "labels": [],
            "createdAt": instants.text(self._world.began - 300 * instants.DAY),
        }

    def detailed(self, actor: Community | Person) -> Json:
        if isinstance(actor, Community):
            about, followers, follows, posts = actor.profile.about, len(actor.followers), 12, len(actor.authored)
        else:
            about, followers, follows, posts = "", actor.followers, actor.following, 1 + actor.number % 500
        return {
            **self.basic(actor),
            "description": about,
            "followersCount": followers,
            "followsCount": follows,
            "postsCount": posts,
            "indexedAt": instants.text(self._world.began - 300 * instants.DAY),
        }

    # ── posts ─────────────────────────────────────────────────────────────────────────────────

    def rkey(self, c: Community, entry: Entry) -> str:
        written = self._repos.written(c, entry.id)
        return ids.rkey(entry.id) if written is None else written.rkey

    def uri(self, c: Community, entry: Entry) -> str:
        return ids.uri(self.author_did(c, entry), ids.POST, self.rkey(c, entry))

    def ref(self, c: Community, entry: Entry) -> Json:
        record = orjson.dumps(self.record(c, entry), option=orjson.OPT_SORT_KEYS)
        return {"uri": self.uri(c, entry), "cid": ids.cid(record)}

    def record(self, c: Community, entry: Entry) -> Json:
        """The record. The world stores a customer's text only; a mention of our handle is put in front."""
        written = self._repos.written(c, entry.id)
        if written is not None:
            return written.value
        record: Json = {
            "$type": ids.POST,
            "createdAt": entry.claimed or instants.text(entry.at),
            "langs": [c.profile.language],
        }
        text, above = entry.text, self.above(c, entry)
        if entry.person is not None and entry.kind == "mention" and above is None:
            name = f"@{ids.handle(c)}"
            text = f"{name} {entry.text}"
            mention = {"$type": "app.bsky.richtext.facet#mention", "did": self.did(c)}
            record["facets"] = [{"index": {"byteStart": 0, "byteEnd": len(name)}, "features": [mention]}]
        if above is not None:
            root = above
            while (higher := self.above(c, root)) is not None:
                root = higher
            record["reply"] = {"root": self.ref(c, root), "parent": self.ref(c, above)}
        embed = self._attached_embed(entry)
        return {**record, "text": text} if embed is None else {**record, "text": text, "embed": embed}

    def _attached_embed(self, entry: Entry) -> Json | None:
        """What a customer attached, as a record has it: pictures, or one video."""

        def blob(cid: str, mime_type: str) -> Json:
            return {"$type": "blob", "ref": {"$link": cid}, "mimeType": mime_type, "size": 4096}

        videos, pictures = _attached(entry, "video"), _attached(entry, "picture")
        if videos:
            name, cid = videos[0]
            return {"$type": "app.bsky.embed.video", "video": blob(cid, "video/mp4"), "alt": name}
        images = [{"image": blob(cid, "image/jpeg"), "alt": name} for name, cid in pictures]
        return {"$type": "app.bsky.embed.images", "images": images} if images else None

    def above(self, c: Community, entry: Entry) -> Entry | None:
        """The parent; a deleted one is referred to as long as it has replies."""
        above = entry.parent if entry.parent is not None else entry.post
        return None if above is None else c.wall.get(above)

    def sort_at(self, c: Community, entry: Entry) -> int:
        """`sortAt`: the earlier of `indexedAt` and `createdAt`."""
        written = self._repos.written(c, entry.id)
        claimed = entry.claimed if written is None else str(written.value["createdAt"])
        return min(entry.at, (milliseconds(claimed) if claimed else None) or entry.at)

    def post(self, c: Community, entry: Entry) -> Json:
        embed = self._embed(c, entry)
        return {
            **self.ref(c, entry),
            "author": self.basic(self.author(c, entry)),
            "record": self.record(c, entry),
            **({} if embed is None else {"embed": embed}),
            "bookmarkCount": entry.saves,
            "replyCount": len(self.answers(c, entry)),
            "repostCount": entry.shares,
            "likeCount": len(entry.reactors),
            "quoteCount": entry.quotes,
            "indexedAt": instants.text(entry.at),
            **({"viewer": {"bookmarked": False, "threadMuted": False}} if self._viewer else {}),
            "labels": [],
        }

    def _embed(self, c: Community, entry: Entry) -> Json | None:
        if entry.attachments:
            return self._attached_view(c, entry)
        if not entry.media:
            return None
        base = f"{{}}/plain/{self.author_did(c, entry)}/{{}}@jpeg"
        images = []
        for number, (blob, alt) in enumerate(self._pictures(c, entry)):
            thumb, full = (f"{_CDN}/{base.format(size, blob)}" for size in ("feed_thumbnail", "feed_fullsize"))
            images.append({"thumb": f"{thumb}#{number}", "fullsize": f"{full}#{number}", "alt": alt})
        return {"$type": "app.bsky.embed.images#view", "images": images}

    def _attached_view(self, c: Community, entry: Entry) -> Json | None:
        """What a customer attached, with the addresses that the record does not have."""
        did = self.author_did(c, entry)
        videos, pictures = _attached(entry, "video"), _attached(entry, "picture")
        if videos:
            name, cid = videos[0]
            playlist = f"https://video.bsky.app/watch/{did}/{cid}/playlist.m3u8"
            return {"$type": "app.bsky.embed.video#view", "cid": cid, "playlist": playlist, "alt": name}
        images = []
        for name, cid in pictures:
            thumb, full = (f"{_CDN}/{size}/plain/{did}/{cid}@jpeg" for size in ("feed_thumbnail", "feed_fullsize"))
            images.append({"thumb": thumb, "fullsize": full, "alt": name})
        return {"$type": "app.bsky.embed.images#view", "images": images} if images else None

    def _pictures(self, c: Community, entry: Entry) -> list[tuple[str, str]]:
        """Each picture's blob and alternative text."""
        written = self._repos.written(c, entry.id)
        embed = {} if written is None else written.value.get("embed", {})
        images = embed.get("images", []) if isinstance(embed, dict) else []
        alts = [str(one.get("alt", "")) for one in images] or [""] * len(entry.media)
        blobs = [str(c.media[one].detail["cid"]) if one in c.media else ids.cid(one, raw=True) for one in entry.media]
        return list(zip(blobs, alts, strict=True))

    def answers(self, c: Community, entry: Entry) -> list[Entry]:
        """The existing direct replies, newest first."""
        replies = (c.wall.get(reply) for reply in reversed(entry.replies))
        return [reply for reply in replies if reply is not None and not reply.deleted]

    def thread(self, c: Community, entry: Entry, depth: int, height: int) -> Json:
        """A post with up to `depth` levels of replies and up to `height` ancestors. Replies below a
        deleted one are left out, as in Bluesky."""
        rendered: Json = {"$type": f"{_FEED}#threadViewPost", "post": self.post(c, entry)}
        above = self.above(c, entry)
        if height and above is not None:
            if above.deleted:
                rendered["parent"] = {"$type": f"{_FEED}#notFoundPost", "uri": self.uri(c, above), "notFound": True}
            else:
                rendered["parent"] = self.thread(c, above, 0, height - 1)
        if depth:
            rendered["replies"] = [self.thread(c, one, depth - 1, 0) for one in self.answers(c, entry)]
        return rendered

    # ── notifications ─────────────────────────────────────────────────────────────────────────

    def reason(self, c: Community, notice: Notice) -> str | None:
        """The notification's reason; None where its subject is gone, or is no post."""
        entry = None if notice.entry is None else c.wall.get(notice.entry)
        if notice.type != "mention":
            exists = notice.person in c.followers if notice.type == "follow" else entry is not None
            liked = notice.type != "favourite" or (entry is not None and notice.person in entry.reactors)
            return REASONS[notice.type] if exists and liked else None
        if entry is None or entry.deleted:
            return None
        return "mention" if entry.kind == "mention" and self.above(c, entry) is None else "reply"

    def notification(self, c: Community, notice: Notice, reason: str) -> Json:
        entry = None if notice.entry is None else c.wall.get(notice.entry)
        author = person(notice.person, c.profile.language)
        rendered: Json = {"author": {**self.basic(author), "description": ""}, "reason": reason, "isRead": False}
        if notice.type == "mention" and entry is not None:
            above = self.above(c, entry)
            rendered |= {**self.ref(c, entry), "record": self.record(c, entry)}
            rendered |= {} if above is None else {"reasonSubject": self.uri(c, above)}
        else:
            collection, subject = COLLECTIONS[notice.type], None if entry is None else self.ref(c, entry)
            record: Json = {"$type": collection, "createdAt": instants.text(notice.at)}
            record["subject"] = self.did(c) if subject is None else subject
            rendered |= {"uri": ids.uri(self.did(author), collection, ids.rkey(notice.at << 16 | notice.id & 0xFFFF))}
            rendered |= {"cid": ids.cid(orjson.dumps(record)), "record": record}
            rendered |= {} if subject is None else {"reasonSubject": subject["uri"]}
        return {**rendered, "indexedAt": instants.text(notice.at), "labels": []}

    # ── direct messages ───────────────────────────────────────────────────────────────────────

    def convo(self, c: Community, dialog: Dialog) -> Json:
        last = c.mail[dialog.messages[-1]]
        accepted = any(c.mail[one].person is None for one in dialog.messages)
        members: list[Community | Person] = [c, person(dialog.person, c.profile.language)]
        return {
            "id": ids.tid(dialog.person),
            "rev": ids.rkey(last.id),
            "members": [{**self.basic(one), "chatDisabled": False} for one in members],
            "lastMessage": {"$type": f"{_CONVO}#messageView", **self.message(c, last)},
            "muted": False,
            "status": "accepted" if accepted else "request",
            "unreadCount": dialog.unread,
            "kind": {"$type": f"{_CONVO}#directConvo"},
        }

    def message(self, c: Community, entry: Entry) -> Json:
        return {
            "id": ids.rkey(entry.id),
            "rev": ids.rkey(entry.id),
            "text": entry.text,
            "sender": {"did": self.author_did(c, entry)},
            "sentAt": instants.text(entry.at),
        }


def _attached(entry: Entry, kind: str) -> list[tuple[str, str]]:
    """The name and the hash of each file of this kind that a customer attached."""
    return [(one.name, ids.cid(f"{entry.id}-{one.number}", raw=True)) for one in entry.attachments if one.kind == kind]


def milliseconds(text: str) -> int | None:
    """A record's instant in milliseconds; records may hold invalid ones."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round(at.timestamp() * 1000) if at.tzinfo is not None else round(at.replace(tzinfo=UTC).timestamp() * 1000)
