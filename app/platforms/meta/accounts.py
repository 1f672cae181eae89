"""An Instagram account, its media and their comments: wire models, and their translation to the contract's types."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
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
from app.platforms.meta.insights import Counts, post_metrics, unavailable_metrics, without_unknown
from app.platforms.meta.mail import IsOwn
from app.platforms.spec import BY_EVENT, BY_LIST, REREAD, NativeChange

CHANGES: Final = {
    NativeChange.ANSWER_TO_MESSAGE: BY_EVENT | BY_LIST,
    NativeChange.COMMENT_HIDDEN: REREAD,
    NativeChange.MESSAGE_DELETED: BY_EVENT,
}
"""What shows changes made on the platform itself, besides reading comments and posts again."""

SITE: Final = "https://www.instagram.com"
TAG: Final = "tag-"
"""The beginning of the ids of tags: media that tag the account in the picture alone."""
MENTION: Final = "mention-"
"""The beginning of the ids of mentions: media, or comments, that @mention the account."""
NO_REPLY_TO_TAGS: Final = (
    "Instagram lets nobody comment through its API on a picture in which the account is only tagged."
)
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
REPLY_FIELDS: Final = "id,text,timestamp,username,from,hidden"
COMMENT_FIELDS: Final = f"{REPLY_FIELDS},replies.limit(50){{{REPLY_FIELDS}}}"
MENTIONED_COMMENT_FIELDS: Final = "id,text,timestamp,username,from,media{permalink}"
LIMIT_FIELDS: Final = "quota_usage,config"
CONTAINER_FIELDS: Final = "id,status_code,status"

INSIGHTS: Final[Mapping[str, Metric]] = {
    "views": Metric.VIEWS,
    "reach": Metric.REACH,
    "shares": Metric.SHARES,
    "saved": Metric.SAVES,
}
"""Of posts in the feed, and of reels. `impressions`, `plays` and `video_views` are retired."""
STORY_INSIGHTS: Final = ("views", "reach", "shares")
COUNTER_FIELDS: Final = {"like_count": Metric.REACTIONS, "comments_count": Metric.COMMENTS}
SUPPORTED: Final = frozenset({Metric.REACTIONS, Metric.COMMENTS, *INSIGHTS.values()})


class User(wire.Model):
    """With Instagram's own login `id` is known to the application alone, and `user_id` is the public id."""

    id: graph.NodeId
    user_id: graph.NodeId | None = None
    username: wire.StorableText
    name: wire.OptionalText = ""
    followers_count: wire.PositiveCount = None


class Linked(wire.Model):
    """A Page, and the account linked with it."""

    id: graph.NodeId
    instagram_business_account: User | None = None


class Counters(wire.Model):
    """`like_count` is left out where the account hides it."""

    id: graph.NodeId
    like_count: wire.PositiveCount = None
    comments_count: wire.PositiveCount = None
    media_product_type: wire.OptionalText = ""

    @property
    def insights(self) -> tuple[str, ...]:
        """The names of the insights that media of this type have."""
        return STORY_INSIGHTS if self.media_product_type == "STORY" else tuple(INSIGHTS)


class Media(Counters):
    caption: wire.OptionalText = ""
    timestamp: wire.Moment
    permalink: wire.StorableText | None = None


class Tagged(wire.Model):
    """Another account's media in which the account is tagged."""

    id: graph.NodeId
    caption: wire.OptionalText = ""
    timestamp: wire.Moment
    permalink: wire.StorableText | None = None
    username: wire.OptionalText = ""


class Reply(wire.Model):
    """A reply, or a comment. Its author's id is present where the token may see it, the name mostly."""

    id: graph.NodeId
    timestamp: wire.Moment
    text: wire.OptionalText = ""
    username: wire.OptionalText = ""
    author: graph.OptionalPerson = Field(default=None, alias="from")
    hidden: bool | None = None


class Comment(Reply):
    replies: graph.Listing[Reply] | None = None


class MediaLink(wire.Model):
    permalink: wire.StorableText | None = None


