"""Deleted comments, which VK can bring back."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from sandbox.entities import Community
from sandbox.ledger import Fields, Record
from sandbox.world import World

MOST: Final = 5000

Place = tuple[str, int]
"""A community and a comment of it."""


class Bin:
    """What customers' comments were, so far as they may still be wanted."""

    def __init__(self, world: World) -> None:
        self._written: OrderedDict[Place, Fields] = OrderedDict()
        self.deleted: OrderedDict[Place, Fields] = OrderedDict()
        """By place: how each is restored."""
        world.listeners.append(self._follow)

    def _follow(self, record: Record, c: Community) -> None:
        if c.profile.platform != "vk" or record["type"] not in ("comment", "comment_deleted", "comment_restored"):
            return
        place = (c.key, int(record["id"]))
        if record["type"] == "comment":
            found = Fields(id=record["id"], post=record["post"], person=record["person"], text=record["text"])
            if "parent" in record:
                found["parent"] = record["parent"]
            _keep(self._written, place, {**found, "detail": {"at": record["at"]}})
        elif record["type"] == "comment_deleted" and place in self._written:
            _keep(self.deleted, place, self._written[place])
        else:
            self.deleted.pop(place, None)


def _keep(kept: OrderedDict[Place, Fields], place: Place, fields: Fields) -> None:
    kept[place] = fields
    if len(kept) > MOST:
        kept.popitem(last=False)
