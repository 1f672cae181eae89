"""Removed comments, which OK lists on request."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from sandbox.entities import Community, Entry
from sandbox.ledger import Record
from sandbox.world import World

MAX_COMMENTS: Final = 5000


class RemovedComments:
    """The comments of all groups, the removed ones included, as far back as `MAX_COMMENTS`."""

    def __init__(self, world: World) -> None:
        self._written: OrderedDict[tuple[str, int], Entry] = OrderedDict()
        world.listeners.append(self._follow)

    def below(self, c: Community, post: Entry) -> list[Entry]:
        """Those below a topic, oldest first."""
        removed = (entry for (key, _), entry in self._written.items() if key == c.key and entry.deleted)
        return sorted((entry for entry in removed if entry.post == post.id), key=lambda entry: entry.id)

    def _follow(self, record: Record, c: Community) -> None:
        if c.profile.platform != "odnoklassniki" or record["type"] != "comment":
            return
        entry_id = int(record["id"])
        self._written[c.key, entry_id] = c.wall[entry_id]
        if len(self._written) > MAX_COMMENTS:
            self._written.popitem(last=False)
