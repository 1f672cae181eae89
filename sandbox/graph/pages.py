"""Facebook: Pages, their posts, photos and comments, and the user who manages them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sandbox.entities import Attached, Community, Entry, Media
from sandbox.graph import ids, insights, mail, oauth, subscriptions, writing
from sandbox.graph.call import Call
from sandbox.graph.errors import invalid
from sandbox.graph.nodes import ABSENT, Args, Json, Kind, Listing, Node, instant, text_of
from sandbox.people import person

SITE: Final = "https://www.facebook.com"
_MOODS: Final = ("LIKE", "LIKE", "LIKE", "LOVE", "HAHA")
_TASKS: Final = ("ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MESSAGING", "MODERATE", "MANAGE")
CATEGORY: Final = {"coffee": ("2205", "Coffee shop"), "bikes": ("2256", "Bicycle shop"), "school": ("2250", "School")}


def page(c: Community) -> Node:
    return Node("page", ids.page(c), c)


def post(c: Community, entry: Entry) -> Node:
    return Node("post", ids.post(c, entry.id), c, entry)


def comment(c: Community, entry: Entry) -> Node:
    return Node("comment", ids.comment(c, entry.post or 0, entry.id), c, entry)


def photo(c: Community, media: Media) -> Node:
    return Node("photo", ids.make(ids.PHOTO, c, int(media.id)), c, media)


def head(c: Community, entry: Entry) -> Entry:
    """The top comment of an entry's thread; threads are one level deep, and a deleted comment is never the top."""
    root_comment, above = entry, entry
    while above.parent is not None and (parent := c.wall.get(above.parent)) is not None:
        above = parent
        root_comment = root_comment if above.deleted else above
    return root_comment


def comments_of(c: Community, entry: Entry) -> Iterator[Entry]:
    """All comments below a post or a comment."""
    for one in entry.replies:
        below = c.wall.get(one)
        if below is not None:
            if not below.deleted:
                yield below
            yield from comments_of(c, below)


def thread(c: Community, root_comment: Entry) -> list[Entry]:
    """The replies in the thread of a top comment, oldest first."""
    by_id = {
        one.id: one for one in comments_of(c, root_comment) if head(c, one) is root_comment and one is not root_comment
    }
    return [by_id[one] for one in sorted(by_id)]


# ── fields ────────────────────────────────────────────────────────────────────────────────────────


def author(call: Call, node: Node) -> object:
    """The author; visible only to a Page token."""
    if not call.caller.is_page:
        return ABSENT
    person_number = node.entry.person
    if person_number is None:
        return {"name": node.c.profile.title, "id": ids.page(node.c)}
    return {"name": person(person_number, node.c.profile.language).name, "id": ids.person(node.c, person_number)}


def _token(call: Call, node: Node) -> object:
    """The Page's token, for the user who manages it."""
    if call.caller.is_page:
        return call.caller.token
    call.needs("pages_show_list")
    return oauth.page_token(call, node.c)


def _linked(_: Call, node: Node) -> object:
    return Node("account", node.c.profile.external_id, node.c) if ids.is_instagram(node.c) else ABSENT


def _parent(_: Call, node: Node) -> object:
    root_comment = head(node.c, node.entry)
    return ABSENT if root_comment is node.entry else comment(node.c, root_comment)


def _picture(node: Node, number: str) -> str:
    return f"{SITE.replace('www', 'scontent')}/{ids.make(ids.PHOTO, node.c, int(number))}_n.jpg"


def _full_picture(_: Call, node: Node) -> object:
    return _picture(node, node.entry.media[0]) if node.entry.media else ABSENT


def permalink(c: Community, entry: Entry) -> str:
    story = f"{SITE}/{ids.page(c)}/posts/{ids.make(ids.STORY, c, entry.post or entry.id)}"
    if entry.kind == "post":
        return f"{story}/"
    root_comment = head(c, entry)
    permalink = f"{story}?comment_id={ids.make(ids.STORY, c, root_comment.id)}"
    return permalink if root_comment is entry else f"{permalink}&reply_comment_id={ids.make(ids.STORY, c, entry.id)}"


def _category(c: Community) -> Json:
    number, name = CATEGORY[c.profile.theme]
    return {"id": number, "name": name}


# ── edges ─────────────────────────────────────────────────────────────────────────────────────────


def _posts(call: Call, node: Node, args: Args) -> Listing:
    call.needs("pages_read_engagement", code=100)
    c, since, until = node.c, instant(args, "since"), instant(args, "until")
    items = [
        (one.id, post(c, one))
        for one in (c.wall[number] for number in reversed(c.posts))
        if (since is None or one.at >= since) and (until is None or one.at <= until)
    ]
    # An Instagram account's Page has no posts here.
    return Listing([] if ids.is_instagram(c) else items, falling=True, strict=True)