class MentionedComment(Reply):
    """A comment below another account's media in which the account is @mentioned."""

    media: MediaLink | None = None


class Mentioned(wire.Model):
    """The account, with one mention of it."""

    mentioned_media: Tagged | None = None
    mentioned_comment: MentionedComment | None = None


class Mention(wire.Model):
    """The value of a `mentions` event: the account was @mentioned in a caption, or in a comment."""

    media_id: graph.NodeId
    comment_id: graph.NodeId | None = None


class Quota(wire.Model):
    quota_total: wire.Count


class PublishingLimit(wire.Model):
    quota_usage: wire.Count | None = None
    config: Quota | None = None


class Container(wire.Model):
    """A post in preparation, which expires unless it is published within a day."""

    id: graph.NodeId
    status_code: wire.OptionalText = ""
    status: wire.OptionalText = ""


class Writer(wire.Model):
    """The author of a comment, mostly with an id; `self_ig_scoped_id` is present where it is the account itself."""

    id: graph.NodeId | None = None
    username: wire.OptionalText = ""
    self_ig_scoped_id: graph.NodeId | None = None


class NewComment(wire.Model):
    id: graph.NodeId = Field(validation_alias=AliasChoices("id", "comment_id"))
    text: wire.OptionalText = ""
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
NEW_MENTION: Final = TypeAdapter(Mention)
MENTIONED: Final = TypeAdapter(Mentioned)


def name_in(text: str) -> str | None:
    """The account's name in an address; None where it is not the address of an account."""
    name = named(text, HOSTS).partition("/")[0]
    return name if NAME.fullmatch(name) and name not in NOT_NAMES | HOSTS else None


def snapshot(shape: User) -> CommunitySnapshot:
    external_id = shape.user_id or shape.id
    return CommunitySnapshot(
        external_id=external_id,
        title=shape.name or shape.username,
        url=f"{SITE}/{shape.username}",
        size=shape.followers_count,
        aliases=frozenset({shape.id} - {external_id}),
    )


def metrics(
    post: str, shape: Counters | MetricStatus | None, insights: Counts, unknown: Collection[str] = ()
) -> PostMetrics:
    """The counters of the media requested by the id `post`: the response may contain another id.

    Those whose field is among the `unknown` ones, which Graph has refused, are unsupported.
    """
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
    return post_metrics(post, without_unknown(counts, COUNTER_FIELDS, unknown), SUPPORTED)


def post(shape: Media, unknown: Collection[str] = ()) -> RemotePost:
    return RemotePost(
        external_id=shape.id,
        url=shape.permalink or SITE,
        text=shape.caption.strip(),
        published_at=shape.timestamp,
        metrics=metrics(shape.id, shape, {}, unknown),
    )


def person(shape: Reply, is_own: IsOwn) -> RemotePerson:
    """The author: known by an id, or by name alone, or not at all."""
    account = shape.author or _by_name(shape.username, shape.id)
    name = account.username or shape.username
    return RemotePerson(account.id, name, _profile_url(name), is_own(account))


def _by_name(username: str, node_id: str) -> graph.Person:
    """An account of which only the name is known; without one, the account is unique to the node."""
    return graph.Person(id=username or f"unknown-{node_id}", username=username)


def _profile_url(username: str) -> str | None:
    return f"{SITE}/{username}" if username else None


def thread_key(author: RemotePerson) -> str:
    """What identifies a customer in the id of a thread: the user name, since some responses have no id beside it."""
    return author.name or author.external_id


def comment(shape: Reply, root_id: str | None, customer: str, post_id: str, is_own: IsOwn) -> RemoteMessage:
    """A comment, or a reply to the comment `root_id` of the customer with this `thread_key`: there are two levels.

    A thread is one customer below one comment of the first level; the account's replies belong to the author of that
    comment. Its id names the customer only where it is another one, because events may know them by the id or the
    name alone, and names change.
    """
    author = person(shape, is_own)
    of_root_author = root_id is None or author.is_community or thread_key(author) == customer
    listed = _message(
        shape.id, root_id, None if of_root_author else author, author, shape.text, post_id, shape.timestamp
    )
    return replace(listed, hidden=shape.hidden, renames_thread=True)


