"""The Bot API's objects, rendered from the world. Source: Bot API 10.1.

The world numbers what is on a wall; each number leaves room for the parts of an album. The
discussion group has its own numbers, none of which is one of the channel's. Private
messages have the world's numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sandbox.entities import Community, Entry, Media, Profile
from sandbox.people import person

Json = dict[str, object]

PARTS: Final = 16
_GROUP_NUMBERS: Final = 5_000_000
_EMOJI: Final = ("❤", "👍", "🔥")
_TELEGRAM: Final[Json] = {"id": 777000, "is_bot": False, "first_name": "Telegram"}
_SPEAKS_AS_CHANNEL: Final[Json] = {
    "id": 136817688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot",
}  # fmt: skip


def bot_id(profile: Profile) -> int:
    return 7_000_000_000 + profile.number


def channel_id(c: Community) -> int:
    return int(c.profile.external_id)


def group_id(c: Community) -> int:
    return -(10**12 + 2_000_000_000 + c.profile.number)


def entry_of(number: int) -> int:
    """The world's entry of a message of the channel."""
    return number // PARTS


def entry_of_group(number: int) -> int:
    """The world's entry of a message of the discussion group."""
    return (number - _GROUP_NUMBERS) // PARTS


def _in_channel(entry: Entry, part: int = 0) -> int:
    return entry.id * PARTS + part


def _in_group(entry: Entry, part: int = 0) -> int:
    return _GROUP_NUMBERS + entry.id * PARTS + part


def parts(entry: Entry) -> range:
    """The number of messages that an entry consists of."""
    return range(max(len(entry.media), 1))


def channel(c: Community) -> Json:
    return {"id": channel_id(c), "title": c.profile.title, "username": c.key, "type": "channel"}


def group(c: Community) -> Json:
    return {"id": group_id(c), "title": f"{c.profile.title}: comments", "type": "supergroup"}


def full(c: Community, chat: Json) -> Json:
    """A chat with the fields of `getChat`."""
    gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
    return {
        **chat,
        "accent_color_id": c.profile.number % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, False),
    }


def user(c: Community, number: int) -> Json:
    profile = person(number, c.profile.language)
    return {
        "id": number, "is_bot": False, "first_name": profile.first, "last_name": profile.last,
        "username": profile.username, "language_code": c.profile.language,
    }  # fmt: skip


def bot(c: Community) -> Json:
    return {"id": bot_id(c.profile), "is_bot": True, "first_name": c.profile.title, "username": f"{c.key}_bot"}


def member_changed(c: Community, number: int, at: int, *, joined: bool, link: str) -> Json:
    """Somebody joined the channel or left it. Of another administrator's link the second part is hidden."""
    states = [{"status": status, "user": user(c, number)} for status in ("left", "member")]
    changed: Json = {
        "chat": channel(c),
        "from": user(c, number),
        "date": at // 1000,
        "old_chat_member": states[not joined],
        "new_chat_member": states[joined],
    }
    if link:
        hidden = f"{link[: -(len(link) // 4)]}\u2026"
        invite: Json = {"creator": user(c, c.number_of(1)), "creates_join_request": False, "is_primary": False}
        changed["invite_link"] = {**invite, "invite_link": hidden, "is_revoked": False}
    return changed


def private(c: Community, number: int) -> Json:
    rendered = user(c, number)
    return {**{name: rendered[name] for name in ("id", "first_name", "last_name", "username")}, "type": "private"}


def _content(c: Community, entry: Entry, part: int) -> Json:
    """Text or picture; an album's text is at its first part."""
    if entry.attachments:
        return _attached(c, entry)
    if not entry.media:
        return {"text": entry.text}
    picture: Media | None = c.media.get(entry.media[part])
    detail = {} if picture is None else picture.detail
    photo: Json = {
        "file_id": f"AgAC{c.profile.number}-{entry.media[part]}",
        "file_unique_id": f"AQAD{c.profile.number}-{entry.media[part]}",
        "width": detail.get("width", 1280),
        "height": detail.get("height", 960),
    }
    rendered: Json = {"photo": [photo if picture is None else {**photo, "file_size": picture.size}]}
    if entry.text and part == 0:
        rendered["caption"] = entry.text
    if len(entry.media) > 1:
        rendered["media_group_id"] = str(13_000_000_000_000_000 + entry.id)
    return rendered


