"""Writing to Instagram: containers, publishing, comments and replies. No request is idempotent."""

from __future__ import annotations

from typing import Final

from sandbox.entities import Community
from sandbox.graph import ids
from sandbox.graph.call import Call
from sandbox.graph.errors import GraphError, gone, invalid
from sandbox.graph.mentions import mentioning
from sandbox.graph.nodes import Json, Node
from sandbox.graph.state import CONTAINER_LIFE, Container, GraphState
from sandbox.instants import SECOND
from sandbox.ledger import Fields

CAPTION_LIMIT: Final = 2200
COMMENT_LIMIT: Final = 2200
CAROUSEL: Final = range(2, 11)
STATUSES: Final = {
    "FINISHED": "Finished: Media has been uploaded and it is ready to be published.",
    "IN_PROGRESS": "In Progress: Media is still being processed.",
    "PUBLISHED": "Published: Media has been successfully published.",
    "EXPIRED": "Expired: The container was not published within 24 hours and has expired.",
}


def status(call: Call, one: Container) -> str:
    """A container's status: ready after `graph_container_seconds` of virtual time, expired after a day."""
    age = call.world.now - one.at
    if one.published is not None:
        return "PUBLISHED"
    if age >= CONTAINER_LIFE:
        return "EXPIRED"
    return "IN_PROGRESS" if age < call.network.limits["graph_container_seconds"] * SECOND else "FINISHED"


def prepare(call: Call, node: Node) -> Node:
    """`POST /{account}/media`. The picture is not downloaded; only its URL's form is checked."""
    _may_publish(call)
    caption, c = call.get("caption"), node.c
    if len(caption) > CAPTION_LIMIT:
        raise GraphError(36004, "The caption is too long.", subcode=2207010)
    carousel = call.get("media_type").upper() == "CAROUSEL"
    pictures = _children(call, c) if carousel else [_fetched(call, c)]
    number = len(call.network.extra_state(GraphState).containers[c.key]) + 1
    item = call.flag("is_carousel_item")
    call.world.emit(
        "instagram_container", c, "api", count=number, text=caption, media=pictures,
        detail={"item": item, "carousel": carousel},
    )  # fmt: skip
    return _container(call, c, number)


def publish(call: Call, node: Node) -> Node:
    """`POST /{account}/media_publish`: once per container, at most `graph_publish_daily` a day."""
    _may_publish(call)
    c, kept, container_id = node.c, call.network.extra_state(GraphState), call.get("creation_id")
    parsed_id = ids.read(container_id, [c])
    one = kept.containers[c.key].get(parsed_id[2]) if parsed_id is not None and parsed_id[0] == ids.CONTAINER else None
    if one is None or one.item or status(call, one) in {"PUBLISHED", "EXPIRED"}:
        raise GraphError(24, "The requested resource does not exist", subcode=2207008 if one is not None else 2207006)
    if status(call, one) == "IN_PROGRESS":
        raise GraphError(9007, "Media ID is not available", subcode=2207027)
    if kept.published(c) >= call.network.limits["graph_publish_daily"]:
        raise GraphError(9, "Application request limit reached", subcode=2207042)
    fields = Fields(text=one.caption, media=list(one.pictures))
    made = c.wall[int(call.world.emit("post", c, "api", **fields)["id"])]
    call.world.emit("instagram_published", c, "api", count=one.number)
    return Node("media", ids.make(ids.MEDIA, c, made.id), c, made)


def comment(call: Call, node: Node) -> Node:
    """`POST /{media}/comments` and `POST /{comment}/replies`."""
    entry, fields = node.entry, _answer(call)
    fields.update({"via": "comment", "post": str(entry.post or entry.id)})
    if entry.kind == "comment":
        fields["parent"] = str(entry.id)
    made = node.c.wall[int(call.world.emit("reply", node.c, "api", **fields)["id"])]
    return Node("ig_comment", ids.make(ids.IG_COMMENT, node.c, made.id), node.c, made)


def answer_mention(call: Call, node: Node) -> Node:
    """`POST /{account}/mentions`: comment on media, or on a comment below it, that @mentions the account.

    A picture in which the account is only tagged cannot be commented on.
    """
    fields, media_id, comment_id = _answer(call), call.get("media_id"), call.get("comment_id")
    if comment_id:
        entry = mentioning(call, node.c, comment_id, ids.IG_COMMENT)
        if media_id != ids.make(ids.TAGGED, node.c, entry.id):
            raise gone(media_id, "post")
    else:
        entry = mentioning(call, node.c, media_id, ids.TAGGED)
    fields.update({"via": "mention", "parent": str(entry.id)})
    made = node.c.wall[int(call.world.emit("reply", node.c, "api", **fields)["id"])]
    return Node("ig_comment", ids.make(ids.IG_COMMENT, node.c, made.id), node.c, made)


def remove(call: Call, node: Node) -> Json:
    entry = node.entry
    if entry.kind == "post":
        _may_publish(call)
        call.world.emit("post_deleted", node.c, "api", id=str(entry.id))
    else:
        _may_comment(call)
        call.world.emit(
            "comment_deleted", node.c, "api", id=str(entry.id), post=str(entry.post or 0), person=entry.person or 0
        )
    return {"success": True}


def _container(call: Call, c: Community, number: int) -> Node:
    return Node(
        "container",
        ids.make(ids.CONTAINER, c, number),
        c,
        call.network.extra_state(GraphState).containers[c.key][number],
    )


def _fetched(call: Call, c: Community) -> str:
    url = call.get("image_url")
    if call.get("video_url") or call.get("media_type").upper() in {"REELS", "STORIES", "VIDEO"}:
        raise GraphError(100, "Only pictures are kept here", subcode=2207023)
    if not url:
        raise invalid("The parameter image_url is required.")
    if not url.startswith(("http://", "https://")):
        raise GraphError(9004, "Only photo or video can be accepted as media type.", subcode=2207052)
    return call.world.emit("media", c, "api", kind="image/jpeg", count=0, detail={"url": url})["id"]


def _children(call: Call, c: Community) -> list[str]:
    text = call.get("children")
    children_json = call.structure("children") if text.startswith("[") else text.split(",")
    child_ids = [str(one).strip() for one in children_json] if isinstance(children_json, list) else []
    if len(child_ids) not in CAROUSEL:
        raise GraphError(100, "A carousel has between 2 and 10 children", subcode=2207028)
    pictures: list[str] = []
    for one in child_ids:
        parsed_id = ids.read(one, [c])
        child = (
            call.network.extra_state(GraphState).containers[c.key].get(parsed_id[2]) if parsed_id is not None else None
        )
        if child is None or not child.item or status(call, child) == "EXPIRED":
            raise GraphError(24, "The requested resource does not exist", subcode=2207006)
        pictures += child.pictures
    return pictures


def _answer(call: Call) -> Fields:
    _may_comment(call)
    text = call.get("message").strip()
    if not text or len(text) > COMMENT_LIMIT:
        raise invalid("The comment is empty or too long")
    return Fields(text=text)


def _may_publish(call: Call) -> None:
    call.needs("instagram_content_publish", "instagram_business_content_publish")


def _may_comment(call: Call) -> None:
    call.needs("instagram_manage_comments", "instagram_business_manage_comments")
