"""A Facebook Page, its posts and their comments: wire models, and their translation to the contract's types."""

import re
from collections.abc import Collection
from typing import Annotated, Final
from urllib.parse import parse_qs

from pydantic import BeforeValidator, Field, TypeAdapter

from app.platforms import wire
from app.platforms.addresses import on_site
from app.platforms.attachments import Objects
from app.platforms.capabilities import Event, MessageChange
from app.platforms.contract import (
    CommunitySnapshot,
    MessageKind,
    Metric,
    MetricStatus,
    PostMetrics,
    RemoteMessage,
    RemotePerson,
    RemotePost,
)
from app.platforms.meta import attachments
from app.platforms.meta import wire_models as graph
from app.platforms.meta.hooks import AnyTime, Change, Entry, event_id
from app.platforms.meta.insights import Counts, post_metrics, unavailable_metrics, without_unknown
from app.platforms.spec import BY_EVENT, BY_LIST, REREAD, NativeChange

CHANGES: Final = {
    NativeChange.ANSWER_TO_MESSAGE: BY_EVENT | BY_LIST,
    NativeChange.COMMENT_EDITED: BY_EVENT,
    NativeChange.COMMENT_DELETED: BY_EVENT,
    NativeChange.COMMENT_HIDDEN: BY_EVENT | REREAD,
    NativeChange.MESSAGE_EDITED: BY_EVENT,
}
"""What shows changes made on the platform itself, besides reading comments and posts again."""
NO_CHANGES: Final = frozenset(
    {NativeChange.ANSWER_TO_MENTION, NativeChange.MENTION_EDITED, NativeChange.MENTION_DELETED}
)
"""Mentions are not read."""

SITE: Final = "https://www.facebook.com"
HOSTS: Final = frozenset({"facebook.com", "www.facebook.com", "m.facebook.com", "web.facebook.com", "fb.com", "fb.me"})
NAME: Final = re.compile(r"[a-z0-9.]{1,80}")
NUMBERED: Final = re.compile(r"(?:.*[-/])?(\d{5,20})")
NOT_NAMES: Final = frozenset({"groups", "events", "watch", "marketplace", "share", "photo.php", "permalink.php"})

PAGE_FIELDS: Final = "id,name,link,username,followers_count,fan_count"
COUNTERS: Final = "shares,comments.filter(stream).summary(true).limit(0),reactions.summary(true).limit(0)"
POST_FIELDS: Final = f"id,created_time,message,story,permalink_url,{COUNTERS}"
METRIC_FIELDS: Final = f"id,{COUNTERS}"
COMMENT_FIELDS: Final = "id,created_time,message,from,parent{id,from},permalink_url,is_hidden,attachment"

INSIGHTS: Final = {"post_media_view": Metric.VIEWS, "post_total_media_view_unique": Metric.REACH}
"""The names since `post_impressions` and `post_impressions_unique` were retired (2025-11, 2026-06)."""
COUNTER_FIELDS: Final = {"shares": Metric.SHARES, "comments": Metric.COMMENTS, "reactions": Metric.REACTIONS}
SUPPORTED: Final = frozenset({Metric.VIEWS, Metric.REACH, Metric.REACTIONS, Metric.COMMENTS, Metric.SHARES})

POSTS: Final = frozenset({"post", "status", "photo", "video", "link", "share", "album", "reel"})
"""The items of `feed` events that are posts, if the Page is their author."""
EDITED: Final = frozenset({"edited", "edit", "update"})
REMOVED: Final = frozenset({"remove", "delete"})
HIDDEN: Final = {"hide": True, "unhide": False}


class Page(wire.Model):
    id: graph.NodeId
    name: wire.OptionalText = ""
    link: wire.StorableText | None = None
    username: wire.StorableText | None = None
    followers_count: wire.Count | None = None
    fan_count: wire.Count | None = None


class PageWithToken(wire.Model):
    """A Page, with its own token where the person whose token is used has a role on it."""

    id: graph.NodeId
    access_token: wire.OptionalText = ""


class Shares(wire.Model):
    count: wire.Count


