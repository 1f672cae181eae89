"""discussions.*: the comments of a topic."""

from __future__ import annotations

from typing import Final

from sandbox.entities import Community, Entry
from sandbox.ledger import Fields
from sandbox.network import BadParameterError
from sandbox.odnoklassniki import ids, wire_models
from sandbox.odnoklassniki.call import Call, Methods, anchor, anchor_entry_id
from sandbox.odnoklassniki.errors import OkError
from sandbox.odnoklassniki.removed_comments import RemovedComments
from sandbox.odnoklassniki.wire_models import Json

TEXT: Final = 4_000
_COMMENT: Final = frozenset({
    "ID", "DATE", "TEXT", "TYPE", "AUTHOR_ID", "AUTHOR_REF", "AUTHOR_NAME", "REPLY_TO_ID", "REPLY_TO_NAME",
    "REPLY_TO_COMMENT_ID", "LIKE_COUNT",
})  # fmt: skip


def _discussed(call: Call, name: str) -> tuple[Community, Entry]:
    if call.params.get(f"{name}Type") != "GROUP_TOPIC":
        raise BadParameterError(f"{name}Type is invalid")
    topic = call.topic(call.required(f"{name}Id"))
    if topic is None:
        raise OkError(300)
    return topic


def comments(call: Call) -> object:
    """All comments as one list: `FORWARD` oldest first, `BACKWARD` newest first; an anchor continues after a page."""
    c, topic = _discussed(call, "discussion")
    call.fields("CommentBeanFields", _COMMENT)
    count = call.integer("count", 20, 1, 100)
    backward = call.params.get("direction", "FORWARD") == "BACKWARD"
    begin = call.params.get("anchor", "FIRST")
    entries = wire_models.comments(c, topic)
    if call.params.flag("includeRemoved"):
        removed = call.network.extra_state(RemovedComments).below(c, topic)
        entries = sorted((*entries, *removed), key=lambda entry: entry.id)
    if begin not in ("FIRST", "LAST"):
        at = anchor_entry_id(begin)
        entries = [entry for entry in entries if (entry.id < at if backward else entry.id > at)]
    entries = entries[::-1] if backward else entries
    page: Json = {
        "discussionId": str(topic.id), "discussionType": "GROUP_TOPIC", "has_more": len(entries) > count,
        "comments": [wire_models.comment(c, entry) for entry in entries[:count]],
    }  # fmt: skip
    return page | ({"anchor": anchor(entries[count - 1].id)} if len(entries) > count else {})


def add(call: Call) -> object:
    """Add a comment, as the group with `as_admin`, else as its administrator; returns its id."""
    c, topic = _discussed(call, "entity")
    world, text = call.network.world, call.required("comment").strip()
    if c is not call.own:
        raise OkError(50)
    call.needs("GROUP_CONTENT")
    if len(text) > TEXT:
        raise BadParameterError("comment is too long")
    fields = Fields(post=str(topic.id), text=text)
    if parent_id := call.params.get("reply_to_comment_id"):
        parent = world.entry(c, int(parent_id)) if parent_id.isdecimal() else None
        if parent is None or parent.post != topic.id:
            raise OkError(141)
        fields["parent"] = str(parent.id)
    if call.params.flag("as_admin"):
        fields["via"] = "comment"
        return world.emit("reply", c, "api", **fields)["id"]
    fields.update({"person": ids.admin(c), "kind": "other"})
    return world.emit("comment", c, "api", **fields)["id"]


METHODS: Final[Methods] = {"discussions.getComments": comments, "discussions.addDiscussionComment": add}
