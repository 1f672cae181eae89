"""VK's objects, rendered from the world. Source: VKCOM/vk-api-schema, 5.199."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.entities import PEOPLE_PER_COMMUNITY, Attached, Community, Dialog, Entry, Media
from sandbox.people import person

Json = dict[str, object]

WALL_ALBUM = -14
FIRST_PHOTO = 456_239_000
"""Added to a picture's id to make a photo's."""


def group_id(c: Community) -> int:
    return int(c.profile.external_id)


def admin_id(c: Community) -> int:
    """The user id of the community's administrator, whose user token it has."""
    return c.number_of(999_999)


def group(c: Community, fields: Iterable[str] = ()) -> Json:
    """A community; `members_count` and `description` only if requested, as in VK."""
    picture = f"https://vk.com/images/community_{{}}.png?{group_id(c)}"
    rendered: Json = {
        "id": group_id(c),
        "name": c.profile.title,
        "screen_name": c.key,
        "is_closed": 0,
        "type": "group",
        "photo_50": picture.format(50),
        "photo_100": picture.format(100),
        "photo_200": picture.format(200),
    }
    more: Json = {"members_count": len(c.followers), "description": c.profile.about, "can_post": 0, "activity": ""}
    return rendered | {name: more[name] for name in fields if name in more}


def user(c: Community, number: int) -> Json:
    profile = person(number, c.profile.language)
    return {
        "id": number,
        "first_name": profile.first,
        "last_name": profile.last,
        "can_access_closed": True,
        "is_closed": False,
        "screen_name": profile.username,
    }


