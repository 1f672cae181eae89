"""discussions.*: the comments below a topic."""

from __future__ import annotations

from typing import Final

from sandbox.entities import Community, Entry
from sandbox.ledger import Fields
from sandbox.network import BadParameterError
from sandbox.odnoklassniki import ids, wire_models
from sandbox.odnoklassniki.call import Call, Methods, anchor, place
from sandbox.odnoklassniki.errors import OkError
from sandbox.odnoklassniki.wire_models import Json

TEXT: Final = 4_000
_COMMENT: Final = frozenset({
    "ID", "DATE", "TEXT", "TYPE", "AUTHOR_ID", "AUTHOR_REF", "AUTHOR_NAME", "REPLY_TO_ID", "REPLY_TO_NAME",
    "REPLY_TO_COMMENT_ID", "LIKE_COUNT",
})  # fmt: skip


def _discussed(call: Call, name: str) -> tuple[Community, Entry]:
    if call.params.get(f"{name}Type") != "GROUP_TOPIC":
        raise BadParameterError(f"{name}Type is invalid")
    found = call.topic(call.required(f"{name}Id"))
    if found is None:
        raise OkError(300)
    return found


def comments(call: Call) -> object:
    """One list. `FORWARD` begins with the oldest, `BACKWARD` with the newest; an anchor goes on from there."""
    c, top = _discussed(call, "discussion")
    call.fields("CommentBeanFields", _COMMENT)
    count = call.integer("count", 20, 1, 100)
    backward = call.params.get("direction", "FORWARD") == "BACKWARD"
    begin = call.params.get("anchor", "FIRST")
    found = wire_models.comments(c, top)
    if begin not in ("FIRST", "LAST"):
        at = place(begin)
        found = [entry for entry in found if (entry.id < at if backward else entry.id > at)]
    found = found[::-1] if backward else found
    page: Json = {
        "discussionId": str(top.id), "discussionType": "GROUP_TOPIC", "has_more": len(found) > count,
        "comments": [wire_models.comment(c, entry) for entry in found[:count]],
    }  # fmt: skip
    return page | ({"anchor": anchor(found[count - 1].id)} if len(found) > count else {})


def add(call: Call) -> object:
    """A comment: the group's own with `as_admin`, else its administrator's. It answers the comment's id."""
    c, top = _discussed(call, "entity")
    world, text = call.network.world, call.required("comment").strip()
    if c is not call.own:
        raise OkError(50)
    call.needs("GROUP_CONTENT")
    if len(text) > TEXT:
        raise BadParameterError("comment is too long")
    fields = Fields(post=str(top.id), text=text)
    if above := call.params.get("reply_to_comment_id"):
        answered = world.entry(c, int(above)) if above.isdecimal() else None
        if answered is None or answered.post != top.id:
            raise OkError(141)
        fields["parent"] = str(answered.id)
    if call.params.flag("as_admin"):
        fields["via"] = "comment"
        return world.emit("reply", c, "api", **fields)["id"]
    fields.update({"person": ids.admin(c), "kind": "other"})
    return world.emit("comment", c, "api", **fields)["id"]


METHODS: Final[Methods] = {"discussions.getComments": comments, "discussions.addDiscussionComment": add}
