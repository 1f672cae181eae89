"""Writing to Facebook: posts, photos and comments. No request is idempotent."""

from __future__ import annotations

import re
from typing import Final

import orjson

from sandbox.graph import ids
from sandbox.graph.call import Call
from sandbox.graph.errors import GraphError, gone, invalid
from sandbox.graph.nodes import Json, Node
from sandbox.graph.state import GraphState
from sandbox.ledger import Fields

TEXT_LIMIT: Final = 63_206
COMMENT_LIMIT: Final = 8_000
_PLACE: Final = re.compile(r"attached_media\[\d+\]")


def publish(call: Call, node: Node) -> Node:
    """`POST /{page}/feed`: a post, optionally with uploaded photos."""
    _may(call, "pages_manage_posts")
    text = call.get("message").strip()
    if len(text) > TEXT_LIMIT:
        raise invalid(f"Param message must be at most {TEXT_LIMIT} characters")
    if call.get("published", "true").lower() in {"0", "false"} or "scheduled_publish_time" in call.params:
        raise invalid("unpublished posts are not kept here")
    pictures = [_attached(node, one) for one in _media(call)]
    if not text and not pictures and not call.get("link"):
        raise GraphError(197, "(#197) The post is empty. Please enter a message to share.")
    made = call.world.emit("post", node.c, "api", **_fields(text or call.get("link"), pictures))
    return Node("post", ids.post(node.c, int(made["id"])), node.c, node.c.wall[int(made["id"])])


def upload(call: Call, node: Node) -> Json | Node:
    """`POST /{page}/photos`: a photo, and a post with it unless `published` is false."""
    _may(call, "pages_manage_posts")
    file = next(iter(call.files.values()), None)
    if file is not None and not (file.media_type.startswith("image/") and file.content):
        raise GraphError(324, "(#324) Missing or invalid image file", subcode=2069019)
    if file is None and not call.get("url").startswith(("http://", "https://")):
        raise GraphError(324, "(#324) Requires upload file", subcode=2069019)
    caption = call.get("caption") or call.get("message")
    kind, size = ("image/jpeg", 0) if file is None else (file.media_type, len(file.content))
    detail: dict[str, object] = {"caption": caption, "alt": call.get("alt_text_custom")}
    media = call.world.emit("media", node.c, "api", kind=kind, count=size, detail=detail)["id"]
    photo = Node("photo", ids.make(ids.PHOTO, node.c, int(media)), node.c, node.c.media[media])
    if call.get("published", "true").lower() in {"0", "false"}:
        return photo
    made = call.world.emit("post", node.c, "api", **_fields(caption, [media]))
    return {"id": photo.id, "post_id": ids.post(node.c, int(made["id"]))}


def comment(call: Call, node: Node) -> Node:
    """`POST /{post}/comments` and `POST /{comment}/comments`."""
    _may(call, "pages_manage_engagement")
    text = call.get("message").strip()
    if not text or len(text) > COMMENT_LIMIT:
        raise invalid("Missing message or attachment" if not text else f"Param message exceeds {COMMENT_LIMIT}")
    entry = node.entry
    fields = Fields(via="comment", text=text, post=str(entry.post or entry.id))
    if entry.kind == "comment":
        fields["parent"] = str(entry.id)
    made = node.c.wall[int(call.world.emit("reply", node.c, "api", **fields)["id"])]
    return Node("comment", ids.comment(node.c, made.post or 0, made.id), node.c, made)


def hide(call: Call, node: Node) -> Json:
    """`POST /{comment}` with `is_hidden` (Facebook) or `hide` (Instagram): hide a comment, or show it again."""
    if ids.is_instagram(node.c):
        call.needs("instagram_manage_comments", "instagram_business_manage_comments")
    else:
        _may(call, "pages_manage_engagement")
    hidden = call.flag("hide" if ids.is_instagram(node.c) else "is_hidden")
    call.world.emit("graph_hidden", node.c, "api", id=str(node.entry.id), detail={"hidden": hidden})
    return {"success": True}


def is_hidden(call: Call, node: Node) -> bool:
    return (node.c.key, node.entry.id) in call.network.extra_state(GraphState).hidden


def remove(call: Call, node: Node) -> Json:
    """`DELETE` of a post or a comment."""
    entry = node.entry
    if entry.kind == "post":
        _may(call, "pages_manage_posts")
        call.world.emit("post_deleted", node.c, "api", id=str(entry.id))
    else:
        _may(call, "pages_manage_engagement", "pages_read_user_content")
        call.world.emit(
            "comment_deleted", node.c, "api", id=str(entry.id), post=str(entry.post), person=entry.person or 0
        )
    return {"success": True}


def _may(call: Call, *scopes: str) -> None:
    call.needs_page()
    call.needs(*scopes, code=200)


def _fields(text: str, pictures: list[str]) -> Fields:
    return Fields(text=text, media=pictures) if pictures else Fields(text=text)


def _media(call: Call) -> list[object]:
    """`attached_media` as a list, or as `attached_media[0]`, `attached_media[1]` …"""
    media_json = call.structure("attached_media")
    if isinstance(media_json, list):
        return media_json
    names = sorted((name for name in call.params if _PLACE.fullmatch(name)), key=lambda name: int(name[15:-1]))
    try:
        return [orjson.loads(call.params[name]) for name in names]
    except orjson.JSONDecodeError:
        raise invalid("param attached_media must be an array.") from None


def _attached(node: Node, media_json: object) -> str:
    media_id = str(media_json.get("media_fbid", "")) if isinstance(media_json, dict) else ""
    parsed_id = ids.read(media_id, [node.c])
    if parsed_id is None or parsed_id[0] != ids.PHOTO or str(parsed_id[2]) not in node.c.media:
        raise gone(media_id, "post")
    return str(parsed_id[2])
