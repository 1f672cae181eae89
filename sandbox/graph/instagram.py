"""Instagram: accounts, their media, comments and containers."""

from __future__ import annotations

from typing import Final

from sandbox.entities import Community, Entry
from sandbox.graph import ids, insights, mail, publishing, subscriptions, writing
from sandbox.graph.call import Call
from sandbox.graph.errors import invalid
from sandbox.graph.mentions import IN_COMMENT, TAG_ALONE, mentioning
from sandbox.graph.nodes import ABSENT, Args, Json, Kind, Listing, Node, instant, text_of
from sandbox.graph.pages import comments_of, head, thread
from sandbox.graph.state import GraphState
from sandbox.people import person

SITE: Final = "https://www.instagram.com"


def account(call: Call, c: Community) -> Node:
    """The account's node. With Instagram Login its `id` differs; both ids are accepted in paths."""
    return Node("account", ids.app_scoped(c) if call.caller.is_instagram_login else c.profile.external_id, c)


def media(c: Community, entry: Entry) -> Node:
    return Node("media", ids.make(ids.MEDIA, c, entry.id), c, entry)


def comment(c: Community, entry: Entry) -> Node:
    return Node("ig_comment", ids.make(ids.IG_COMMENT, c, entry.id), c, entry)


def tagged(c: Community, entry: Entry) -> Node:
    return Node("tagged", ids.make(ids.TAGGED, c, entry.id), c, entry)


# ── fields ────────────────────────────────────────────────────────────────────────────────────────


def username(_: Call, node: Node) -> str:
    author = node.entry.person
    return node.c.key if author is None else person(author, node.c.profile.language).username


def author(call: Call, node: Node) -> Json:
    author = node.entry.person
    if author is None:
        return {"id": node.c.profile.external_id, "username": node.c.key, "self_ig_scoped_id": ids.user(node.c)}
    return {"id": ids.person(node.c, author), "username": username(call, node)}


def _followers(call: Call, node: Node) -> int:
    _basic(call)
    return len(node.c.followers)


def _media_count(call: Call, node: Node) -> int:
    _basic(call)
    return len(node.c.posts)


def _basic(call: Call) -> None:
    call.needs("instagram_basic", "instagram_business_basic")


def _login(call: Call, value: object) -> object:
    """A field that exists only at graph.instagram.com."""
    return value if call.caller.is_instagram_login else ABSENT


def _picture(node: Node) -> str:
    return f"{SITE.replace('www', 'scontent')}/{node.id}_n.jpg"


def _media_of_comment(_: Call, node: Node) -> Node:
    """The account's media, or of a mention that of another account."""
    return tagged(node.c, node.entry) if node.entry.post is None else media(node.c, node.c.wall[node.entry.post])


def _parent(_: Call, node: Node) -> object:
    root_comment = head(node.c, node.entry)
    return ABSENT if root_comment is node.entry else comment(node.c, root_comment).id


# ── edges ─────────────────────────────────────────────────────────────────────────────────────────


def _listed(call: Call, node: Node, args: Args) -> Listing:
    _basic(call)
    c, since, until = node.c, instant(args, "since"), instant(args, "until")
    items: list[tuple[int, Node | Json]] = [
        (one.id, media(c, one))
        for one in (c.wall[number] for number in reversed(c.posts))
        if (since is None or one.at >= since) and (until is None or one.at <= until)
    ]
    return Listing(items, falling=True)


def _tags(call: Call, node: Node, _: Args) -> Listing:
    """Media of others in which the account is tagged, newest first: all mentions but those in comments."""
    call.needs("instagram_manage_comments", "instagram_business_manage_comments")
    items: list[tuple[int, Node | Json]] = [
        (one.id, tagged(node.c, one))
        for one in reversed(node.c.wall.values())
        if one.kind == "mention" and one.person is not None and not one.deleted and one.topic != IN_COMMENT
    ]
    return Listing(items, falling=True)


def caption(_: Call, node: Node) -> str:
    """Other accounts @mention the account in their captions, unless they only tag it in the picture."""
    at_name, text = f"@{node.c.key}", node.entry.text
    return text if node.entry.topic == TAG_ALONE or at_name in text else f"{at_name} {text}"


def _mentioned_media(call: Call, node: Node, args: Args) -> Node:
    """`mentioned_media.media_id(…)`: media whose caption @mentions the account."""
    return _mentioned(call, node, args.get("media_id", ""), ids.TAGGED)


def _mentioned_comment(call: Call, node: Node, args: Args) -> Node:
    """`mentioned_comment.comment_id(…)`: a comment, below another account's media, that @mentions the account."""
    return _mentioned(call, node, args.get("comment_id", ""), ids.IG_COMMENT)


def _mentioned(call: Call, node: Node, object_id: str, kind: str) -> Node:
    call.needs("instagram_manage_comments")
    if call.caller.is_instagram_login:
        raise invalid("Tried accessing nonexisting field (mentioned_media) on node type (IGUser)")
    entry = mentioning(call, node.c, object_id, kind)
    return comment(node.c, entry) if kind == ids.IG_COMMENT else tagged(node.c, entry)


def _nothing(call: Call, _: Node, __: Args) -> Listing:
    _basic(call)
    return Listing([])


def _limit(call: Call, node: Node, args: Args) -> Listing:
    """The posts published through the API in 24 hours, and the limit."""
    call.needs("instagram_content_publish", "instagram_business_content_publish")
    kept = call.network.extra_state(GraphState)
    content: Json = {"quota_usage": kept.published(node.c)}
    if "config" in args.get("fields", ""):
        total = call.network.limits["graph_publish_daily"]
        content["config"] = {"quota_total": total, "quota_duration": 86_400}
    return Listing([(0, content)])