def _attached(c: Community, entry: Entry) -> Json:
    """What a customer attached: one file, since an album's parts are messages of their own."""
    one = entry.attachments[0]
    file: Json = {
        "file_id": f"BQAC{c.profile.number}-{entry.id}", "file_unique_id": f"AgAD{c.profile.number}-{entry.id}"
    }  # fmt: skip
    named = {"file_name": one.name} if one.name else {}
    size = {"width": 1280, "height": 960}
    match one.kind:
        case "video":
            rendered: Json = {"video": {**file, **size, **named, "duration": 12}}
        case "file":
            rendered = {"document": {**file, **named, "mime_type": "application/pdf"}}
        case _:
            rendered = {"photo": [{**file, **size}]}
    return {**rendered, "caption": entry.text} if entry.text else rendered


def post(c: Community, entry: Entry, part: int = 0) -> Json:
    return {
        "message_id": _in_channel(entry, part),
        "sender_chat": channel(c),
        "chat": channel(c),
        "date": entry.at // 1000,
        **_content(c, entry, part),
    }


def forward(c: Community, entry: Entry, part: int = 0) -> Json:
    """A post as forwarded to the discussion group."""
    number, at = _in_channel(entry, part), entry.at // 1000
    return {
        "message_id": _in_group(entry, part),
        "from": _TELEGRAM,
        "sender_chat": channel(c),
        "chat": group(c),
        "date": at,
        "forward_origin": {"type": "channel", "chat": channel(c), "message_id": number, "date": at},
        "is_automatic_forward": True,
        **_content(c, entry, part),
    }


def comment(c: Community, entry: Entry, born: int) -> Json:
    """A comment with the message it replies to, which itself has no `reply_to_message`."""
    root_post = None if entry.post is None else c.wall.get(entry.post)
    above = None if entry.parent is None else c.wall.get(entry.parent)
    rendered = {**_group_message(c, entry, born), **_content(c, entry, 0)}
    if root_post is not None:
        rendered["message_thread_id"] = _in_group(root_post)
        if above is None and entry.parent is None:
            rendered["reply_to_message"] = forward(c, root_post)
        elif above is not None and not above.deleted:
            thread = {"message_thread_id": _in_group(root_post)}
            rendered["reply_to_message"] = {**_group_message(c, above, born), **thread, **_content(c, above, 0)}
    return rendered


def _group_message(c: Community, entry: Entry, born: int) -> Json:
    """A group message; the community's own are the bot's, or the channel's before the world's birth."""
    rendered: Json = {"message_id": _in_group(entry), "chat": group(c), "date": entry.at // 1000}
    if entry.person is not None:
        return {**rendered, "from": user(c, entry.person)}
    if entry.at >= born:
        return {**rendered, "from": bot(c)}
    return {**rendered, "from": _SPEAKS_AS_CHANNEL, "sender_chat": channel(c)}


def direct(c: Community, entry: Entry) -> Json:
    above = None if entry.parent is None else c.mail.get(entry.parent)
    rendered = _private_message(c, entry)
    return rendered if above is None else {**rendered, "reply_to_message": _private_message(c, above)}


def _private_message(c: Community, entry: Entry) -> Json:
    return {
        "message_id": entry.id,
        "from": bot(c) if entry.person is None else user(c, entry.person),
        "chat": private(c, entry.peer or 0),
        "date": entry.at // 1000,
        **_content(c, entry, 0),
    }


def reactions(c: Community, entry: Entry, at: int) -> Json:
    """The number of each reaction of a post."""
    return {
        "chat": channel(c),
        "message_id": _in_channel(entry),
        "date": at // 1000,
        "reactions": [
            {"type": {"type": "emoji", "emoji": emoji}, "total_count": total}
            for emoji, total in _by_emoji(entry.reactors)
            if total
        ],
    }


def _by_emoji(reactors: Iterable[int]) -> list[tuple[str, int]]:
    indexes = [number % len(_EMOJI) for number in reactors]
    return [(emoji, indexes.count(index)) for index, emoji in enumerate(_EMOJI)]


def administrator(c: Community, *, discussion: bool, posts: bool) -> Json:
    rights = (
        "can_be_edited", "is_anonymous", "can_manage_chat", "can_delete_messages", "can_manage_video_chats",
        "can_restrict_members", "can_promote_members", "can_change_info", "can_invite_users", "can_post_stories",
        "can_edit_stories", "can_delete_stories",
    )  # fmt: skip
    own = {} if discussion else {"can_post_messages": posts, "can_edit_messages": posts}
    has = {name: name in {"can_manage_chat", "can_delete_messages"} for name in rights}
    return {"status": "administrator", "user": bot(c), **has, **own}