def _message(
    comment_id: str,
    root_id: str | None,
    other: RemotePerson | None,
    author: RemotePerson,
    text: str,
    post_id: str | None,
    at: wire.Moment,
) -> RemoteMessage:
    """`other`: the customer, where it may be another one than the author of the first comment."""
    thread_id = f"comment-{root_id or comment_id}"
    return RemoteMessage(
        external_id=comment_id,
        thread_id=thread_id if other is None else f"{thread_id}-{thread_key(other)}",
        kind=MessageKind.COMMENT,
        author=author,
        text=text.strip(),
        sent_at=at,
        post_id=post_id,
        in_reply_to=root_id,
    )


def tagged(shape: Tagged, is_own: IsOwn, name: str) -> RemoteMessage:
    """Media in which another account tagged the account `name`: a mention where the caption @mentions it as well."""
    at_name = re.compile(rf"(?<![\w.])@{re.escape(name)}(?!\w|\.\w)", re.IGNORECASE)
    return _of_media(shape, is_own, MENTION if at_name.search(shape.caption) else TAG)


def mention(shape: Mentioned, media_id: str, is_own: IsOwn) -> RemoteMessage | None:
    """A mention in a caption, or in a comment below the media `media_id`; None where there is none."""
    if (comment_shape := shape.mentioned_comment) is not None:
        mention_id = f"{MENTION}{media_id}-{comment_shape.id}"
        return RemoteMessage(
            external_id=mention_id,
            thread_id=mention_id,
            kind=MessageKind.MENTION,
            author=person(comment_shape, is_own),
            text=comment_shape.text.strip(),
            sent_at=comment_shape.timestamp,
            url=None if comment_shape.media is None else comment_shape.media.permalink,
        )
    return None if shape.mentioned_media is None else _of_media(shape.mentioned_media, is_own, MENTION)


def _of_media(shape: Tagged, is_own: IsOwn, beginning: str) -> RemoteMessage:
    """Another account's media. Only its author's name is known."""
    account = _by_name(shape.username, shape.id)
    author = RemotePerson(account.id, account.username, _profile_url(account.username), is_own(account))
    return RemoteMessage(
        external_id=f"{beginning}{shape.id}",
        thread_id=f"{beginning}{shape.id}",
        kind=MessageKind.MENTION,
        author=author,
        text=shape.caption.strip(),
        sent_at=shape.timestamp,
        url=shape.permalink,
    )


def to_event(entry: Entry, change: Change) -> Event | None:
    """The event of a new comment or mention; None for any other change. The comment's time is that of its entry.

    A reply of the account itself is left to polling, because the event does not name the customer. A mention's
    event has only ids: the mention is read with `Instagram.announced`, its reference being `media` or `media/comment`.
    """
    if change.field == "mentions":
        new = NEW_MENTION.validate_python(change.value)
        reference = new.media_id if new.comment_id is None else f"{new.media_id}/{new.comment_id}"
        return Event(event_id(entry.id, change.field, change.value), entry.id, announced=(reference,))
    if change.field not in {"comments", "live_comments"} or entry.time is None:
        return None
    comment_event = NEW_COMMENT.validate_python(change.value)
    writer = comment_event.author or Writer()
    is_own = writer.id == entry.id or writer.self_ig_scoped_id is not None
    if is_own and comment_event.parent_id is not None:
        return None
    name = writer.username
    author_id = writer.id or name or f"unknown-{comment_event.id}"
    author = RemotePerson(author_id, name, _profile_url(name), is_own)
    post_id = None if comment_event.media is None else comment_event.media.id
    root_id = comment_event.parent_id
    message = _message(
        comment_event.id, root_id, None if root_id is None else author, author, comment_event.text, post_id, entry.time
    )
    message = replace(message, guesses_thread=root_id is not None)
    return Event(event_id(entry.id, change.field, change.value), entry.id, messages=(message,))