def _comments(call: Call, node: Node, _: Args) -> Listing:
    """Top-level comments, newest first; `since` is not supported."""
    call.needs("instagram_manage_comments", "instagram_business_manage_comments")
    c = node.c
    tops = {one.id: one for one in comments_of(c, node.entry) if head(c, one) is one}
    return Listing([(one, comment(c, tops[one])) for one in sorted(tops, reverse=True)], falling=True, most=50)


def _replies(call: Call, node: Node, _: Args) -> Listing:
    """Replies, oldest first, as one level: a reply to a reply is listed beside it."""
    call.needs("instagram_manage_comments", "instagram_business_manage_comments")
    return Listing([(one.id, comment(node.c, one)) for one in thread(node.c, node.entry)], most=50)


def _children(_: Call, node: Node, __: Args) -> Listing:
    children = node.entry.media if len(node.entry.media) > 1 else ()
    items: list[tuple[int, Node | Json]] = [
        (place, Node("child", ids.make(ids.CHILD, node.c, int(one)), node.c, int(one)))
        for place, one in enumerate(children)
    ]
    return Listing(items)


ACCOUNT: Final = Kind(
    "IGUser",
    "",
    fields={
        "user_id": lambda call, node: _login(call, int(node.c.profile.external_id)),
        "account_type": lambda call, node: _login(call, "BUSINESS"),
        "ig_id": lambda _, node: int(node.c.profile.external_id) % 10**10,
        "username": lambda _, node: node.c.key,
        "name": lambda _, node: node.c.profile.title,
        "biography": lambda _, node: node.c.profile.about,
        "website": lambda _, __: ABSENT,
        "profile_picture_url": lambda _, node: f"{SITE.replace('www', 'scontent')}/{node.c.key}.jpg",
        "followers_count": _followers,
        "follows_count": lambda _, node: len(node.c.key) * 7,
        "media_count": _media_count,
        "is_published": lambda _, __: True,
    },
    edges={
        "media": _listed,
        "tags": _tags,
        "mentioned_media": _mentioned_media,
        "mentioned_comment": _mentioned_comment,
        "stories": _nothing,
        "content_publishing_limit": _limit,
        "conversations": mail.conversations,
        "subscribed_apps": subscriptions.apps,
    },
    changes={
        "media": publishing.prepare,
        "media_publish": publishing.publish,
        "mentions": publishing.answer_mention,
        "messages": mail.send,
        "subscribed_apps": subscriptions.install,
    },
)

MEDIA: Final = Kind(
    "IGMedia",
    "",
    fields={
        "ig_id": lambda _, node: node.id[:-1],
        "caption": lambda _, node: node.entry.text or ABSENT,
        "media_type": lambda _, node: "CAROUSEL_ALBUM" if len(node.entry.media) > 1 else "IMAGE",
        "media_product_type": lambda _, __: "FEED",
        "media_url": lambda _, node: _picture(node),
        "permalink": lambda _, node: f"{SITE}/p/{ids.shortcode(node.c, node.entry.id)}/",
        "shortcode": lambda _, node: ids.shortcode(node.c, node.entry.id),
        "timestamp": lambda _, node: text_of(node.entry.at),
        "username": username,
        "owner": lambda _, node: {"id": node.c.profile.external_id},
        "like_count": lambda _, node: len(node.entry.reactors),
        "comments_count": lambda _, node: node.entry.comments,
        "is_comment_enabled": lambda _, __: True,
        "thumbnail_url": lambda _, __: ABSENT,
        "alt_text": lambda _, __: ABSENT,
    },
    edges={"comments": _comments, "children": _children, "insights": insights.of_media},
    changes={"comments": publishing.comment},
    delete=publishing.remove,
)

CHILD: Final = Kind(
    "IGMedia",
    "",
    fields={
        "media_type": lambda _, __: "IMAGE",
        "media_url": lambda _, node: _picture(node),
        "username": lambda _, node: node.c.key,
    },
)
"""A picture of a carousel; it has no metrics."""

TAGGED: Final = Kind(
    "IGMedia",
    "",
    fields={
        "caption": caption,
        "media_type": lambda _, __: "IMAGE",
        "permalink": lambda _, node: f"{SITE}/p/{ids.shortcode(node.c, node.entry.id)}/",
        "timestamp": lambda _, node: text_of(node.entry.at),
        "username": username,
        "like_count": lambda _, node: len(node.entry.reactors),
        "comments_count": lambda _, node: len(node.entry.replies),
    },
)
"""Another user's media that mentions the account."""

COMMENT: Final = Kind(
    "IGComment",
    "timestamp,text",
    fields={
        "text": lambda _, node: node.entry.text,
        "timestamp": lambda _, node: text_of(node.entry.at),
        "username": username,
        "from": author,
        "like_count": lambda _, node: len(node.entry.reactors),
        "hidden": writing.is_hidden,
        "media": _media_of_comment,
        "parent_id": _parent,
        "user": lambda _, node: ABSENT if node.entry.person is not None else {"id": node.c.profile.external_id},
    },
    edges={"replies": _replies},
    changes={"": writing.hide, "replies": publishing.comment},
    delete=publishing.remove,
)


CONTAINER: Final = Kind(
    "ShadowIGMediaBuilder",
    "",
    fields={
        "status_code": lambda call, node: publishing.status(call, node.container),
        "status": lambda call, node: publishing.STATUSES[publishing.status(call, node.container)],
    },
)
