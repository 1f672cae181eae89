"""VK's wire models as the contract's types."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from app.platforms import wire
from app.platforms.capabilities import Event, JoinOrLeave
from app.platforms.contract import (
    Malformed,
    MessageKind,
    Metric,
    MetricStatus,
    PostMetrics,
    RemoteMessage,
    RemotePerson,
    RemotePost,
)
from app.platforms.vk import attachments
from app.platforms.vk import wire_models as vk

MENTION: Final = re.compile(r"\[(?:(?:id|club|public|event)\d+(?::[\w-]*)?|https?://[^\s\[\]|]+)\|([^\[\]|]+)\]")
"""`[id5|Ann]`, `[id5:bp-77_1|Ann]`, `[club77|Coffee]`, `[https://vk.com/coffee|Coffee]`."""
UNDATED: Final = wire.since_1970(0)
"""For `Event.undated`."""
POST_TYPES = frozenset({"post", "copy", "photo", "video", "clip", "post_ads"})


def plain(text: str) -> str:
    """The text as a reader sees it: mentions and links are replaced by their names."""
    return MENTION.sub(r"\1", text).strip()


def is_own(post_model: vk.Post, owner_id: int) -> bool:
    """Whether it is a post (not a postponed one, nor a suggestion), and by the wall's owner."""
    return post_model.post_type in POST_TYPES and post_model.from_id in {None, owner_id}


def metrics(post_model: vk.Post, reach: int | MetricStatus) -> PostMetrics:
    """A counter that the post lacks is unsupported: VK does not report it, such as the views of an old post."""
    counts: dict[Metric, int | None] = {
        Metric.REACTIONS: post_model.likes.count if post_model.likes else None,
        Metric.COMMENTS: post_model.comments.count if post_model.comments else None,
        Metric.SHARES: post_model.reposts.count if post_model.reposts else None,
        Metric.VIEWS: post_model.views.count if post_model.views else None,
        Metric.REACH: reach if not isinstance(reach, MetricStatus) else None,
    }
    counters = {metric: count for metric, count in counts.items() if count is not None}
    missing = {metric: MetricStatus.UNSUPPORTED for metric in Metric if metric not in counters}
    if isinstance(reach, MetricStatus):
        missing[Metric.REACH] = reach
    return PostMetrics(str(post_model.id), counters, missing)


def post(post_model: vk.Post) -> RemotePost:
    return RemotePost(
        external_id=str(post_model.id),
        url=f"https://vk.com/wall{post_model.owner_id}_{post_model.id}",
        text=plain(post_model.text),
        published_at=post_model.date,
        metrics=metrics(post_model, MetricStatus.PENDING),
        edited_at=post_model.edited,
    )


def person(person_id: int, own_id: int, names: Mapping[int, str]) -> RemotePerson:
    page = f"id{person_id}" if person_id > 0 else f"club{-person_id}"
    return RemotePerson(
        external_id=str(person_id),
        name=names.get(person_id, ""),
        url=f"https://vk.com/{page}" if person_id else None,
        is_community=person_id == -own_id,
    )


def comment(
    comment_model: vk.Comment, root_id: int | None, post_id: int, own_id: int, names: Mapping[int, str]
) -> RemoteMessage:
    """A comment. A thread is what one customer wrote below one comment of the first level, with the replies to them:
    a comment of the community's own belongs to the thread of the customer it answers.

    `root_id` is the comment of the first level, where the response does not name it.
    """
    first_level = (
        comment_model.parents_stack[0]
        if comment_model.parents_stack
        else root_id or comment_model.reply_to_comment or comment_model.id
    )
    customer = comment_model.from_id
    if customer == -own_id and comment_model.reply_to_user is not None:
        customer = comment_model.reply_to_user
    parent = comment_model.reply_to_comment or (first_level if first_level != comment_model.id else None)
    return RemoteMessage(
        external_id=f"comment-{comment_model.id}",
        thread_id=f"comment-{first_level}-{customer}",
        kind=MessageKind.COMMENT,
        author=person(comment_model.from_id, own_id, names),
        text="" if comment_model.deleted else plain(comment_model.text),
        sent_at=comment_model.date,
        url=f"https://vk.com/wall-{own_id}_{post_id}?reply={comment_model.id}",
        post_id=str(post_id),
        in_reply_to=None if parent is None else f"comment-{parent}",
        deleted=comment_model.deleted,
        attachments=attachments.read(comment_model.attachments),
    )


