"""The Bot API's updates as the contract's types.

Ids: a post's is its message id in the channel; a comment's or direct message's is the id of its chat and the
message id there (`-1001234_56`), because message ids are unique within one chat only. A press of a button has the id
of its own behind that of the message with the button.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import ValidationError

from app.platforms import wire
from app.platforms.capabilities import Event, JoinOrLeave, StartedChat, unparsed_event
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
from app.platforms.spec import BY_EVENT, BY_LIST, OF_MENTIONS, NativeChange
from app.platforms.telegram import wire_models as telegram

CHANGES: Final = {
    NativeChange.ANSWER_TO_COMMENT: BY_EVENT | BY_LIST,
    NativeChange.COMMENT_EDITED: BY_EVENT | BY_LIST,
    NativeChange.MESSAGE_EDITED: BY_EVENT | BY_LIST,
    NativeChange.POST_EDITED: BY_EVENT | BY_LIST,
}
"""What updates show. There are none of deletions, and none of what is sent in the bot's name."""
NO_CHANGES: Final = OF_MENTIONS | {NativeChange.COMMENT_HIDDEN}
"""Mentions are not read, and comments cannot be hidden."""

START: Final = re.compile(r"/start(?:@\w+)? ([A-Za-z0-9_-]{1,64})")
"""What a link with a code sends to the bot."""
INVITE_PREFIX: Final = 4
"""The fewest characters of an invite link's secret part that are taken for a link."""
CHANNEL_ID_BASE: Final = 10**12
"""A channel's or supergroup's id is the negative of this plus its number (`t.me/c/1234`: -1000000001234)."""
NOT_POLLED: Final[Mapping[Metric, MetricStatus]] = {
    metric: MetricStatus.PENDING if metric in {Metric.REACTIONS, Metric.COMMENTS} else MetricStatus.UNSUPPORTED
    for metric in Metric
}
"""No counter can be polled: reactions come with events, comments are counted here, the Bot API has no others."""


def metrics(post_id: str) -> PostMetrics:
    return PostMetrics(post_id, {}, NOT_POLLED)


def page(chat: telegram.Chat) -> str:
    """The URL of a channel or supergroup."""
    return f"https://t.me/{chat.username or f'c/{-chat.id - CHANNEL_ID_BASE}'}"


def url(chat: telegram.Chat, message_id: int | None = None) -> str | None:
    """The URL of a chat, or of a message in it; None where it has none (a basic group)."""
    if not chat.username and -chat.id <= CHANNEL_ID_BASE:
        return None
    return page(chat) if message_id is None else f"{page(chat)}/{message_id}"


def message_id(message: telegram.Message) -> str:
    return f"{message.chat.id}_{message.message_id}"


def parse_updates(raw_updates: Sequence[Any]) -> tuple[list[telegram.Update], list[Event]]:
    """The updates of the stream; and those that cannot be parsed, as unparsed events."""
    updates, unparsed = [], []
    for item in raw_updates:
        try:
            updates.append(telegram.UPDATE.validate_python(item))
        except ValidationError as error:
            unparsed.append(
                unparsed_event(
                    json.dumps(item).encode(), f"the update is not understood {wire.validation_problem(error)}"
                )
            )
    return updates, unparsed


def started_chats(updates: Sequence[telegram.Update]) -> tuple[StartedChat, ...]:
    """The private chats in which somebody sent `/start` with a code."""
    messages = [update.message for update in updates if update.message is not None]
    starts = [(one, START.fullmatch(one.text.strip())) for one in messages if one.chat.type == "private"]
    return tuple(StartedChat(str(one.chat.id), match[1]) for one, match in starts if match is not None)


def last_update_id(raw_updates: Sequence[Any]) -> int:
    """The highest id of an update, parsed or not; `Malformed` where none of them has one."""
    values = [item.get("update_id") for item in raw_updates if isinstance(item, dict)]
    update_ids = [value for value in values if type(value) is int and 0 <= value < 2**63 - 1]
    if not update_ids:
        raise Malformed("the updates have no numbers")
    return max(update_ids)


