"""Odnoklassniki's wire models as the contract's types."""

from datetime import datetime
from typing import Final

from pydantic import ValidationError

from app.platforms import wire
from app.platforms.capabilities import Event
from app.platforms.contract import (
    MessageKind,
    Metric,
    MetricStatus,
    PostMetrics,
    RemoteMessage,
    RemotePerson,
    RemotePost,
)
from app.platforms.odnoklassniki import attachments
from app.platforms.odnoklassniki import wire_models as ok
from app.platforms.spec import BY_LIST, OF_MENTIONS, NativeChange

CHANGES: Final = {NativeChange.ANSWER_TO_MESSAGE: BY_LIST}
"""What shows changes made on the platform itself, besides reading comments and posts again."""
NO_CHANGES: Final = OF_MENTIONS | {NativeChange.COMMENT_HIDDEN}
"""Mentions are not read, and comments cannot be hidden."""


def bare(reference: str) -> str:
    """The id in `user:1` and `group:1`."""
    return reference.rpartition(":")[2]


def is_own(shape: ok.Topic, group: str) -> bool:
    """Whether the topic is published by the group itself, not by a member."""
    return bool(shape.is_on_behalf_of_group) or shape.author_ref in {None, f"group:{group}"}


def metrics(shape: ok.Topic, reach: int | MetricStatus) -> PostMetrics:
    """A topic's counters. OK leaves out one that the topic does not have (comments that are switched off)."""
    counts: dict[Metric, int | None] = {
        Metric.REACTIONS: shape.like_summary.count if shape.like_summary else None,
        Metric.COMMENTS: shape.discussion_summary.comments_count if shape.discussion_summary else None,
        Metric.SHARES: shape.reshare_summary.count if shape.reshare_summary else None,
        Metric.VIEWS: shape.views_count,
        Metric.REACH: None if isinstance(reach, MetricStatus) else reach,
    }
    counters = {metric: count for metric, count in counts.items() if count is not None}
    missing = {metric: MetricStatus.UNSUPPORTED for metric in Metric if metric not in counters}
    if isinstance(reach, MetricStatus):
        missing[Metric.REACH] = reach
    return PostMetrics(shape.id, counters, missing)


def post(shape: ok.Topic, created_ms: int, group: str, reach: int | None) -> RemotePost:
    return RemotePost(
        external_id=shape.id,
        url=topic_url(group, shape.id),
        text="\n\n".join(part.text.strip() for part in shape.media if part.text.strip()),
        published_at=wire.since_1970(created_ms, 1000),
        metrics=metrics(shape, MetricStatus.PENDING if reach is None else reach),
    )


def topic_url(group: str, topic: str) -> str:
    return f"https://ok.ru/group/{group}/topic/{topic}"


def person(reference: str | None, name: str, group: str | None) -> RemotePerson:
    """The author named by `user:1`, `group:1` or a bare id. `group` is the community's id; None: not known, and any
    group is taken for the community.
    """
    kind, _, author_id = (reference or "user:").rpartition(":")
    is_community = kind == "group" if group is None else author_id == group
    page = "group" if kind == "group" else "profile"
    url = f"https://ok.ru/{page}/{author_id}" if author_id else None
    return RemotePerson(author_id, name, url, is_community=is_community)


def comment(shape: ok.Comment, topic: str, group: str) -> RemoteMessage:
    """A comment. OK has one list of comments for a topic, so a thread is one customer below one topic.

    The group's replies belong to the customer whom they answer.
    """
    author = person(shape.author_ref or shape.author_id, shape.author_name, group)
    customer = author.external_id
    if author.is_community and shape.reply_to_id is not None:
        customer = bare(shape.reply_to_id)
    parent_id = shape.reply_to_comment_id
    return RemoteMessage(
        external_id=comment_id(topic, shape.id),
        thread_id=f"comment:{topic}:{customer}",
        kind=MessageKind.COMMENT,
        author=author,
        text="" if shape.is_removed else shape.text.strip(),
        sent_at=shape.date,
        url=topic_url(group, topic),
        post_id=topic,
        in_reply_to=None if parent_id is None else comment_id(topic, parent_id),
        deleted=shape.is_removed,
        attachments=attachments.read(shape.attachments),
    )


def comment_id(topic: str, comment: str) -> str:
    """An id unique within the group; OK's own is unique within the topic only."""
    return f"comment:{topic}:{comment}"


def is_by_person(shape: ok.Message) -> bool:
    """Whether the message has an author, and is no notice of the chat about its members, its title …"""
    try:
        ok.NOTICE.validate_json(shape.message.text)
    except ValidationError:
        return True
    return False


def press(shape: ok.Pressed) -> Event:
    """A press of a button, as a message with the button's text."""
    mid = None if shape.message is None else shape.message.mid
    pressed = RemoteMessage(
        external_id=f"button:{shape.callback_id}",
        thread_id=shape.recipient.chat_id,
        kind=MessageKind.MESSAGE,
        author=person(shape.sender.id, shape.sender.name, None),
        text=shape.label.strip(),
        sent_at=shape.timestamp or wire.since_1970(0),
        in_reply_to=mid,
    )
    return Event(pressed.external_id, None, messages=(pressed,), undated=shape.timestamp is None)


def message(shape: ok.Message, at: datetime, group: str | None) -> RemoteMessage:
    """A direct message; its thread is the chat."""
    return RemoteMessage(
        external_id=shape.message.mid,
        thread_id=shape.recipient.chat_id,
        kind=MessageKind.MESSAGE,
        author=person(shape.sender.id, shape.sender.name, group),
        text=shape.message.text.strip(),
        sent_at=at,
        in_reply_to=shape.message.reply_to,
        attachments=attachments.read(shape.message.attachments, shape.message.attachment),
    )
