"""Deleted comments, which VK can restore."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from sandbox.entities import Community
from sandbox.ledger import Fields, Record
from sandbox.world import World

MAX_COMMENTS: Final = 5000

CommentRef = tuple[str, int]
"""A community's key and the id of one of its comments."""


class DeletedComments:
    """Customers' deleted comments, kept for as long as they can be restored."""

    def __init__(self, world: World) -> None:
        self._written: OrderedDict[CommentRef, Fields] = OrderedDict()
        self.deleted: OrderedDict[CommentRef, Fields] = OrderedDict()
        """By place: how each is restored."""
        world.listeners.append(self._follow)

    def _follow(self, record: Record, c: Community) -> None:
        if c.profile.platform != "vk" or record["type"] not in ("comment", "comment_deleted", "comment_restored"):
            return
        ref = (c.key, int(record["id"]))
        if record["type"] == "comment":
            fields = Fields(id=record["id"], post=record["post"], person=record["person"], text=record["text"])
            if "parent" in record:
                fields["parent"] = record["parent"]
            _keep(self._written, ref, {**fields, "detail": {"at": record["at"]}})
        elif record["type"] == "comment_deleted" and ref in self._written:
            _keep(self.deleted, ref, self._written[ref])
        else:
            self.deleted.pop(ref, None)


def _keep(comments: OrderedDict[CommentRef, Fields], ref: CommentRef, fields: Fields) -> None:
    comments[ref] = fields
    if len(comments) > MAX_COMMENTS:
        comments.popitem(last=False)