class Counters(wire.Model):
    """A post's counters. Graph leaves `shares` out while there are none, as it does all that is empty."""

    id: graph.NodeId
    shares: Shares | None = None
    comments: graph.Summed = graph.Summed()
    reactions: graph.Summed = graph.Summed()

    @property
    def shared(self) -> int | None:
        """The number of shares; None where the response has no counters at all."""
        if self.shares is not None:
            return self.shares.count
        return None if self.reactions.count is None else 0


class Post(Counters):
    created_time: wire.Moment
    message: wire.OptionalText = ""
    story: wire.OptionalText = ""
    permalink_url: wire.StorableText | None = None


class Parent(wire.Model):
    id: graph.NodeId
    author: graph.OptionalPerson = Field(default=None, alias="from")


class Comment(wire.Model):
    """A comment. Its author is left out where the token may not see that person."""

    id: graph.NodeId
    created_time: wire.Moment
    message: wire.OptionalText = ""
    author: graph.OptionalPerson = Field(default=None, alias="from")
    parent: Parent | None = None
    permalink_url: wire.StorableText | None = None
    is_hidden: bool | None = None
    attachment: Objects = ()


class MadePhoto(wire.Model):
    id: graph.NodeId
    post_id: graph.NodeId | None = None


class MadeComment(wire.Model):
    id: graph.NodeId
    created_time: wire.LenientMoment = None
    permalink_url: wire.StorableText | None = None


class Item(wire.Model):
    """The value of a `feed` event. Until v2.10 its author was in the fields of the sender."""

    item: wire.StorableText
    verb: wire.StorableText
    post_id: graph.NodeId | None = None
    comment_id: graph.NodeId | None = None
    parent_id: graph.NodeId | None = None
    author: graph.OptionalPerson = Field(default=None, alias="from")
    sender_id: graph.NodeId | None = None
    sender_name: wire.OptionalText = ""
    message: wire.OptionalText = ""
    photo: object = None
    video: object = None
    link: object = None
    created_time: AnyTime | None = None
    published: Annotated[bool, BeforeValidator(lambda value: value not in (0, "0"))] = True

    @property
    def actor(self) -> graph.Person | None:
        if self.author is not None or self.sender_id is None:
            return self.author
        return graph.Person(id=self.sender_id, name=self.sender_name)


PAGE: Final = TypeAdapter(Page)
PAGE_WITH_TOKEN: Final = TypeAdapter(PageWithToken)
POSTS_PAGE: Final = TypeAdapter(graph.Listing[Post])
POST_COUNTERS: Final = TypeAdapter(Counters)
COMMENTS: Final = TypeAdapter(graph.Listing[Comment])
MADE_PHOTO: Final = TypeAdapter(MadePhoto)
MADE_COMMENT: Final = TypeAdapter(MadeComment)
ITEM: Final = TypeAdapter(Item)


def name_in(text: str) -> str | None:
    """The Page's name or number in an address; None where it is not the address of a Page."""
    text = text.strip()
    name = text.removeprefix("@")
    if "/" in text:
        url = on_site(text, HOSTS)
        if url is None:
            return None
        path = url.path.strip("/")
        if path == "profile.php":
            path = parse_qs(url.query).get("id", [""])[0]
        first = path.partition("/")[0]
        # A Page's number follows its name: /people/Name/1000, /pages/Name/1000, /p/Name-1000.
        numbered = NUMBERED.fullmatch(path) if first in {"people", "pages", "pg", "p"} else None
        name = numbered[1] if numbered is not None else first
    name = name.lower()
    return name if NAME.fullmatch(name) and name not in NOT_NAMES | HOSTS else None


def snapshot(shape: Page) -> CommunitySnapshot:
    return CommunitySnapshot(
        external_id=shape.id,
        title=shape.name or shape.username or shape.id,
        url=shape.link or f"{SITE}/{shape.username or shape.id}",
        size=shape.fan_count if shape.followers_count is None else shape.followers_count,
    )


def metrics(
    post: str, shape: Counters | MetricStatus | None, insights: Counts, unknown: Collection[str] = ()
) -> PostMetrics:
    """The counters of the post requested by the id `post`: the response may contain another id.

    A counter that is left out is not known: it is `pending` if Graph supports it, and unsupported if its field is
    among the `unknown` ones, which Graph has refused.
    """
    if shape is None:
        return PostMetrics(post, {}, gone=True)
    if isinstance(shape, MetricStatus):
        return unavailable_metrics(post, shape, SUPPORTED)
    counts: dict[Metric, int | MetricStatus | None] = {
        Metric.REACTIONS: shape.reactions.count,
        Metric.COMMENTS: shape.comments.count,
        Metric.SHARES: shape.shared,
        **{metric: insights.get(name) for name, metric in INSIGHTS.items()},
    }
    return post_metrics(post, without_unknown(counts, COUNTER_FIELDS, unknown), SUPPORTED)


