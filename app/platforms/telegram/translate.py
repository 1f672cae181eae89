"""The Bot API's updates as the contract's types.

Ids: a post is known by its number in the channel, a comment or message by its chat's id and its
number there (`-1001234_56`), for numbers are counted chat by chat.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from app.platforms import wire
from app.platforms.capabilities import Event, unparsed_event
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
from app.platforms.telegram import wire_models as telegram

ZERO: Final = 10**12
"""A channel's or supergroup's id is this and its number, negated."""
NEVER_TOLD: Final[Mapping[Metric, MetricStatus]] = {
    metric: MetricStatus.PENDING if metric in {Metric.REACTIONS, Metric.COMMENTS} else MetricStatus.UNSUPPORTED
    for metric in Metric
}
"""Nothing can be asked for: reactions come with events, comments are counted, the rest is not to be had."""


def metrics(post_id: str) -> PostMetrics:
    return PostMetrics(post_id, {}, NEVER_TOLD)


def page(chat: telegram.Chat) -> str:
    """Where a channel or supergroup can be seen."""
    return f"https://t.me/{chat.username or f'c/{-chat.id - ZERO}'}"


def seen_at(chat: telegram.Chat, number: int | None = None) -> str | None:
    """Where a chat, or a message in it, can be seen; None where it has no address (a basic group)."""
    if not chat.username and -chat.id <= ZERO:
        return None
    return page(chat) if number is None else f"{page(chat)}/{number}"


def message_id(shape: telegram.Message) -> str:
    return f"{shape.chat.id}_{shape.message_id}"


def parse_updates(found: Sequence[Any]) -> tuple[list[telegram.Update], list[Event]]:
    """The updates of the stream; those that are not understood apart."""
    updates, unparsed = [], []
    for item in found:
        try:
            updates.append(telegram.UPDATE.validate_python(item))
        except ValidationError as error:
            unparsed.append(
                unparsed_event(
                    json.dumps(item).encode(), f"the update is not understood {wire.validation_problem(error)}"
                )
            )
    return updates, unparsed


def last(found: Sequence[Any]) -> int:
    """The highest number of an update, understood or not; `Malformed` where none of them has any."""
    numbers = [item.get("update_id") for item in found if isinstance(item, dict)]
    known = [number for number in numbers if type(number) is int and 0 <= number < 2**63 - 1]
    if not known:
        raise Malformed("the updates have no numbers")
    return max(known)


def to_event(update: telegram.Update, *, bot: str | None, own_account_ids: Collection[str] = ()) -> Event | None:
    """What an update brings; None where that is nothing for us.

    `bot` is the bot's id, to which private messages belong; `own_account_ids` the ids of one of its communities.
    """
    event_id = str(update.update_id)
    if (changed := update.message_reaction_count) is not None and changed.chat.type == "channel":
        total = sum(reaction.total_count for reaction in changed.reactions)
        counted = PostMetrics(str(changed.message_id), {Metric.REACTIONS: total})
        return Event(event_id, str(changed.chat.id), metrics=(counted,), at=changed.date)
    if (membership := update.my_chat_member) is not None and membership.chat.type != "private":
        return Event(event_id, str(membership.chat.id))
    if (shape := update.channel_post or update.edited_channel_post) is not None:
        # Of an album that comes part by part, the one with the words stands for all.
        is_post = shape.has_content and not (shape.media_group_id is not None and not shape.words)
        return Event(event_id, str(shape.chat.id), posts=(post(shape),)) if is_post else None
    shape = update.message or update.edited_message
    if shape is None or not shape.has_content or shape.is_automatic_forward or shape.chat.is_direct_messages:
        return None
    if shape.chat.type == "private":
        return Event(event_id, bot, messages=(direct(shape),))
    return Event(event_id, str(shape.chat.id), messages=(comment(shape, own_account_ids),))


def albums_of(updates: Sequence[telegram.Update]) -> dict[str, telegram.Message]:
    """The albums that were posted: the first part of each, with the words of whichever part has them."""
    albums: dict[str, telegram.Message] = {}
    for shape in (update.channel_post for update in updates):
        if shape is not None and shape.media_group_id is not None:
            known = albums.get(_album(shape), shape)
            first = min(known, shape, key=lambda part: part.message_id)
            albums[_album(shape)] = first.model_copy(update={"caption": known.words or shape.words})
    return albums


def joined(updates: Sequence[telegram.Update], seen: Collection[str]) -> list[telegram.Update]:
    """The updates with each new album as one post; the parts of albums that were `seen` are left out."""
    albums = {name: whole for name, whole in albums_of(updates).items() if name not in seen}
    found = []
    for update in updates:
        shape = update.channel_post
        if shape is None or shape.media_group_id is None:
            found.append(update)
        elif (whole := albums.pop(_album(shape), None)) is not None:
            found.append(update.model_copy(update={"channel_post": whole.model_copy(update={"media_group_id": None})}))
    return found


def _album(shape: telegram.Message) -> str:
    return f"{shape.chat.id}_{shape.media_group_id}"


def post(shape: telegram.Message) -> RemotePost:
    post_id = str(shape.message_id)
    return RemotePost(
        external_id=post_id,
        url=f"{page(shape.chat)}/{post_id}",
        text=shape.words,
        published_at=shape.date,
        metrics=metrics(post_id),
        edited_at=shape.edit_date,
    )


def direct(shape: telegram.Message) -> RemoteMessage:
    """What somebody wrote to the bot. What the bot itself writes is told to nobody."""
    return RemoteMessage(
        external_id=message_id(shape),
        thread_id=str(shape.chat.id),
        kind=MessageKind.MESSAGE,
        author=author(shape, is_community=False),
        text=shape.words,
        sent_at=shape.date,
        in_reply_to=_above(shape),
        edited_at=shape.edit_date,
    )


def comment(shape: telegram.Message, own_account_ids: Collection[str]) -> RemoteMessage:
    """What was written in the discussion group. Its thread is one customer below one post.

    Only an answer to the post itself tells which post it is; one to another comment tells that comment.
    What the community writes belongs to the customer it answers.
    """
    above = shape.reply_to_message
    root_message = above if above is not None and above.is_automatic_forward else None
    is_ours = _is_ours(shape, root_message, own_account_ids)
    customer = above if is_ours and above is not None and root_message is None else shape
    root = shape.message_thread_id or (above or shape).message_id
    origin = None if root_message is None else root_message.forward_origin
    post_id = None if origin is None or origin.message_id is None else str(origin.message_id)
    where = seen_at(shape.chat, shape.message_id)
    if origin is not None and origin.chat is not None and post_id is not None:
        where = f"{page(origin.chat)}/{post_id}?comment={shape.message_id}"
    return RemoteMessage(
        external_id=message_id(shape),
        thread_id=f"{shape.chat.id}_{root}_{author(customer, is_community=False).external_id}",
        kind=MessageKind.COMMENT,
        author=author(shape, is_community=is_ours),
        text=shape.words,
        sent_at=shape.date,
        url=where,
        post_id=post_id,
        in_reply_to=None if root_message is not None else _above(shape),
        edited_at=shape.edit_date,
    )


def author(shape: telegram.Message, *, is_community: bool) -> RemotePerson:
    """A chat that somebody speaks for counts, not the bot that Telegram shows in its place."""
    if (chat := shape.sender_chat) is not None:
        return RemotePerson(str(chat.id), chat.title, seen_at(chat), is_community)
    if (user := shape.sender) is None:
        return RemotePerson(str(shape.chat.id), shape.chat.title, None, is_community)
    name = f"{user.first_name} {user.last_name}".strip()
    return RemotePerson(str(user.id), name, f"https://t.me/{user.username}" if user.username else None, is_community)


def _is_ours(shape: telegram.Message, root_message: telegram.Message | None, own_account_ids: Collection[str]) -> bool:
    """The channel itself, or an administrator who speaks for the group; people may speak for channels of their own."""
    sender = shape.sender_chat
    if sender is None:
        return False
    if str(shape.chat.id) in own_account_ids and str(sender.id) in own_account_ids:
        return True
    origin = None if root_message is None else root_message.forward_origin
    channels = (None if root_message is None else root_message.sender_chat, None if origin is None else origin.chat)
    return sender.id in {shape.chat.id, *(channel.id for channel in channels if channel is not None)}


def _above(shape: telegram.Message) -> str | None:
    return None if shape.reply_to_message is None else message_id(shape.reply_to_message)
