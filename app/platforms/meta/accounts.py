"""An Instagram account, its media and their comments: Graph's shapes, and what they are to us."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import AliasChoices, Field, TypeAdapter

from app.platforms import wire
from app.platforms.addresses import named
from app.platforms.capabilities import Event
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
from app.platforms.meta import wire_models as graph
from app.platforms.meta.hooks import Change, Entry, event_id
from app.platforms.meta.insights import Counts, post_metrics, unavailable_metrics

SITE: Final = "https://www.instagram.com"
HOSTS: Final = frozenset({"instagram.com", "www.instagram.com", "m.instagram.com", "instagr.am"})
NAME: Final = re.compile(r"[a-z0-9_.]{1,30}")
NOT_NAMES: Final = frozenset({"p", "reel", "reels", "tv", "stories", "explore", "accounts", "direct"})

PROFILE_FIELDS: Final = "username,name,followers_count"
USER_FIELDS: Final = f"id,{PROFILE_FIELDS}"
LINKED_FIELDS: Final = f"id,instagram_business_account{{{USER_FIELDS}}}"
SELF_FIELDS: Final = f"id,user_id,{PROFILE_FIELDS}"
METRIC_FIELDS: Final = "id,like_count,comments_count,media_product_type"
MEDIA_FIELDS: Final = f"{METRIC_FIELDS},caption,timestamp,permalink"
TAGGED_FIELDS: Final = "id,caption,timestamp,permalink,username"
REPLY_FIELDS: Final = "id,text,timestamp,username,from"
COMMENT_FIELDS: Final = f"{REPLY_FIELDS},replies.limit(50){{{REPLY_FIELDS}}}"
LIMIT_FIELDS: Final = "quota_usage,config"
CONTAINER_FIELDS: Final = "id,status_code,status"

INSIGHTS: Final[Mapping[str, Metric]] = {
    "views": Metric.VIEWS,
    "reach": Metric.REACH,
    "shares": Metric.SHARES,
    "saved": Metric.SAVES,
}
"""Of what stands in the feed, and of reels. `impressions`, `plays` and `video_views` are retired."""
OF_STORIES: Final = ("views", "reach", "shares")
SUPPORTED: Final = frozenset({Metric.REACTIONS, Metric.COMMENTS, *INSIGHTS.values()})


class User(wire.Shape):
    """Instagram's own login tells as `id` what only the application knows, and as `user_id` what all know."""

    id: graph.NodeId
    user_id: graph.NodeId | None = None
    username: wire.StorableText
    name: graph.OptionalText = ""
    followers_count: wire.PositiveCount = None


class Linked(wire.Shape):
    """A Page, and the account linked with it."""

    id: graph.NodeId
    instagram_business_account: User | None = None


class Counters(wire.Shape):
    """`like_count` is left out where the account hides it."""

    id: graph.NodeId
    like_count: wire.PositiveCount = None
    comments_count: wire.PositiveCount = None
    media_product_type: graph.OptionalText = ""

    @property
    def insights(self) -> tuple[str, ...]:
        """The names of the insights that media of this type have."""
        return OF_STORIES if self.media_product_type == "STORY" else tuple(INSIGHTS)


class Media(Counters):
    caption: graph.OptionalText = ""
    timestamp: wire.Moment
    permalink: wire.StorableText | None = None


class Tagged(wire.Shape):
    """Somebody's media in which the account is tagged."""

    id: graph.NodeId
    caption: graph.OptionalText = ""
    timestamp: wire.Moment
    permalink: wire.StorableText | None = None
    username: graph.OptionalText = ""


class Reply(wire.Shape):
    """An answer, or a comment. Its author's id is told where the token may know it, the name mostly."""

    id: graph.NodeId
    timestamp: wire.Moment
    text: graph.OptionalText = ""
    username: graph.OptionalText = ""
    author: graph.Someone = Field(default=None, alias="from")


class Comment(Reply):
    replies: graph.Listing[Reply] | None = None


class Quota(wire.Shape):
    quota_total: wire.Count


class PublishingLimit(wire.Shape):
    quota_usage: wire.Count | None = None
    config: Quota | None = None


class Container(wire.Shape):
    """What is to become a post. One that is not published within a day ends."""

    id: graph.NodeId
    status_code: graph.OptionalText = ""
    status: graph.OptionalText = ""


class Writer(wire.Shape):
    """Who wrote a comment, by an id mostly; `self_ig_scoped_id` is there where the account itself did."""

    id: graph.NodeId | None = None
    username: graph.OptionalText = ""
    self_ig_scoped_id: graph.NodeId | None = None


class NewComment(wire.Shape):
    id: graph.NodeId = Field(validation_alias=AliasChoices("id", "comment_id"))
    text: graph.OptionalText = ""
    author: Writer | None = Field(default=None, alias="from")
    media: graph.Made | None = None
    parent_id: graph.NodeId | None = None