def post(shape: Post, unknown: Collection[str] = ()) -> RemotePost:
    return RemotePost(
        external_id=shape.id,
        url=shape.permalink_url or f"{SITE}/{shape.id}",
        text=(shape.message or shape.story).strip(),
        published_at=shape.created_time,
        metrics=metrics(shape.id, shape, {}, unknown),
    )


def comment(shape: Comment, post_id: str, own_id: str) -> RemoteMessage:
    """A comment. A thread is one customer below one comment of the first level; the Page's replies belong to the
    author of the comment that they answer."""
    author = _author(shape.author, shape.id, own_id)
    customer = author.external_id
    if shape.parent is not None and author.is_community:
        customer = _author(shape.parent.author, shape.parent.id, own_id).external_id
    root_id = shape.id if shape.parent is None else shape.parent.id
    return RemoteMessage(
        external_id=shape.id,
        thread_id=f"comment-{root_id}-{customer}",
        kind=MessageKind.COMMENT,
        author=author,
        text=shape.message.strip(),
        sent_at=shape.created_time,
        url=shape.permalink_url,
        post_id=post_id,
        in_reply_to=None if shape.parent is None else shape.parent.id,
        hidden=shape.is_hidden,
        attachments=attachments.of_comment(shape.attachment),
    )


def _author(shape: graph.Person | None, comment_id: str, own_id: str) -> RemotePerson:
    if shape is None:
        return RemotePerson(f"unknown-{comment_id}", "")
    return RemotePerson(shape.id, shape.name, is_community=shape.id == own_id)


def to_event(entry: Entry, change: Change) -> Event | None:
    """The event of a change of the Page's feed; None where it is not used.

    A reply of the Page is left to polling, because the event does not name the customer. So are visitors' posts,
    and posts that are changed or deleted.
    """
    if change.field != "feed":
        return None
    item = ITEM.validate_python(change.value)
    own_event_id = event_id(entry.id, change.field, change.value)
    if item.item == "comment" and item.comment_id is not None:
        if item.verb in REMOVED:
            return Event(own_event_id, entry.id, deleted_ids=(item.comment_id,))
        at = entry.time or item.created_time
        if item.verb in HIDDEN and at is not None:
            hidden = MessageChange(item.comment_id, at, hidden=HIDDEN[item.verb])
            return Event(event_id(entry.id, item.comment_id, item.verb, at.isoformat()), entry.id, changes=(hidden,))
        message = _comment_of_event(item, entry) if item.verb in {"add", *EDITED} else None
        return None if message is None else Event(own_event_id, entry.id, messages=(message,))
    by_page = item.actor is not None and item.actor.id == entry.id
    if item.item in POSTS and item.verb == "add" and by_page and item.published and item.post_id is not None:
        if item.created_time is None:
            return None
        new = Post(id=item.post_id, created_time=item.created_time, message=item.message)
        return Event(own_event_id, entry.id, posts=(post(new),))
    return None


def _comment_of_event(item: Item, entry: Entry) -> RemoteMessage | None:
    if item.comment_id is None or item.post_id is None or item.created_time is None:
        return None
    parent_id = item.parent_id if item.parent_id not in {None, item.post_id} else None
    author = _author(item.actor, item.comment_id, entry.id)
    edited = item.verb in EDITED
    if (author.is_community and parent_id is not None) or (edited and entry.time is None):
        return None
    return RemoteMessage(
        external_id=item.comment_id,
        thread_id=f"comment-{parent_id or item.comment_id}-{author.external_id}",
        kind=MessageKind.COMMENT,
        author=author,
        text=item.message.strip(),
        sent_at=item.created_time,
        post_id=item.post_id,
        in_reply_to=parent_id,
        edited_at=entry.time if edited else None,
        attachments=attachments.of_comment_event(item.photo, item.video, item.link),
    )
