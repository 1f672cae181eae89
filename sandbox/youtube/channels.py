"""Channel state besides the world's, and the deletion of replies with their comment."""

from __future__ import annotations

from sandbox.entities import Community
from sandbox.ledger import Fields, Record
from sandbox.world import World
from sandbox.youtube import wire_models


class Channels:
    """Tracks which channels hide their subscriber count (records `youtube_size` of kind `hidden` or `shown`).

    Deletes the replies to a comment together with it.
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