def message(
    message_model: vk.Message, own_id: int, names: Mapping[int, str], *, incoming: bool | None = None
) -> RemoteMessage:
    """A direct message. One that VK withholds has the id 0, and is identified by its number in the conversation.

    `incoming`: the kind of its event says that a customer wrote it, or that the community did; None: it does not say.
    """
    message_id = message_model.id or f"{message_model.peer_id}-{message_model.conversation_message_id}"
    author = _author_id(message_model, own_id, incoming)
    administrator = message_model.admin_author_id
    return RemoteMessage(
        external_id=f"message-{message_id}",
        thread_id=f"message-{message_model.peer_id}",
        kind=MessageKind.MESSAGE,
        author=person(author, own_id, names),
        text="" if message_model.deleted else plain(message_model.text),
        sent_at=message_model.date,
        edited_at=message_model.update_time,
        deleted=message_model.deleted,
        written_by_id=str(administrator) if administrator and author == -own_id else None,
        attachments=attachments.read(message_model.attachments, message_model.geo, message_model.fwd_messages),
    )


def _author_id(message_model: vk.Message, own_id: int, incoming: bool | None) -> int:
    """The author of a direct message, negative for the community.

    `out` decides last: VK has sent events of customers' messages with it set. Where the community is not named as
    the author it may be its administrator, or (before version 5.80) nobody.
    """
    if message_model.from_id == -own_id or incoming is False:
        return -own_id
    if incoming or message_model.from_id == message_model.peer_id or not message_model.out:
        return message_model.from_id or message_model.peer_id
    return -own_id


def to_event(event: vk.Event, event_id: str, body: bytes) -> Event:
    """The contents of a verified event; empty where its kind is not one of `hooks.EVENTS`.

    Raises `Malformed` where its object cannot be parsed.
    """
    own_id, undated = event.group_id, False
    messages: tuple[RemoteMessage, ...] = ()
    posts: tuple[RemotePost, ...] = ()
    deleted: tuple[str, ...] = ()
    members: tuple[JoinOrLeave, ...] = ()
    match event.type:
        case "message_new":
            messages = _direct(wire.parse_bytes(vk.EVENT_MESSAGE_NEW, body).object.message, own_id, incoming=True)
        case "message_reply":
            messages = _direct(wire.parse_bytes(vk.EVENT_MESSAGE, body).object, own_id, incoming=False)
        case "message_edit":
            messages = _direct(wire.parse_bytes(vk.EVENT_MESSAGE, body).object, own_id)
        case "message_event":
            pressed, undated = wire.parse_bytes(vk.EVENT_BUTTON, body).object, True
            messages = (_press(pressed, own_id),) if 0 < pressed.peer_id < vk.CHATS else ()
        case "wall_reply_new" | "wall_reply_edit" | "wall_reply_restore":
            comment_model = wire.parse_bytes(vk.EVENT_COMMENT, body).object
            if comment_model.post_id is None:
                raise Malformed("the comment does not name its post")
            changed = comment(comment_model, None, comment_model.post_id, own_id, {})
            messages = (replace(changed, restored=event.type == "wall_reply_restore"),)
        case "wall_reply_delete":
            deleted = (f"comment-{wire.parse_bytes(vk.EVENT_COMMENT_DELETED, body).object.id}",)
        case "wall_post_new":
            new = wire.parse_bytes(vk.EVENT_POST, body).object
            posts = (post(new),) if is_own(new, -own_id) else ()
        case "group_join":
            answer, undated = wire.parse_bytes(vk.EVENT_GROUP_JOIN, body).object, True
            members = (JoinOrLeave(str(answer.user_id), UNDATED, joined=True),) if answer.is_member else ()
        case "group_leave":
            left, undated = wire.parse_bytes(vk.EVENT_GROUP_LEAVE, body).object, True
            members = (JoinOrLeave(str(left.user_id), UNDATED, joined=False),)
        case _:
            pass
    return Event(event_id, str(own_id), messages, posts, deleted, undated=undated, members=members)


def _press(pressed: vk.PressedButton, own_id: int) -> RemoteMessage:
    """A press of a button, as a message with the button's text."""
    return RemoteMessage(
        external_id=f"button-{pressed.event_id}",
        thread_id=f"message-{pressed.peer_id}",
        kind=MessageKind.MESSAGE,
        author=person(pressed.user_id, own_id, {}),
        text=pressed.label,
        sent_at=UNDATED,
    )


def _direct(message_model: vk.Message, own_id: int, *, incoming: bool | None = None) -> tuple[RemoteMessage, ...]:
    return (message(message_model, own_id, {}, incoming=incoming),) if 0 < message_model.peer_id < vk.CHATS else ()