def people(c: Community, ids: Iterable[int]) -> Json:
    """The `profiles` and `groups` of an extended response, for these `from_id`s."""
    author_ids = dict.fromkeys(ids)
    user_ids = [one for one in author_ids if one // PEOPLE_PER_COMMUNITY == c.profile.number]
    return {"profiles": [user(c, one) for one in user_ids], "groups": [group(c)]}


def author_id(c: Community, entry: Entry) -> int:
    return -group_id(c) if entry.person is None else entry.person


def likes(entry: Entry) -> Json:
    return {"can_like": 1, "can_publish": 1, "count": len(entry.reactors), "user_likes": 0, "repost_disabled": False}


def photo(c: Community, media: Media) -> Json:
    """A photo, owned by the administrator who uploaded it."""
    photo_id = FIRST_PHOTO + int(media.id)
    url = f"https://sun9-1.userapi.com/{photo_id}.{media.type.rpartition('/')[2]}"
    return {
        "album_id": WALL_ALBUM, "date": media.at // 1000, "id": photo_id, "owner_id": admin_id(c), "has_tags": False,
        "text": "", "sizes": [{"type": "x", "width": 604, "height": 402, "url": url}],
    }  # fmt: skip


def post(c: Community, entry: Entry) -> Json:
    owner = -group_id(c)
    return {
        "inner_type": "wall_wallpost",
        "id": entry.id,
        "owner_id": owner,
        "from_id": owner,
        "date": entry.at // 1000,
        "text": entry.text,
        "post_type": "post",
        "type": "post",
        "marked_as_ads": 0,
        "is_favorite": False,
        "attachments": [{"type": "photo", "photo": photo(c, c.media[one])} for one in entry.media if one in c.media],
        "post_source": {"type": "vk"},
        "donut": {"is_donut": False},
        "hash": f"{entry.id:x}{entry.at:x}",
        "short_text_rate": 0.8,
        "likes": likes(entry),
        "comments": {"can_post": 1, "can_view": 1, "groups_can_post": True, "count": entry.comments},
        "reposts": {"count": entry.shares, "wall_count": 0, "mail_count": 0, "user_reposted": 0},
        "views": {"count": entry.views},
    }


def attachments(c: Community, entry: Entry) -> list[Json]:
    """What a customer attached."""
    return [_attachment(c, entry, one) for one in entry.attachments]


def _attachment(c: Community, entry: Entry, one: Attached) -> Json:
    owner, number = author_id(c, entry), entry.id * 10 + one.number
    base = {"id": number, "owner_id": owner, "date": entry.at // 1000}
    if one.kind == "video":
        return {"type": "video", "video": {**base, "title": one.name, "duration": 12, "views": 1}}
    if one.kind == "file":
        url = f"https://vk.com/doc{owner}_{number}"
        return {"type": "doc", "doc": {**base, "title": one.name, "size": 4096, "ext": "pdf", "type": 1, "url": url}}
    sizes = [
        {"type": letter, "width": width, "height": width, "url": f"https://sun9-2.userapi.com/{number}-{letter}.jpg"}
        for letter, width in (("s", 75), ("x", 604), ("m", 130))
    ]
    return {"type": "photo", "photo": {**base, "album_id": -9, "has_tags": False, "text": one.name, "sizes": sizes}}


def comment(c: Community, entry: Entry, *, need_likes: bool = False) -> Json:
    """A comment; one that was deleted but has replies is a placeholder with `deleted`."""
    root_comment = root(c, entry)
    rendered: Json = {
        "id": entry.id,
        "from_id": 0 if entry.deleted else author_id(c, entry),
        "date": entry.at // 1000,
        "text": entry.text,
        "post_id": entry.post or 0,
        "owner_id": -group_id(c),
        "parents_stack": [] if root_comment is entry else [root_comment.id],
    }
    if entry.deleted:
        rendered["deleted"] = True
    if entry.attachments:
        rendered["attachments"] = attachments(c, entry)
    if entry.person is None:
        rendered["is_from_post_author"] = True
    above = None if entry.parent is None else c.wall.get(entry.parent)
    if above is not None:
        rendered |= {"reply_to_user": author_id(c, above), "reply_to_comment": above.id}
    if need_likes:
        rendered["likes"] = likes(entry)
    return rendered


def root(c: Community, entry: Entry) -> Entry:
    """The thread's first comment; VK's threads are one level deep."""
    while entry.parent is not None and (above := c.wall.get(entry.parent)) is not None:
        entry = above
    return entry


def thread(c: Community, root_comment: Entry) -> list[Entry]:
    """The replies to a comment, at any depth, oldest first."""
    replies: list[Entry] = []
    pending = list(root_comment.replies)
    while pending:
        entry = c.wall.get(pending.pop())
        if entry is not None:
            replies.append(entry)
            pending.extend(entry.replies)
    return sorted(replies, key=lambda entry: entry.id)


def message(c: Community, entry: Entry) -> Json:
    """A direct message; the community's own are all its administrator's."""
    administrator: Json = {"admin_author_id": admin_id(c)} if entry.person is None else {}
    return administrator | {
        "id": entry.id,
        "conversation_message_id": entry.number,
        "date": entry.at // 1000,
        "from_id": author_id(c, entry),
        "peer_id": entry.peer or 0,
        "out": 1 if entry.person is None else 0,
        "text": entry.text,
        "version": 10_000_000 + entry.id,
        "random_id": 0,
        "important": False,
        "is_hidden": False,
        "attachments": attachments(c, entry),
        "fwd_messages": [],
    }


def conversation(c: Community, dialog: Dialog) -> Json:
    last = c.mail[dialog.messages[-1]]
    unread = min(dialog.unread, len(dialog.messages))
    return {
        "peer": {"id": dialog.person, "type": "user", "local_id": dialog.person},
        "last_message_id": last.id,
        "last_conversation_message_id": last.number,
        "in_read": dialog.messages[-unread - 1] if unread < len(dialog.messages) else 0,
        "out_read": last.id if last.person is not None else 0,
        "unread_count": unread,
        "unanswered": dialog.unread > 0,
        "important": False,
        "sort_id": {"major_id": 0, "minor_id": last.id},
        "can_write": {"allowed": True},
        "version": 10_000_000 + last.id,
    }