def to_event(update: telegram.Update, *, bot_id: str | None, own_account_ids: Collection[str] = ()) -> Event | None:
    """The contents of an update; None for one that is not stored, such as a service message.

    Private messages belong to `bot_id`. `own_account_ids` are the ids of one of the bot's communities.
    """
    event_id = str(update.update_id)
    if (changed := update.message_reaction_count) is not None and changed.chat.type == "channel":
        total = sum(reaction.total_count for reaction in changed.reactions)
        counted = PostMetrics(str(changed.message_id), {Metric.REACTIONS: total})
        return Event(event_id, str(changed.chat.id), metrics=(counted,), at=changed.date)
    if (membership := update.my_chat_member) is not None and membership.chat.type != "private":
        return Event(event_id, str(membership.chat.id))
    if (member := update.chat_member) is not None:
        return _member_event(event_id, member)
    if (message := update.channel_post or update.edited_channel_post) is not None:
        return Event(event_id, str(message.chat.id), posts=(post(message),)) if message.has_content else None
    if (query := update.callback_query) is not None:
        return _press_event(event_id, query, bot_id, own_account_ids)
    message = update.message or update.edited_message
    if message is None or not message.has_content or message.is_automatic_forward or message.chat.is_direct_messages:
        return None
    if message.chat.type == "private":
        return Event(event_id, bot_id, messages=(direct(message),))
    return Event(event_id, str(message.chat.id), messages=(comment(message, own_account_ids),))


def _member_event(event_id: str, changed: telegram.MemberUpdate) -> Event | None:
    """Somebody joined a channel or a group, or left it; None for other changes, and in private chats."""
    before, after = changed.old_chat_member.belongs, changed.new_chat_member.belongs
    if before == after or changed.chat.type == "private":
        return None
    link = changed.invite_link
    one = JoinOrLeave(
        account_id=str(changed.new_chat_member.user.id),
        at=changed.date,
        joined=after,
        invite_link=invite_link(link.invite_link) if after and link is not None else None,
    )
    return Event(event_id, str(changed.chat.id), members=(one,))


def invite_link(text: str) -> str | None:
    """An invite link as far as it is visible; None where too little of it is to tell it from others."""
    visible = text.rstrip("\u2026.")
    return visible if len(visible.rpartition("/")[2].lstrip("+")) >= INVITE_PREFIX else None


def _press_event(
    event_id: str, query: telegram.CallbackQuery, bot_id: str | None, own_account_ids: Collection[str]
) -> Event | None:
    """A press of a button below a message of the bot's, as a message of the person who pressed it.

    None for the buttons of a channel's posts (pressing one addresses nobody), and of games.
    """
    below = query.message
    if below is None or below.chat.type == "channel" or not query.data:
        return None
    pressed = telegram.Message.model_validate(
        {
            "message_id": below.message_id,
            "date": 0,
            "chat": below.chat,
            "from": query.sender,
            "message_thread_id": below.message_thread_id or below.message_id,
            "text": below.label(query.data),
        }
    )
    private = below.chat.type == "private"
    message = direct(pressed) if private else comment(pressed, own_account_ids)
    message = replace(
        message, external_id=f"{message_id(pressed)}_{query.id}", in_reply_to=message_id(pressed), url=None
    )
    return Event(event_id, bot_id if private else str(below.chat.id), messages=(message,), undated=True)


def albums_of(updates: Sequence[telegram.Update]) -> dict[str, telegram.Message]:
    """The albums among new posts, by key: the first part of each, with the text of whichever part has one."""
    albums: dict[str, telegram.Message] = {}
    for message in (update.channel_post for update in updates):
        if message is not None and message.media_group_id is not None:
            album = albums.get(_album_key(message), message)
            first = min(album, message, key=lambda part: part.message_id)
            albums[_album_key(message)] = first.model_copy(
                update={"caption": album.content_text or message.content_text}
            )
    return albums