def _comments(call: Call, node: Node, args: Args) -> Listing:
    call.needs("pages_read_user_content")
    c, since, which = node.c, instant(args, "since"), args.get("filter", "toplevel")
    falling = args.get("order", "chronological") == "reverse_chronological"
    if which not in {"stream", "toplevel"}:
        raise invalid("Param filter must be one of {STREAM, TOPLEVEL}")
    if node.kind == "comment":
        comments = thread(c, node.entry)
    else:
        comments = sorted(comments_of(c, node.entry), key=lambda one: one.id)
        if which == "toplevel":
            comments = [one for one in comments if head(c, one) is one]
    order = "reverse_chronological" if falling else "chronological"
    summary: Json = {"order": order, "total_count": len(comments), "can_comment": True}
    items = [(one.id, comment(c, one)) for one in comments if since is None or one.at >= since]
    return Listing(items[::-1] if falling else items, falling=falling, summary=summary)


def _reactions(call: Call, node: Node, args: Args) -> Listing:
    call.needs("pages_read_user_content")
    return _reacted(node, args.get("type", "").upper())


def _likes(call: Call, node: Node, args: Args) -> Listing:
    call.needs("pages_read_user_content")
    return _reacted(node, "LIKE")


def _reacted(node: Node, mood: str) -> Listing:
    language = node.c.profile.language
    items: list[tuple[int, Node | Json]] = [
        (
            person_number,
            {
                "id": ids.person(node.c, person_number),
                "name": person(person_number, language).name,
                "type": mood_of(person_number),
            },
        )
        for person_number in sorted(node.entry.reactors)
        if mood in {"", "NONE", mood_of(person_number)}
    ]
    return Listing(items, summary={"total_count": len(items), "viewer_reaction": "NONE"})


def mood_of(person_number: int) -> str:
    return _MOODS[person_number % len(_MOODS)]


def _attachments(_: Call, node: Node, __: Args) -> Listing:
    """The attachments; several photos form one album."""
    pictures = [
        {
            "media": {"image": {"height": 720, "src": _picture(node, one), "width": 720}},
            "target": {"id": ids.make(ids.PHOTO, node.c, int(one)), "url": f"{SITE}/photo.php?fbid={one}"},
            "type": "photo", "url": f"{SITE}/photo.php?fbid={one}", "media_type": "photo",
        }
        for one in node.entry.media
    ]  # fmt: skip
    if len(pictures) > 1:
        album: Json = {**pictures[0], "type": "album", "media_type": "album", "subattachments": {"data": pictures}}
        return Listing([(0, album)])
    return Listing([(place, dict(one)) for place, one in enumerate(pictures)])


def _accounts(call: Call, node: Node, _: Args) -> Listing:
    call.needs("pages_show_list")
    return Listing([(0, Node("managed", ids.page(node.c), node.c))])


PAGE: Final = Kind(
    "Page",
    "name",
    fields={
        "name": lambda _, node: node.c.profile.title,
        "username": lambda _, node: node.c.key,
        "about": lambda _, node: node.c.profile.about,
        "category": lambda _, node: _category(node.c)["name"],
        "category_list": lambda _, node: [_category(node.c)],
        "fan_count": lambda call, node: _counted(call, node),
        "followers_count": lambda call, node: _counted(call, node),
        "link": lambda _, node: f"{SITE}/{node.c.key}",
        "is_published": lambda _, __: True,
        "verification_status": lambda _, __: "not_verified",
        "is_webhooks_subscribed": lambda call, node: bool(subscriptions.granted_fields(call, node.c)),
        "access_token": _token,
        "instagram_business_account": _linked,
        "connected_instagram_account": _linked,
        "picture": lambda _, node: {
            "data": {"height": 50, "is_silhouette": False, "url": f"{SITE}/{node.c.key}/picture.jpg", "width": 50}
        },
    },
    edges={
        "posts": _posts,
        "feed": _posts,
        "published_posts": _posts,
        "conversations": mail.conversations,
        "subscribed_apps": subscriptions.apps,
    },
    changes={
        "feed": writing.publish,
        "photos": writing.upload,
        "messages": mail.send,
        "subscribed_apps": subscriptions.install,
    },
)


def _counted(call: Call, node: Node) -> int:
    call.needs("pages_read_engagement", code=100)
    return 0 if ids.is_instagram(node.c) else len(node.c.followers)


MANAGED: Final = Kind(
    "Page",
    "access_token,category,category_list,name,id,tasks",
    fields={**PAGE.fields, "tasks": lambda _, __: list(_TASKS)},
    edges=PAGE.edges,
)
"""A Page in the list of those a user manages."""