USER: Final = TypeAdapter(User)
LINKED: Final = TypeAdapter(Linked)
MEDIA: Final = TypeAdapter(graph.Listing[Media])
POST_COUNTERS: Final = TypeAdapter(Counters)
COMMENTS: Final = TypeAdapter(graph.Listing[Comment])
REPLIES: Final = TypeAdapter(graph.Listing[Reply])
TAGGED: Final = TypeAdapter(graph.Listing[Tagged])
LIMITS: Final = TypeAdapter(graph.Listing[PublishingLimit])
CONTAINER: Final = TypeAdapter(Container)
NEW_COMMENT: Final = TypeAdapter(NewComment)

Own = Callable[[graph.Person], bool]


def name_in(text: str) -> str | None:
    """The account's name in an address; None where it is no account's address."""
    name = named(text, HOSTS).partition("/")[0]
    return name if NAME.fullmatch(name) and name not in NOT_NAMES | HOSTS else None


def snapshot(shape: User) -> CommunitySnapshot:
    known_as = shape.user_id or shape.id
    return CommunitySnapshot(
        external_id=known_as,
        title=shape.name or shape.username,
        url=f"{SITE}/{shape.username}",
        size=shape.followers_count,
        aliases=frozenset({shape.id} - {known_as}),
    )


def metrics(post: str, shape: Counters | MetricStatus | None, insights: Counts) -> PostMetrics:
    """The counters of the media that were asked for by this id: the answer may tell another."""
    if shape is None:
        return PostMetrics(post, {}, gone=True)
    if isinstance(shape, MetricStatus):
        return unavailable_metrics(post, shape, SUPPORTED)
    counts: dict[Metric, int | MetricStatus | None] = {
        Metric.REACTIONS: MetricStatus.UNSUPPORTED if shape.like_count is None else shape.like_count,
        Metric.COMMENTS: shape.comments_count,
        **{metric: insights.get(name) for name, metric in INSIGHTS.items()},
    }
    counts |= {metric: MetricStatus.UNSUPPORTED for name, metric in INSIGHTS.items() if name not in shape.insights}
    return post_metrics(post, counts, SUPPORTED)


def post(shape: Media) -> RemotePost:
    return RemotePost(
        external_id=shape.id,
        url=shape.permalink or SITE,
        text=shape.caption.strip(),
        published_at=shape.timestamp,
        metrics=metrics(shape.id, shape, {}),
    )


def person(shape: Reply, own: Own) -> RemotePerson:
    """Who wrote it: known by an id, or by name alone, or not at all."""
    if shape.author is None:
        account = graph.Person(id=shape.username or f"unknown-{shape.id}", username=shape.username)
    else:
        account = shape.author
    name = account.username or shape.username
    return RemotePerson(account.id, name, f"{SITE}/{name}" if name else None, own(account))


def comment(shape: Reply, root_id: str | None, customer: str, post_id: str, own: Own) -> RemoteMessage:
    """A comment, or an answer below the comment `root_id` of `customer`: there are two levels.

    A thread is one customer below one comment of the first level; what the account answers belongs
    to the author of that comment.
    """
    author = person(shape, own)
    customer_id = customer if author.is_community and root_id is not None else author.external_id
    return _message(shape.id, root_id, customer_id, author, shape.text, post_id, shape.timestamp)


def _message(
    comment_id: str,
    root_id: str | None,
    customer: str,
    author: RemotePerson,
    text: str,
    post_id: str | None,
    at: wire.Moment,
) -> RemoteMessage:
    return RemoteMessage(
        external_id=comment_id,
        thread_id=f"comment-{root_id or comment_id}-{customer}",
        kind=MessageKind.COMMENT,
        author=author,
        text=text.strip(),
        sent_at=at,
        post_id=post_id,
        in_reply_to=root_id,
    )


def mention(shape: Tagged, own: Own) -> RemoteMessage:
    """Media in which somebody tagged the account. Only their name is told."""
    account = graph.Person(id=shape.username or f"unknown-{shape.id}", username=shape.username)
    author = RemotePerson(
        account.id, account.username, f"{SITE}/{account.username}" if account.username else None, own(account)
    )
    return RemoteMessage(
        external_id=f"tag-{shape.id}",
        thread_id=f"tag-{shape.id}",
        kind=MessageKind.MENTION,
        author=author,
        text=shape.caption.strip(),
        sent_at=shape.timestamp,
        url=shape.permalink,
    )


def to_event(entry: Entry, change: Change) -> Event | None:
    """What a new comment tells. It has no time of its own but that of its entry.

    An answer of the account's own does not tell to whom it is: the poll brings it. A mention does
    not tell its words, and those in captions and comments are not listed either.
    """
    if change.field not in {"comments", "live_comments"} or entry.time is None:
        return None
    comment_event = NEW_COMMENT.validate_python(change.value)
    writer = comment_event.author or Writer()
    by_us = writer.id == entry.id or writer.self_ig_scoped_id is not None
    if by_us and comment_event.parent_id is not None:
        return None
    name = writer.username
    known_as = writer.id or name or f"unknown-{comment_event.id}"
    author = RemotePerson(known_as, name, f"{SITE}/{name}" if name else None, by_us)
    post_id = None if comment_event.media is None else comment_event.media.id
    message = _message(
        comment_event.id, comment_event.parent_id, known_as, author, comment_event.text, post_id, entry.time
    )
    return Event(event_id(entry.id, change.field, change.value), entry.id, messages=(message,))
