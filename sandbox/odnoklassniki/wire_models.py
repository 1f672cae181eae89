"""Odnoklassniki's objects, rendered from the world."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from sandbox.entities import Community, Dialog, Entry
from sandbox.odnoklassniki import ids
from sandbox.people import person

Json = dict[str, object]

MOSCOW: Final = timezone(timedelta(hours=3))


def group(c: Community) -> Json:
    return {
        "uid": c.profile.external_id, "name": c.profile.title, "description": c.profile.about, "shortname": c.key,
        "members_count": len(c.followers), "private": False,
    }  # fmt: skip


def reference(c: Community, author: int | None) -> str:
    return f"group:{c.profile.external_id}" if author is None else f"user:{ids.person(author)}"


def name(c: Community, author: int | None) -> str:
    return c.profile.title if author is None else person(author, c.profile.language).name


def topic(c: Community, entry: Entry) -> Json:
    group_ref = reference(c, None)
    media: list[Json] = [{"type": "text", "text": entry.text}] if entry.text else []
    if entry.media:
        media.append({"type": "photo", "photo_refs": [f"group_photo:{one}" for one in entry.media]})
    return {
        "id": str(entry.id),
        "created_ms": entry.at,
        "author_ref": group_ref,
        "owner_ref": group_ref,
        "is_on_behalf_of_group": True,
        "has_more": False,
        "media": media,
        "like_summary": {"count": len(entry.reactors), "self": False, "like_possible": True},
        "discussion_summary": {
            "discussion_id": str(entry.id), "discussion_type": "GROUP_TOPIC", "comments_count": entry.comments
        },
        "reshare_summary": {"count": entry.shares, "self": False, "reshare_possible": True},
        "views_count": entry.views,
    }  # fmt: skip


def stat(entry: Entry) -> Json:
    return {
        "id": str(entry.id), "created_ms": entry.at, "views": entry.views, "renderings": entry.views,
        "reach": entry.reach, "likes": len(entry.reactors), "comments": entry.comments, "reshares": entry.shares,
        "engagement": len(entry.reactors) + entry.comments + entry.shares, "feedback": 0, "link_clicks": 0,
    }  # fmt: skip


def comments(c: Community, post: Entry) -> list[Entry]:
    """All comments of a topic as one list, oldest first."""
    entries: list[Entry] = []
    pending = list(post.replies)
    while pending:
        entry = c.wall.get(pending.pop())
        if entry is not None:
            pending.extend(entry.replies)
            if not entry.deleted:
                entries.append(entry)
    return sorted(entries, key=lambda entry: entry.id)


def comment(c: Community, entry: Entry) -> Json:
    author = reference(c, entry.person)
    rendered: Json = {
        "id": str(entry.id),
        "text": entry.text,
        "type": "REMOVED_MESSAGE" if entry.deleted else "ACTIVE_MESSAGE",
        "date": datetime.fromtimestamp(entry.at // 1000, UTC).astimezone(MOSCOW).strftime("%Y-%m-%d %H:%M:%S"),
        "author_id": author.partition(":")[2],
        "author_ref": author,
        "author_name": name(c, entry.person),
        "like_count": len(entry.reactors),
    }
    if entry.attachments:
        rendered["attachments"] = attachments(entry)
    above = None if entry.parent is None else c.wall.get(entry.parent)
    if above is not None:
        rendered |= {
            "reply_to_comment_id": str(above.id), "reply_to_id": reference(c, above.person).partition(":")[2],
            "reply_to_name": name(c, above.person),
        }  # fmt: skip
    return rendered


def chat(c: Community, dialog: Dialog) -> Json:
    person_ref = reference(c, dialog.person)
    last = c.mail[dialog.messages[-1]].at
    return {
        "type": "GROUP_CHAT",
        "status": "ACTIVE",
        "title": name(c, dialog.person),
        "icon": {"url": "https://st.mycdn.me/res/i/ok_logo.png"},
        "participants": {person_ref: last},
        "lastEventTime": last,
        "chat_id": ids.chat(c, dialog.person),
        "owner_id": person_ref,
        "group_id": reference(c, None),
    }


def attachments(entry: Entry) -> list[Json]:
    """What a customer attached."""
    types = {"picture": "IMAGE", "video": "VIDEO", "file": "FILE"}
    described: list[Json] = []
    for one in entry.attachments:
        named = {"name": one.name} if one.name else {}
        payload = {"url": f"https://i.mycdn.me/{entry.id}-{one.number}", **named}
        described.append({"type": types[one.kind], "payload": payload})
    return described


def message(c: Community, entry: Entry) -> Json:
    attached = {"attachments": attachments(entry)} if entry.attachments else {}
    return {
        "sender": {"name": name(c, entry.person), "user_id": reference(c, entry.person)},
        "recipient": {"chat_id": ids.chat(c, entry.peer or 0)},
        "message": {"text": entry.text, "seq": entry.id, "mid": ids.message(c, entry), **attached},
        "timestamp": entry.at,
    }


def latest_first(c: Community) -> Iterator[Entry]:
    """The group's existing topics, newest first."""
    return (c.wall[one] for one in reversed(c.posts))
