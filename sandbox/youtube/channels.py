"""What channels have besides the world's state, and do by themselves."""

from __future__ import annotations

from sandbox.entities import Community
from sandbox.ledger import Fields, Record
from sandbox.world import World
from sandbox.youtube import wire_models


class Channels:
    """Knows which channels hide their size: the ledger's `youtube_size`, of the kind `hidden` or `shown`.

    Has the answers to a comment deleted together with it.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.hidden: set[str] = set()
        world.listeners.append(self._follow)

    def _follow(self, record: Record, c: Community) -> None:
        if c.profile.platform != "youtube":
            return
        if record["type"] == "youtube_size":
            (self.hidden.add if record["kind"] == "hidden" else self.hidden.discard)(c.key)
        elif record["type"] == "comment_deleted":
            gap = c.wall.get(int(record["id"]))
            if gap is None or gap.parent is not None:
                return
            for answer in wire_models.answers(c, gap):
                gone = Fields(id=str(answer.id), post=str(gap.post), person=answer.person or 0)
                self._world.emit("comment_deleted", c, **gone)
