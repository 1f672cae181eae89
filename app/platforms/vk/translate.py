"""VK's shapes as the contract's types."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from app.platforms import wire
from app.platforms.capabilities import Event
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
from app.platforms.vk import wire_models as vk

MENTION: Final = re.compile(r"\[(?:(?:id|club|public|event)\d+(?::[\w-]*)?|https?://[^\s\[\]|]+)\|([^\[\]|]+)\]")
"""`[id5|Ann]`, `[id5:bp-77_1|Ann]`, `[club77|Coffee]`, `[https://vk.com/coffee|Coffee]`."""
POSTS = frozenset({"post", "copy", "photo", "video", "clip", "post_ads"})


def plain(text: str) -> str:
    """What a reader sees: of a mention and a link, the name."""
    return MENTION.sub(r"\1", text).strip()


def is_own(shape: vk.Post, owner: int) -> bool:
    """Whether it is a post, and the community's."""
    return shape.post_type in POSTS and shape.from_id in {None, owner}


def metrics(shape: vk.Post, reach: int | MetricStatus) -> PostMetrics:
    """A counter that the post lacks is one VK does not show for it, such as views of an old post."""
    counts: dict[Metric, int | None] = {
        Metric.REACTIONS: shape.likes.count if shape.likes else None,
        Metric.COMMENTS: shape.comments.count if shape.comments else None,
        Metric.SHARES: shape.reposts.count if shape.reposts else None,
        Metric.VIEWS: shape.views.count if shape.views else None,
        Metric.REACH: reach if not isinstance(reach, MetricStatus) else None,
    }
    counters = {metric: count for metric, count in counts.items() if count is not None}
    missing = {metric: MetricStatus.UNSUPPORTED for metric in Metric if metric not in counters}
    if isinstance(reach, MetricStatus):
        missing[Metric.REACH] = reach
    return PostMetrics(str(shape.id), counters, missing)


def post(shape: vk.Post) -> RemotePost:
    return RemotePost(
        external_id=str(shape.id),
        url=f"https://vk.com/wall{shape.owner_id}_{shape.id}",
        text=plain(shape.text),
        published_at=shape.date,
        metrics=metrics(shape, MetricStatus.PENDING),
        edited_at=shape.edited,
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
    shape: vk.Comment, root_id: int | None, post_id: int, own_id: int, names: Mapping[int, str]
) -> RemoteMessage:
    """A comment. Its thread is one customer below one comment of the first level.

    What the community writes belongs to the customer it answers.
    """
    first = shape.parents_stack[0] if shape.parents_stack else root_id or shape.reply_to_comment or shape.id
    customer = shape.from_id
    if customer == -own_id and shape.reply_to_user is not None:
        customer = shape.reply_to_user
    above = shape.reply_to_comment or (first if first != shape.id else None)
    return RemoteMessage(
        external_id=f"comment-{shape.id}",
        thread_id=f"comment-{first}-{customer}",
        kind=MessageKind.COMMENT,
        author=person(shape.from_id, own_id, names),
        text="" if shape.deleted else plain(shape.text),
        sent_at=shape.date,
        url=f"https://vk.com/wall-{own_id}_{post_id}?reply={shape.id}",
        post_id=str(post_id),
        in_reply_to=None if above is None else f"comment-{above}",
        deleted=shape.deleted,
    )


def message(shape: vk.Message, own_id: int, names: Mapping[int, str]) -> RemoteMessage:
    """A direct message; one that is not to be had carries the id 0, and is known by its place."""
    own = shape.id or f"{shape.peer_id}-{shape.conversation_message_id}"
    author = -own_id if shape.out else shape.from_id
    return RemoteMessage(
        external_id=f"message-{own}",
        thread_id=f"message-{shape.peer_id}",
        kind=MessageKind.MESSAGE,
        author=person(author, own_id, names),
        text="" if shape.deleted else plain(shape.text),
        sent_at=shape.date,
        edited_at=shape.update_time,
        deleted=shape.deleted,
    )


def to_event(event: vk.Event, name: str, body: bytes) -> Event:
    """What a verified event, known by `name`, brings; nothing, where it is of a kind that does not concern us."""
    own_id = event.group_id
    messages: tuple[RemoteMessage, ...] = ()
    posts: tuple[RemotePost, ...] = ()
    deleted: tuple[str, ...] = ()
    match event.type:
        case "message_new":
            messages = _direct(wire.parse_bytes(vk.EVENT_MESSAGE_NEW, body).object.message, own_id)
        case "message_reply" | "message_edit":
            messages = _direct(wire.parse_bytes(vk.EVENT_MESSAGE, body).object, own_id)
        case "wall_reply_new" | "wall_reply_edit" | "wall_reply_restore":
            shape = wire.parse_bytes(vk.EVENT_COMMENT, body).object
            if shape.post_id is None:
                raise Malformed("the comment does not tell its post")
            changed = comment(shape, None, shape.post_id, own_id, {})
            messages = (replace(changed, restored=event.type == "wall_reply_restore"),)
        case "wall_reply_delete":
            deleted = (f"comment-{wire.parse_bytes(vk.EVENT_COMMENT_DELETED, body).object.id}",)
        case "wall_post_new":
            new = wire.parse_bytes(vk.EVENT_POST, body).object
            posts = (post(new),) if is_own(new, -own_id) else ()
        case _:
            pass
    return Event(name, str(own_id), messages, posts, deleted)


def _direct(shape: vk.Message, own_id: int) -> tuple[RemoteMessage, ...]:
    return (message(shape, own_id, {}),) if 0 < shape.peer_id < vk.CHATS else ()