def with_joined_albums(updates: Sequence[telegram.Update], seen_albums: Collection[str]) -> list[telegram.Update]:
    """The updates with each new album as one post, and of `seen_albums` only the parts with a text."""
    albums = {key: album for key, album in albums_of(updates).items() if key not in seen_albums}
    joined = []
    for update in updates:
        message = update.channel_post
        if message is None or message.media_group_id is None:
            joined.append(update)
        elif (album := albums.pop(_album_key(message), None)) is not None:
            joined.append(update.model_copy(update={"channel_post": album}))
        elif message.content_text and _album_key(message) in seen_albums:
            joined.append(update)
    return joined


def _album_key(message: telegram.Message) -> str:
    return f"{message.chat.id}_{message.media_group_id}"


def post(message: telegram.Message) -> RemotePost:
    post_id = str(message.message_id)
    return RemotePost(
        external_id=post_id,
        url=f"{page(message.chat)}/{post_id}",
        text=message.content_text,
        published_at=message.date,
        metrics=metrics(post_id),
        edited_at=message.edit_date,
        album=message.media_group_id,
    )


def direct(message: telegram.Message) -> RemoteMessage:
    """What a person wrote to the bot. There are no updates for what the bot itself writes."""
    return RemoteMessage(
        external_id=message_id(message),
        thread_id=str(message.chat.id),
        kind=MessageKind.MESSAGE,
        author=author(message, is_community=False),
        text=message.content_text,
        sent_at=message.date,
        in_reply_to=_parent_id(message),
        edited_at=message.edit_date,
        attachments=message.attachments,
    )


def comment(message: telegram.Message, own_account_ids: Collection[str]) -> RemoteMessage:
    """What was written in the discussion group. A thread is what one customer wrote below one post, with the replies:
    what the community writes belongs to the customer it answers.

    Only an answer to the post itself names the post; one to another comment names that comment.
    """
    parent = message.reply_to_message
    root_message = parent if parent is not None and parent.is_automatic_forward else None
    is_own = _is_own(message, root_message, own_account_ids)
    by_customer = parent if is_own and parent is not None and root_message is None else message
    root_id = message.message_thread_id or (parent or message).message_id
    origin = None if root_message is None else root_message.forward_origin
    post_id = None if origin is None or origin.message_id is None else str(origin.message_id)
    comment_url = url(message.chat, message.message_id)
    if origin is not None and origin.chat is not None and post_id is not None:
        comment_url = f"{page(origin.chat)}/{post_id}?comment={message.message_id}"
    return RemoteMessage(
        external_id=message_id(message),
        thread_id=f"{message.chat.id}_{root_id}_{author(by_customer, is_community=False).external_id}",
        kind=MessageKind.COMMENT,
        author=author(message, is_community=is_own),
        text=message.content_text,
        sent_at=message.date,
        url=comment_url,
        post_id=post_id,
        in_reply_to=None if root_message is not None else _parent_id(message),
        edited_at=message.edit_date,
        attachments=message.attachments,
    )


def author(message: telegram.Message, *, is_community: bool) -> RemotePerson:
    """The author of a message: the chat on whose behalf it was sent, if any, else the user."""
    if (chat := message.sender_chat) is not None:
        return RemotePerson(str(chat.id), chat.title, url(chat), is_community)
    if (user := message.sender) is None:
        return RemotePerson(str(message.chat.id), message.chat.title, None, is_community)
    name = f"{user.first_name} {user.last_name}".strip()
    return RemotePerson(str(user.id), name, f"https://t.me/{user.username}" if user.username else None, is_community)


def _is_own(message: telegram.Message, root_message: telegram.Message | None, own_account_ids: Collection[str]) -> bool:
    """Whether it was sent on behalf of the channel or the group; people may write on behalf of their own channels."""
    sender = message.sender_chat
    if sender is None:
        return False
    if str(message.chat.id) in own_account_ids and str(sender.id) in own_account_ids:
        return True
    origin = None if root_message is None else root_message.forward_origin
    channels = (None if root_message is None else root_message.sender_chat, None if origin is None else origin.chat)
    return sender.id in {message.chat.id, *(channel.id for channel in channels if channel is not None)}


def _parent_id(message: telegram.Message) -> str | None:
    return None if message.reply_to_message is None else message_id(message.reply_to_message)