POST: Final = Kind(
    "PagePost",
    "created_time,message",
    fields={
        "message": lambda _, node: node.entry.text or ABSENT,
        "story": lambda _, __: ABSENT,
        "created_time": lambda _, node: text_of(node.entry.at),
        "updated_time": lambda _, node: text_of(node.entry.at),
        "permalink_url": lambda _, node: permalink(node.c, node.entry),
        "from": lambda _, node: {"name": node.c.profile.title, "id": ids.page(node.c)},
        # The field is absent while there are none.
        "shares": lambda _, node: {"count": node.entry.shares} if node.entry.shares else ABSENT,
        "status_type": lambda _, node: "added_photos" if node.entry.media else "mobile_status_update",
        "is_published": lambda _, __: True,
        "is_hidden": lambda _, __: False,
        "is_expired": lambda _, __: False,
        "full_picture": _full_picture,
        "picture": _full_picture,
        "promotable_id": lambda _, node: node.id,
        "parent_id": lambda _, __: ABSENT,
    },
    edges={
        "comments": _comments,
        "reactions": _reactions,
        "likes": _likes,
        "attachments": _attachments,
        "insights": insights.of_post,
    },
    changes={"comments": writing.comment},
    delete=writing.remove,
)


def picture_of(entry: Entry, one: Attached) -> str:
    """Where the picture that a customer attached to a comment is."""
    return f"https://scontent.fbsbx.com/v/{entry.id}-{one.number}.jpg"


def _attachment(entry: Entry) -> object:
    """What a customer attached; a comment has one file."""
    if not entry.attachments:
        return ABSENT
    one = entry.attachments[0]
    target = f"{SITE}/photo.php?fbid={entry.id}{one.number}"
    media = {"image": {"height": 720, "src": picture_of(entry, one), "width": 720}}
    kind = {"picture": "photo", "video": "video_inline"}.get(one.kind, "share")
    titled = {"title": one.name} if one.name else {}
    where = {"target": {"id": f"{entry.id}{one.number}", "url": target}, "url": target}
    return {"media": media, "type": kind, **where, **titled}


COMMENT: Final = Kind(
    "Comment",
    "created_time,from,message",
    fields={
        "message": lambda _, node: node.entry.text,
        "created_time": lambda _, node: text_of(node.entry.at),
        "from": author,
        "like_count": lambda _, node: len(node.entry.reactors),
        "comment_count": lambda _, node: len(thread(node.c, node.entry)),
        "parent": _parent,
        "object": lambda _, node: post(node.c, node.c.wall[node.entry.post or 0]),
        "permalink_url": lambda _, node: permalink(node.c, node.entry),
        "is_hidden": writing.is_hidden,
        "is_private": lambda _, __: False,
        "can_comment": lambda _, __: True,
        "can_hide": lambda _, __: True,
        "can_like": lambda _, __: True,
        "can_remove": lambda _, __: True,
        "can_reply_privately": lambda _, node: node.entry.person is not None,
        "user_likes": lambda _, __: False,
        "attachment": lambda _, node: _attachment(node.entry),
    },
    edges={"comments": _comments, "reactions": _reactions, "likes": _likes},
    changes={"": writing.hide, "comments": writing.comment},
    delete=writing.remove,
)

PHOTO: Final = Kind(
    "Photo",
    "created_time",
    fields={
        "created_time": lambda _, node: text_of(node.media.at),
        "name": lambda _, node: str(node.media.detail.get("caption") or "") or ABSENT,
        "alt_text_custom": lambda _, node: str(node.media.detail.get("alt") or "") or ABSENT,
        "link": lambda _, node: f"{SITE}/photo.php?fbid={node.id}",
        "height": lambda _, __: 720,
        "width": lambda _, __: 720,
    },
)

USER: Final = Kind(
    "User",
    "name",
    fields={
        "name": lambda _, node: person(node.c.number_of(999_999), node.c.profile.language).name,
        "first_name": lambda _, node: person(node.c.number_of(999_999), node.c.profile.language).first,
        "last_name": lambda _, node: person(node.c.number_of(999_999), node.c.profile.language).last,
    },
    edges={"accounts": _accounts},
)
"""The user who manages a community."""

APPLICATION: Final = Kind(
    "Application",
    "category,link,name",
    fields={
        "category": lambda _, __: "Business",
        "link": lambda _, __: "https://example.org/",
        "name": lambda _, __: oauth.APPLICATION,
    },
    edges={"subscriptions": subscriptions.listed},
    changes={"subscriptions": subscriptions.subscribe},
)
